"""Checks of arrays at the door. In: targets, scores, names. Out: nothing, or a `DataError` that says where.

It computes no metric and repairs nothing: a NaN score is an error here, never a zero.
"""

from __future__ import annotations

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.results import Array, ScoredSplit

ROUNDING = 1e-6
"""How far a score may stand outside [0, 1]: float32 softmax goes past 1 by this much."""


def check_arrays(targets: Array, scores: Array, task: str) -> None:
    """Raise unless the two arrays fit each other and the task.

    Args:
        targets: Ids `[n]` (multiclass) or 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]` in [0, 1].
        task: "binary", "multiclass" or "multilabel".

    Raises:
        DataError: Unknown task, no examples, shapes that do not fit, NaN or infinite scores, scores outside [0, 1],
            targets that are not 0/1, ids outside the range of labels.
    """
    if task not in ("binary", "multiclass", "multilabel"):
        raise DataError(f"The task is {task!r}.", "binary, multiclass or multilabel", "Pass one of these three.")
    if scores.ndim != 2 or scores.shape[1] == 0 or (task == "binary" and scores.shape[1] != 1):
        wanted = "[n, 1], the positive label's column" if task == "binary" else "[n, n_labels]"
        raise DataError(f"Scores have shape {list(scores.shape)} ({task}).", f"shape {wanted}", "Reshape the scores.")
    fits = targets.shape == (scores.shape[:1] if task == "multiclass" else scores.shape)
    if not fits:
        wanted = f"{[scores.shape[0]]} ids" if task == "multiclass" else f"{list(scores.shape)}, as the scores"
        raise DataError(
            f"Targets have shape {list(targets.shape)}, scores {list(scores.shape)} ({task}).",
            f"targets of shape {wanted}",
            "Pass targets and scores of the same examples, in the same order.",
        )
    if scores.shape[0] == 0:
        raise DataError("The split has no examples.", "at least one", "Check how the data was split.")
    check_scores(scores)
    _check_targets(targets, scores.shape[1], task)


def check_scored(scored: ScoredSplit) -> None:
    """Raise unless a scored split can be evaluated: arrays as in `check_arrays`, one name a label, one text an example.

    `texts` may be empty: then only numbers can be computed from it.

    Raises:
        DataError: What `check_arrays` finds, or names or texts whose number does not fit the arrays.
    """
    targets, scores = np.asarray(scored.targets), np.asarray(scored.scores)
    check_arrays(targets, scores, scored.task)
    wanted = 2 if scored.task == "binary" else scores.shape[1]
    if len(scored.label_names) != wanted:
        raise DataError(
            f"Split {scored.split!r} has {len(scored.label_names)} label names for {scores.shape[1]} score column(s).",
            f"{wanted} names" + (" (negative, positive)" if scored.task == "binary" else ""),
            "Pass the label names in the order of the score columns.",
        )
    if scored.texts and len(scored.texts) != scores.shape[0]:
        raise DataError(
            f"Split {scored.split!r} has {len(scored.texts)} texts and {scores.shape[0]} rows of scores.",
            "one text per row (or none at all)",
            "Pass texts and scores of the same examples, in the same order.",
        )


def check_thresholds(thresholds: Array, n_outputs: int) -> None:
    """Raise unless there is one finite threshold per score column.

    Raises:
        DataError: Another shape, or a threshold that is NaN or infinite.
    """
    if thresholds.shape != (n_outputs,) or not np.isfinite(thresholds).all():
        raise DataError(
            f"Thresholds are {thresholds.tolist()}.",
            f"{n_outputs} finite number(s), one per score column",
            "Use the thresholds that were tuned for these labels.",
        )


def check_scores(scores: Array) -> None:
    """Raises a `DataError` where scores are not finite or outside [0, 1]."""
    bad = ~np.isfinite(scores)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{int(bad.sum())} score(s) are NaN or infinite, the first in row {row}, column {column}.",
            "finite scores",
            "Look for a training that diverged (lower the learning rate) or a text that the model cannot read.",
        )
    low, high = float(scores.min()), float(scores.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise DataError(
            f"Scores reach from {low:.4g} to {high:.4g}.",
            "scores in [0, 1]",
            "Put logits through sigmoid (binary, multilabel) or softmax (multiclass) first.",
        )


def _check_targets(targets: Array, n_outputs: int, task: str) -> None:
    if task == "multiclass":
        bad = (targets < 0) | (targets >= n_outputs) | (targets != np.floor(targets))
        wanted = f"whole ids from 0 to {n_outputs - 1}"
    else:
        bad = (targets != 0) & (targets != 1)
        wanted = "0 or 1"
    if bad.any():
        place = np.argwhere(bad)[0]
        raise DataError(
            f"{int(bad.sum())} target(s) cannot be used, the first is {targets[tuple(place)]} in row {place[0]}.",
            wanted,
            "Encode the labels with the same label names as the scores.",
        )
