from __future__ import annotations

import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from smallprint.cli.app import app
from smallprint.core.errors import ConfigError
from smallprint.data.labels import LabelSet
from smallprint.inference import engine as engines
from smallprint.inference.engine import Engine
from smallprint.inference.suggest import suggest_texts

MULTI = LabelSet("multilabel", ["red", "green"])


class Table:
    """A scorer that knows the score of each text by its last word."""

    max_length, n_truncated = None, 0

    def __init__(self, scores):
        self.scores = np.asarray(scores, dtype=np.float32)

    def score(self, texts):
        return self.scores[[int(text.split()[-1]) for text in texts]].reshape(len(texts), -1)


def make(scores, labels=MULTI):
    return Engine(Table(scores), labels, np.full(labels.n_outputs, 0.5))


def named(n):
    return [f"{'w' * (i + 1)} {'x' * (i + 1)} {i}" for i in range(n)]


def test_what_is_near_a_threshold_and_what_is_likely_comes_first():
    scores = np.full((200, 2), 0.01)
    scores += np.linspace(0, 0.001, 200)[:, None]
    scores[7], scores[8] = [0.52, 0.01], [0.01, 0.97]
    found = suggest_texts(make(scores), named(200), 6)
    reasons = {part.index: part.reason for part in found}
    assert {7, 8} <= reasons.keys()
    assert "red" in reasons[7]
    assert "green" in reasons[8]


def test_each_text_once_and_all_when_all_are_asked_for():
    scores = np.random.default_rng(0).random((50, 2))
    found = [part.index for part in suggest_texts(make(scores), named(50), 500)]
    assert sorted(found) == list(range(50))


def test_near_copies_and_blanks_are_passed_over():
    texts = ["we may end your account at any time 0", "we may end your account at any time 1", " ", "thanks 3"]
    found = [part.index for part in suggest_texts(make([[0.5, 0.1]] * 4), texts, 4)]
    assert len(found) == 2
    assert 3 in found
    assert 2 not in found


def test_a_label_that_the_model_does_not_know_asks_for_nothing():
    scores = np.column_stack([np.linspace(0.01, 0.9, 40), np.full(40, 0.2)])
    assert not any("green" in part.reason for part in suggest_texts(make(scores), named(40), 40))


def test_a_model_that_knows_nothing_draws_at_random():
    found = suggest_texts(make(np.full((40, 2), 0.2)), named(40), 10)
    assert {part.reason for part in found} == {"drawn at random"}
    assert len(found) == 10


def test_multiclass_asks_where_two_labels_are_near():
    scores = [[0.05, 0.9, 0.05], [0.4, 0.41, 0.19], [0.05, 0.05, 0.9], [0.9, 0.05, 0.05]]
    found = suggest_texts(make(scores, LabelSet("multiclass", ["a", "b", "c"])), named(4), 4)
    assert next(part.reason for part in found if part.index == 1) == "the two likeliest labels are near each other"


@pytest.mark.parametrize("n_labels", [4, 8, 12])
def test_every_label_asks_by_both_of_its_ways(n_labels):
    names = [f"L{k}" for k in range(n_labels)]
    scores = np.random.default_rng(2).random((400, n_labels))
    found = suggest_texts(make(scores, LabelSet("multilabel", names)), named(400), 2 * n_labels + n_labels)
    reasons = {part.reason for part in found}
    assert {f"near the threshold of {name}" for name in names} | {f"likely {name}" for name in names} <= reasons


def test_multiclass_asks_by_each_of_its_ways():
    names = list("abcdefg")
    scores = np.random.default_rng(2).dirichlet(np.ones(7), 200)
    found = suggest_texts(make(scores, LabelSet("multiclass", names)), named(200), 12)
    assert len({part.reason for part in found}) == 1 + 7 + 1


def test_the_same_seed_gives_the_same():
    scores = np.random.default_rng(1).random((60, 2))
    assert suggest_texts(make(scores), named(60), 20, 3) == suggest_texts(make(scores), named(60), 20, 3)


def test_none_is_too_few():
    with pytest.raises(ConfigError):
        suggest_texts(make([[0.1, 0.1]]), named(1), 0)


def test_the_command_writes_a_table_to_correct(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "open_model", lambda path: make(np.random.default_rng(2).random((30, 2))))
    source = tmp_path / "t.csv"
    source.write_text("text\n" + "\n".join(named(30)) + "\n")
    done = CliRunner().invoke(app, ["suggest", "m", str(source), "-n", "5", "-o", str(tmp_path / "o.csv")])
    assert done.exit_code == 0
    rows = list(csv.DictReader((tmp_path / "o.csv").open()))
    assert len(rows) == 5
    assert set(rows[0]) == {"text", "labels", "reason"}
    before = source.read_text()
    assert CliRunner().invoke(app, ["suggest", "m", str(source), "-o", str(source)]).exit_code != 0
    assert source.read_text() == before
