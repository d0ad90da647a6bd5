"""Decision thresholds. In: targets and scores of the validation split. Out: one threshold a label, and decisions by it.

A label is given where score >= threshold, everywhere in smallprint (LexGLUE's own measure alone says > 0.5).
It never sees the test split, and multiclass needs no thresholds: its decision is the highest score.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from smallprint.core.errors import ConfigError
from smallprint.core.results import Array
from smallprint.evaluation.checks import check_arrays

DEFAULT = 0.5


def tune_thresholds(
    targets: Array, scores: Array, task: str, method: Literal["f1", "fixed"] = "f1", minimum_positives: int = 5
) -> Array:
    """Thresholds, float64 `[n_outputs]`, with the best F1 of each label on this split.

    Each lies midway between two neighbouring distinct scores, so that rounding flips no decision; of several equally
    good ones it is the one nearest 0.5. A label with fewer positives than `minimum_positives` gets the threshold that
    is best for all labels together, and where even all together have fewer, 0.5. The trap: F1 on the split that tuned
    the thresholds is too good to be reported.

    Args:
        targets: Ids `[n]` (multiclass) or 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]` in [0, 1].
        task: "binary", "multiclass" (always 0.5, unused) or "multilabel".
        method: "f1", or "fixed" for 0.5 everywhere.
        minimum_positives: Fewest positives from which a label's own threshold is tuned.

    Returns:
        Thresholds `[n_outputs]`.

    Raises:
        ConfigError: Another method.
        DataError: Arrays that do not fit (see `check_arrays`).

    >>> tune_thresholds(np.array([[0], [1], [1]]), np.array([[0.1], [0.3], [0.9]]), "binary", minimum_positives=1)
    array([0.2])
    """
    if method not in ("f1", "fixed"):
        raise ConfigError(
            f"The threshold method is {method!r}.", "'f1' or 'fixed'", "Set evaluation.threshold to one of these."
        )
    targets, scores = np.asarray(targets), np.asarray(scores)
    check_arrays(targets, scores, task)
    n_outputs = scores.shape[1]
    if method == "fixed" or task == "multiclass":
        return np.full(n_outputs, DEFAULT)
    positives = np.count_nonzero(targets, axis=0)
    rare = positives < max(minimum_positives, 1)
    shared = DEFAULT
    if rare.any() and positives.sum() >= max(minimum_positives, 1):
        shared = best_threshold(targets.ravel(), scores.ravel())
    return np.array(
        [shared if rare[k] else best_threshold(targets[:, k], scores[:, k]) for k in range(n_outputs)],
        dtype=np.float64,
    )


def apply_thresholds(scores: Array, thresholds: Array, task: str) -> Array:
    """Decisions, int8 0/1 `[n, n_outputs]`: score >= threshold, or the one highest score (multiclass).

    Of equal highest scores the first wins, as with `argmax`.
    """
    if task == "multiclass":
        decided = np.zeros(scores.shape, dtype=np.int8)
        decided[np.arange(scores.shape[0]), scores.argmax(axis=1)] = 1
        return decided
    return (scores >= np.asarray(thresholds, dtype=np.float64)).astype(np.int8)


def best_threshold(targets: Array, scores: Array) -> float:
    """The threshold with the best F1 for one column `[n]` that has at least one positive."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order].astype(np.float64)
    hits = np.cumsum(targets[order], dtype=np.int64)
    last = np.flatnonzero(
        np.append(ordered[1:] != ordered[:-1], True)
    )  # only whole groups of equal scores can be cut off
    f1 = 2 * hits[last] / (last + 1 + hits[-1])  # 2 hits / (predicted + support); equal fractions give equal floats
    kept = ordered[last]
    next_lower = np.append(ordered[last[:-1] + 1], min(0.0, ordered[-1]))
    middle = (kept + next_lower) / 2
    # Of two very near float32 scores the middle, rounded to float32, can be the lower one: then cut at the upper.
    middle = np.where(middle.astype(np.float32) <= next_lower, kept, middle)
    best = np.flatnonzero(f1 == f1.max())
    return float(middle[best[np.argmin(np.abs(middle[best] - DEFAULT))]])
