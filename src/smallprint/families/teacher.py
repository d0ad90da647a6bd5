"""Distilling: a small model learns the scores of a large one beside the labels (Hinton et al. 2015).

In: the run of a stack, and training examples. Out: targets between 0 and 1. The stack's scores are those of models that
did not see the example, so that a label that was learned by heart teaches nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from smallprint.core.config import TrainingConfig
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.progress import Say
from smallprint.core.results import Array
from smallprint.core.run import HELD_OUT, scores_file
from smallprint.data.examples import fingerprint
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits


def soften(targets: Array, splits: Splits, labels: LabelSet, config: TrainingConfig, say: Say) -> Array:
    """Gives targets, float32 `[n, n_outputs]`, that are labels and teacher's scores mixed by `training.teacher_weight`.

    Args:
        targets: 0/1 `[n, n_outputs]`.
        splits: Train and validation must be those that the stack learned from, or it might know the answers of test. Extra
            rows, which it scored not, keep their labels, and how many is said.
        labels: Must be the teacher's.
        config: Names the teacher and its weight.
        say: Takes lines for a person.

    Raises:
        ConfigError: The task is multiclass.
        TrainingError: The teacher is no finished run of a stack, or of other labels or splits.
    """
    if labels.task == "multiclass":
        raise ConfigError(
            "training.teacher was set for a multiclass task.", "a binary or multilabel task", "Leave it out."
        )
    known, train = _read_teacher(Path(str(config.teacher)), splits, labels), splits.train
    rows = [i for i, text in enumerate(train.texts) if text in known]
    if len(rows) < len(train):
        say(f"{len(train) - len(rows):,} of {len(train):,} training examples are unknown to the teacher.")
    mixed = targets.astype(np.float32)
    scores = np.array([known[train.texts[i]] for i in rows], dtype=np.float32)
    mixed[rows] = (1 - config.teacher_weight) * mixed[rows] + config.teacher_weight * scores
    return mixed


def _read_teacher(run: Path, splits: Splits, labels: LabelSet) -> dict[str, list[float]]:
    import polars as pl

    expected, do = "a finished run of a stack (model.backbone=stack)", "Train one, and give its folder."
    if not run.is_dir():
        raise TrainingError(f"The teacher {run} does not exist.", expected, do)
    file = run / scores_file(HELD_OUT)
    if not file.is_file() or not (run / "metrics.json").is_file():
        raise TrainingError(f"{run} holds no held-out scores.", expected, do)
    try:
        data = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["data"]
        frame = pl.read_parquet(file, columns=["text", "scores"])
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise TrainingError(f"{run} cannot be read: {type(error).__name__}.", expected, do) from None
    if (data.get("task"), data.get("label_names")) != (labels.task, labels.names):
        raise TrainingError(
            f"The teacher {run} was trained for other labels: {data.get('label_names')}.", f"{labels.names}", do
        )
    prints = {"train": fingerprint(splits.own_train), "validation": fingerprint(splits.validation)}
    if any(data.get("fingerprints", {}).get(split) != value for split, value in prints.items()):
        raise TrainingError(
            f"The teacher {run} learned from other train or validation examples, perhaps from some of this test split.",
            "a stack that was trained on the same data with the same splits",
            "Train the stack on this data, with the same seed where splits are carved.",
        )
    return dict(zip(frame["text"].to_list(), frame["scores"].to_list(), strict=True))
