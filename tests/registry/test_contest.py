"""Who is at least as good: rows that one of both learned from do not count, and answers to other questions are not compared."""

import numpy as np
import pytest

from smallprint.core.errors import BundleError
from smallprint.data.labels import LabelSet
from smallprint.data.normalise import text_hashes
from smallprint.inference.engine import Engine
from smallprint.registry.contest import OwnRows, compare_models

TEXTS = [f"text {word}" for word in "abcdefghijklmnopqrst"]
TRUTH = [["red"] if i % 2 else ["green"] if i % 3 else [] for i in range(20)]


class Answers:
    """A scorer that knows the truth, but for some texts."""

    max_length, n_truncated = None, 0

    def __init__(self, labels, wrong=()):
        self.labels, self.wrong = labels, set(wrong)

    def score(self, texts):
        out = np.zeros((len(texts), self.labels.n_outputs), dtype=np.float32)
        for row, text in enumerate(texts):
            i = TEXTS.index(text)
            names = [] if i in self.wrong else TRUTH[i]
            if self.labels.task == "binary":
                names = ["yes"] if (i % 2 == 0) == (i in self.wrong) else []
            elif self.labels.task == "multiclass":
                names = [self.labels.names[(i + (i in self.wrong)) % 2]]
            for column, name in enumerate(self.labels.score_names):
                out[row, column] = name in names
        return out


def model(wrong=(), task="multilabel", names=("red", "green"), known=None):
    labels = LabelSet(task, list(names))
    hashes = None if known is None else np.unique(text_hashes(known))
    return Engine(Answers(labels, wrong), labels, np.full(labels.n_outputs, 0.5), known_texts=hashes)


def rows(labels=TRUTH, groups=None):
    return OwnRows(TEXTS, labels, groups or [None] * 20, "d.csv")


def test_worse_is_refused_equal_and_better_are_not():
    worse = compare_models(model(), model(range(8)), rows())
    assert not worse.accepted
    assert worse.paired.high < 0
    assert worse.champion == 1
    equal = compare_models(model([1]), model([1]), rows())
    assert equal.accepted
    assert (equal.paired.difference, equal.paired.low, equal.paired.high) == (0, 0, 0)
    better = compare_models(model(range(8)), model(), rows())
    assert better.accepted
    assert better.paired.better


def test_measured_lower_than_the_margin_is_refused_though_chance_might_explain_it():
    verdict = compare_models(model(), model([1]), rows())
    assert verdict.paired.high >= 0
    assert verdict.paired.difference < -0.01
    assert not verdict.accepted
    assert compare_models(model(), model([1]), rows(), margin=0.1).accepted


@pytest.mark.parametrize(("task", "names"), [("binary", ("no", "yes")), ("multiclass", ("red", "green"))])
def test_the_other_tasks(task, names):
    truth = (
        [["yes"] if i % 2 else ["no"] for i in range(20)] if task == "binary" else [[names[i % 2]] for i in range(20)]
    )
    verdict = compare_models(model((), task, names), model([0, 1, 2], task, names), rows(truth))
    assert verdict.measure == {"binary": "f1", "multiclass": "accuracy"}[task]
    assert verdict.champion == 1
    expected = 17 / 20 if task == "multiclass" else 2 * 9 / (11 + 10)  # of 0, 1 and 2 the answers are turned round
    assert verdict.candidate == pytest.approx(expected)


def test_labels_may_stand_in_another_order_and_new_ones_do_not_count():
    verdict = compare_models(model([1]), model([1], names=("blue", "green", "red")), rows())
    assert verdict.paired.difference == 0


def test_rows_that_the_candidate_learned_from_prove_nothing():
    honest = compare_models(model([1]), model([1]), rows())
    cheated = compare_models(model([1, 3]), model([], known=[TEXTS[1], TEXTS[3].upper()]), rows())
    assert cheated.left_out == 2
    assert cheated.rows == honest.rows - 2
    assert cheated.paired.difference == 0
    assert "without 2 that one of both learned from" in str(cheated)
    with pytest.raises(BundleError, match="too few are left"):
        compare_models(model(), model(known=TEXTS), rows())


def test_documents_are_drawn_whole():
    verdict = compare_models(model(), model([1]), rows(groups=[str(i // 5) for i in range(20)]))
    assert (verdict.paired.units, verdict.paired.over_groups) == (4, True)


def test_rows_of_one_document_have_no_interval_and_the_margin_alone_decides():
    verdict = compare_models(model(), model([1]), rows(groups=["one"] * 20))
    assert verdict.paired is None
    assert not verdict.accepted
    assert (verdict.worse, verdict.better) == (False, False)
    assert "all of one group, so no interval can be told" in str(verdict)
    told = verdict.to_dict()
    assert (told["low"], told["high"], told["units"]) == (None, None, None)
    assert told["difference"] == pytest.approx(verdict.candidate - verdict.champion)
    assert compare_models(model(), model([1]), rows(groups=["one"] * 20), margin=0.1).accepted
    beside = compare_models(model(), model([1]), rows(groups=["one"] * 10 + [None] * 10))
    assert (beside.paired.units, beside.paired.over_groups) == (11, True)


@pytest.mark.parametrize("other", [model(task="multiclass"), model(names=("red", "blue"))])
def test_answers_to_another_question_are_not_compared(other):
    with pytest.raises(BundleError, match="The candidate (is multiclass|lacks the labels green)"):
        compare_models(model(), other, rows())
