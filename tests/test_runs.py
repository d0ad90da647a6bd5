"""What a run folder's steps say and how a run ends."""

from __future__ import annotations

import signal

import pytest

from smallprint import runs
from smallprint.core.config import Config
from smallprint.core.results import LabelMetrics, Metrics
from smallprint.core.run import create_run, open_run


def row(label, support, predicted):
    return LabelMetrics(label, support, predicted, 0.0, 0.0, 0.0, 0.0, 0.5)


def test_the_table_says_which_labels_a_mean_leaves_out():
    rows = [row("a", 1, 1), row("b", 0, 0), row("c", 0, 2)]
    lines = runs.table(Metrics("test", "multiclass", 1, {"f1_macro": 1.0}, rows))
    assert lines[0] == "multiclass, split 'test', 1 example"
    assert "  f1_macro leaves out 1 label that neither truth nor answers hold" in lines
    assert not any("leaves out" in line for line in runs.table(Metrics("test", "multilabel", 9, {}, rows)))


def test_the_table_says_which_labels_count_as_0_and_has_a_heading_for_what_was_not_leaked():
    rows = [row("a", 1, 1), row("b", 0, 0)]
    values = {"f1_macro": 0.5, "labels_without_positives": 1.0}
    lines = runs.table(Metrics("test", "multilabel", 9, values, rows, leaked=2, without_leaked=values))
    assert "  f1_macro counts 1 label without an example in test as 0: b" in lines
    assert [line.split() for line in lines[2:5]] == [
        ["all", "without"],
        ["f1_macro", "0.5000", "0.5000"],
        ["labels_without_positives", "1", "1"],
    ]


def test_rare_labels_are_said_once():
    summary = {"task": "multilabel", "labels": {"train": {"a": 9, "b": 2}}}
    assert runs.rare_labels(summary) == ["Labels with fewer than 5 training examples, perhaps misspelt: 'b' (2)."]
    assert runs.rare_labels(summary, ["Data warning: 1 labels have fewer than 5 examples in train: b (2)."]) == []


def test_average_precision_without_positives_is_a_dash():
    *_, first, second = runs.table(Metrics("test", "multilabel", 9, {}, [row("a", 1, 1), row("b", 0, 2)]))
    assert first.split()[-2:] == ["0.000", "0.500"]
    assert second.split()[-2:] == ["-", "0.500"]


def test_a_terminated_run_is_stopped_and_says_how_to_go_on(tmp_path):
    run, lines = create_run(Config(), "sample", tmp_path / "r"), []
    with pytest.raises(SystemExit), runs.ended_well(run, lines.append):
        raise SystemExit(128 + signal.SIGTERM)
    assert open_run(tmp_path / "r").state["status"] == "stopped"
    assert lines == [f"Stopped. Go on with: smallprint train --resume {tmp_path / 'r'}"]
