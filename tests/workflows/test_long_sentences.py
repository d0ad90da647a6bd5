"""A sentence that is longer than the model reads at once is scanned whole, by torch and ONNX, and the finding names the window."""

import itertools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from smallprint import api
from smallprint.cli.app import app
from smallprint.core.settings import build_config
from smallprint.data.labels import LabelSet
from smallprint.documents.document import Document
from smallprint.evaluation.policy import Policy, Promise
from smallprint.export import export
from smallprint.inference.engine import Engine, load_engine
from smallprint.inference.long_texts import read_whole
from smallprint.inference.scan_page import render_scan, tell_scan
from smallprint.inference.scanner import scan_document
from smallprint.modeling.windows import place_windows

FILL = "we may the service you will our terms this agreement your account " * 12
LONG = f"{FILL}crimson scarlet crimson scarlet {FILL}".strip() + "."


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, tiny_backbone, labelled_frame):
    """`bundles[kind]`: an encoder that cuts at 24 tokens, and the same in ONNX."""
    root = tmp_path_factory.mktemp("long")
    labelled_frame("multilabel", 160).write_parquet(root / "data.parquet")
    config = build_config(
        {
            "model": {"backbone": str(tiny_backbone), "max_length": 24},
            "training": {"epochs": 12, "learning_rate": 5e-3},
            "tracking": {"enabled": False},
        }
    )
    run = api.train(str(root / "data.parquet"), config=config, out=root / "run")
    export(run.bundle, "onnx", root / "onnx")
    return {"torch": run.bundle, "onnx": root / "onnx"}


def engine_of(bundles, kind):
    """Gives the engine; of kind 'windows' one that reads in windows by itself."""
    engine = load_engine(bundles["torch" if kind == "windows" else kind])
    engine.scorer.windows = kind == "windows"
    return engine


@pytest.mark.parametrize("kind", ["torch", "onnx", "windows"])
def test_what_stands_at_the_end_is_found_and_its_window_named(bundles, kind):
    engine = engine_of(bundles, kind)
    document = Document("a", f"You may leave.\n{LONG}")
    entry = scan_document(engine, document, explain=True)
    finding = next(found for found in entry["findings"] if found["text"] == LONG)
    assert "red" in finding["labels"]
    window = finding["window"]
    inside = document.text[window["start"] : window["end"]]
    assert "crimson" in inside
    assert len(inside) < len(LONG) / 3
    assert window["of"] > 5
    assert finding["scores"]["red"] >= engine.score([inside])[0, 0] - 1e-4
    words = [LONG[part["start"] : part["end"]] for part in finding["evidence"]]
    assert words == [part["text"] for part in finding["evidence"]]
    assert {"crimson", "scarlet"} & set(words)
    assert any(
        "1 sentence longer than the model reads at once (24 tokens) and read in windows" in n for n in entry["notes"]
    )
    assert not any("was not read" in note for note in entry["notes"])
    assert any("windows of a long sentence" in line for line in tell_scan(entry))
    assert "long sentence; found in:" in render_scan([(entry, document)], "m")
    if kind != "windows":  # the model alone reads the beginning
        assert "red" not in engine.predict([LONG]).labels[0]


def test_torch_and_onnx_agree_on_windows(bundles):
    torch, onnx = (load_engine(bundles[kind]) for kind in ("torch", "onnx"))
    for text in (LONG, "crimson " * 23, "é 日本 " * 40, "x" * 300, ""):
        assert torch.spans(text) == onnx.spans(text)
    np.testing.assert_allclose(
        read_whole(torch, [LONG, "fine"]).given.scores, read_whole(onnx, [LONG, "fine"]).given.scores, atol=1e-4
    )


def test_windows_cover_the_text_and_none_is_cut(bundles):
    engine = load_engine(bundles["torch"])
    places = engine.spans(LONG)
    assert places[0][0] == 0
    assert places[-1][1] == len(LONG)
    assert all(later[0] <= earlier[1] for earlier, later in itertools.pairwise(places))
    assert all(start == 0 or LONG[start - 1].isspace() for start, _ in places)
    reading = read_whole(engine, [LONG, "short"])
    assert reading.cut == 0
    assert list(reading.windows) == [0]


def test_nothing_changes_where_texts_are_read_whole(bundles, toy_run):
    engine = load_engine(toy_run / "bundle")
    assert engine.spans(LONG) == [(0, len(LONG))]
    entry = scan_document(engine, Document("a", LONG))
    assert "window" not in entry["findings"][0]
    assert entry["notes"] == []
    windows = engine_of(bundles, "windows")
    np.testing.assert_array_equal(read_whole(windows, [LONG]).given.scores, windows.score([LONG]))


class Loud:
    """A scorer that cuts at ten characters and tells so."""

    max_length, n_truncated, windows = 10, 0, False

    def spans(self, text):
        return [(i, min(i + 10, len(text))) for i in range(0, max(len(text), 1), 10)]

    def score(self, texts):
        self.n_truncated += sum(len(text) > 10 for text in texts)
        return np.array([[0.9 if "bad" in text[:10] else 0.2, 0.1] for text in texts], dtype=np.float32)


@pytest.mark.parametrize("task", ["multilabel", "multiclass", "binary"])
def test_labels_and_decisions_follow_from_all_windows(task):
    names = {"multilabel": ["a", "b"], "multiclass": ["a", "b"], "binary": ["fair", "unfair"]}[task]
    scorer = Loud()
    if task == "binary":
        score = scorer.score
        scorer.score = lambda texts: score(texts)[:, :1]
    promise = Promise("recall", 0.9, 0.95, 0.5, 0.95, 1.0, 0.5, 10)
    engine = Engine(
        scorer, LabelSet(task, names), np.full(1 if task == "binary" else 2, 0.5), policy=Policy(promise, None)
    )
    reading = read_whole(engine, ["x" * 20 + "bad", "short"])
    assert reading.cut == 0
    assert reading.given.decisions == ["person" if task != "multiclass" else reading.given.decisions[0], "cleared"]
    if task == "multiclass":  # opinions on the whole: two of three windows say little
        assert reading.given.scores[0].sum() == pytest.approx(1, abs=1e-5)
    else:
        assert reading.given.scores[0, 0] == pytest.approx(0.9)
        assert names[-1 if task == "binary" else 0] in reading.given.labels[0]


def test_places_of_windows():
    text = "one two three four"
    assert place_windows(text, [[(0, 3), (4, 7), (8, 10)], [(4, 7), (8, 13), (14, 18)]]) == [(0, 7), (4, 18)]
    assert place_windows("abcdefgh", [[(0, 3)], [(2, 6)], [(5, 8)]]) == [(0, 3), (3, 6), (6, 8)]
    assert place_windows("", [[]]) == [(0, 0)]


def test_the_command_tells_it(bundles, tmp_path):
    (tmp_path / "a.txt").write_text(LONG)
    done = CliRunner().invoke(app, ["scan", str(bundles["torch"]), str(tmp_path / "a.txt"), "--format", "json"])
    (entry,) = json.loads(done.stdout)["documents"]
    assert entry["findings"][0]["window"]["of"] > 5
