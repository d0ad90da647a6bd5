"""What is learned from a stack: labels and its scores mixed, example by example, and a clear word where that cannot be."""

import json

import numpy as np
import polars as pl
import pytest

from smallprint.core.config import TrainingConfig
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.data.examples import Examples, fingerprint
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.families.teacher import soften

LABELS = LabelSet("multilabel", ["red", "green"])
TRAIN = Examples(
    "train",
    pl.DataFrame({"text": ["a", "b", "c"], "labels": [["red"], [], ["green"]]}).with_columns(
        group=pl.lit(None, pl.String)
    ),
)
VALIDATION = Examples(
    "validation", pl.DataFrame({"text": ["d"], "labels": [["red"]]}).with_columns(group=pl.lit(None, pl.String))
)
TARGETS = np.array([[1, 0], [0, 0], [0, 1]], dtype=np.int8)


@pytest.fixture
def teacher(tmp_path):
    prints = {"train": fingerprint(TRAIN), "validation": fingerprint(VALIDATION)}
    data = {"task": "multilabel", "label_names": ["red", "green"], "fingerprints": prints}
    (tmp_path / "metrics.json").write_text(json.dumps({"data": data}))
    pl.DataFrame({"text": ["c", "a"], "scores": [[0.2, 0.6], [0.9, 0.1]]}).write_parquet(
        tmp_path / "held_out_scores.parquet"
    )
    return tmp_path


def taught(teacher, weight, train=TRAIN, labels=LABELS, validation=VALIDATION):
    lines = []
    config = TrainingConfig(teacher=str(teacher), teacher_weight=weight)
    splits = Splits(train, validation, lambda: pytest.fail("test was opened"), "")
    return soften(TARGETS, splits, labels, config, lines.append), lines


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_labels_and_scores_are_mixed_by_text(teacher, weight):
    mixed, lines = taught(teacher, weight)
    assert mixed[0] == pytest.approx([1 - weight + weight * 0.9, weight * 0.1])
    assert mixed[1] == pytest.approx([0, 0])  # unknown to the teacher: its labels
    assert mixed[2] == pytest.approx([weight * 0.2, 1 - weight + weight * 0.6])
    assert lines == ["1 of 3 training examples are unknown to the teacher."]


def test_a_teacher_of_other_labels_is_refused(teacher):
    with pytest.raises(TrainingError, match="was trained for other labels"):
        taught(teacher, 0.5, labels=LabelSet("multilabel", ["green", "red"]))


def test_a_teacher_that_may_know_test_is_refused(teacher):
    other = Examples("train", TRAIN.frame.with_columns(pl.Series("text", ["a", "b", "z"])))
    for splits in ({"train": other}, {"validation": Examples("validation", TRAIN.frame[:1])}):
        with pytest.raises(TrainingError, match="learned from other train or validation examples"):
            taught(teacher, 0.5, **splits)
    with pytest.raises(TrainingError, match="does not exist"):
        taught(teacher / "nowhere", 0.5)


@pytest.mark.parametrize("file", ["metrics.json", "held_out_scores.parquet"])
def test_a_damaged_teacher_is_named(teacher, file):
    (teacher / file).write_bytes(b"{")
    with pytest.raises(TrainingError, match="cannot be read"):
        taught(teacher, 0.5)
    (teacher / file).unlink()
    with pytest.raises(TrainingError, match="holds no held-out scores"):
        taught(teacher, 0.5)


def test_exclusive_labels_are_refused(teacher):
    with pytest.raises(ConfigError, match="multiclass"):
        taught(teacher, 0.5, labels=LabelSet("multiclass", ["red", "green"]))
