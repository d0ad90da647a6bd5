"""Precision, recall and F1 from counts. In: 0/1 arrays, or counts already summed. Out: one number a label.

Counts add up, so the same formulas serve a whole split, the micro average and a thousand bootstrap resamples at once.
Nothing here knows thresholds or scores. Wherever a denominator is 0 the result is 0 (scikit-learn's `zero_division=0`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from smallprint.core.results import Array


class Counts(NamedTuple):
    """Numbers of examples per label, int64, all of one shape.

    `hits` are true positives, `predicted` is what was said, `support` what is true.
    """

    hits: Array
    predicted: Array
    support: Array


def count_decisions(truth: Array, decided: Array) -> Counts:
    """Counts of each label, `[n_labels]`, from 0/1 or bool arrays `[n, n_labels]`."""
    truth, decided = truth.astype(bool), decided.astype(bool)
    return Counts(*(np.count_nonzero(a, axis=0).astype(np.int64) for a in (truth & decided, decided, truth)))


def precision(counts: Counts) -> Array:
    """Share of what was said that is true: hits / predicted."""
    return _divide(counts.hits, counts.predicted)


def recall(counts: Counts) -> Array:
    """Share of what is true that was said: hits / support."""
    return _divide(counts.hits, counts.support)


def f1(counts: Counts) -> Array:
    """Harmonic mean of precision and recall, as 2 hits / (predicted + support) (van Rijsbergen 1979).

    >>> f1(Counts(np.array([2]), np.array([3]), np.array([5]))).tolist()
    [0.5]
    """
    return _divide(2 * counts.hits, counts.predicted + counts.support)


def micro(counts: Counts) -> Counts:
    """Counts of all labels together (shape `[]`): what micro averages are computed from."""
    return Counts(*(np.asarray(part.sum()) for part in counts))


def _divide(above: Array, below: Array) -> Array:
    out = np.zeros(np.shape(below), dtype=np.float64)
    return np.asarray(np.divide(above, below, out=out, where=np.asarray(below) != 0))
