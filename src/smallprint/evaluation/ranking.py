"""Measures that need no threshold. In: targets and scores. Out: average precision per label, and its mean.

Average precision is scikit-learn's: the sum over thresholds of (recall step) x precision, without interpolation.
A label without positives has none; it is left out of means, and the caller says how many were left out.
"""

from __future__ import annotations

import numpy as np

from smallprint.core.results import Array
from smallprint.evaluation.checks import check_arrays


def any_score(scores: Array) -> Array:
    """Gives the score of having any label, `[n, 1]`: 1 - product of (1 - score), as if labels came independently."""
    return np.asarray(1 - np.prod(1 - scores.astype(np.float64), axis=1, keepdims=True))


def one_hot(targets: Array, n_labels: int) -> Array:
    """0/1 int8 `[n, n_labels]` from ids `[n]`; 0/1 targets pass unchanged."""
    if targets.ndim == 2:
        return targets
    out = np.zeros((targets.shape[0], n_labels), dtype=np.int8)
    out[np.arange(targets.shape[0]), targets.astype(np.int64)] = 1
    return out


def average_precision(targets: Array, scores: Array) -> Array:
    """Average precision of each label, float64 `[n_labels]`; NaN for a label without positives.

    Args:
        targets: 0/1 `[n, n_labels]`.
        scores: `[n, n_labels]`.
    """
    out = np.full(scores.shape[1], np.nan)
    for k in np.flatnonzero(targets.any(axis=0)):
        out[k] = _area_under_steps(targets[:, k], scores[:, k])
    return out


def _area_under_steps(truth: Array, scores: Array) -> float:
    """Gives the average precision of one label with positives, to the bit what scikit-learn gives, without its checks.

    They take several times as long as sorting, and a small head is scored after each epoch, in a fraction of a second.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)  # of each group of equal scores
    hits = np.cumsum(truth[order], dtype=np.float64)[last]
    precision, recall = (hits / (last + 1))[::-1], np.append((hits / hits[-1])[::-1], 0.0)
    return float(max(0.0, -np.sum(np.diff(recall) * precision)))


def average_precision_macro(targets: Array, scores: Array) -> float:
    """Mean average precision over the labels with at least one positive; 0.0 where no label has any.

    Args:
        targets: Ids `[n]` (each label against the rest) or 0/1 `[n, n_labels]`.
        scores: `[n, n_labels]` in [0, 1].

    Raises:
        DataError: Arrays that do not fit each other (see `check_arrays`).

    >>> average_precision_macro(np.array([[1, 0], [0, 0]]), np.array([[0.9, 0.2], [0.1, 0.3]]))
    1.0
    """
    targets, scores = np.asarray(targets), np.asarray(scores)
    check_arrays(targets, scores, "multiclass" if targets.ndim == 1 else "multilabel")
    return mean_defined(average_precision(one_hot(targets, scores.shape[1]), scores))


def average_precision_micro(targets: Array, scores: Array) -> float:
    """Average precision of all labels' scores in one ranking; 0.0 without any positive."""
    return mean_defined(average_precision(targets.reshape(-1, 1), scores.reshape(-1, 1)))


def mean_defined(values: Array) -> float:
    """Mean of the entries that are not NaN; 0.0 where all are."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else 0.0
