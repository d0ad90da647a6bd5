"""Is one ranking better than another? In: truth and both models' scores. Out: the difference in average precision, with p.

As `compare.paired_bootstrap`, for a measure that does not come from sums of counts: each resample weighs the examples, and
average precision is computed anew with these weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.results import Array
from smallprint.evaluation.compare import ROUNDING, PairedDifference

CELLS_AT_ONCE = 4_000_000
MOST_CELLS = 400_000_000  # weights times labels of all resamples: beyond, fewer are drawn
FEWEST_RESAMPLES = 200


def ranked_difference(
    truth: Array,
    scores_a: Array,
    scores_b: Array,
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Gives macro average precision of B less that of A, with its percentile interval; the same groups are drawn for both.

    A label that a resample holds no positive of is left out of that resample's mean, for both.

    Args:
        truth: 0/1 `[n, n_labels]`.
        scores_a: `[n, n_labels]`.
        scores_b: The same for B.
        groups: One value an example; equal ones are drawn together.
        resamples: How often; fewer for very large splits, 200 at least.
        level: Share of resamples inside the interval.
        seed: Of the draws.

    Raises:
        DataError: Fewer than two examples or groups.
    """
    n, n_labels = truth.shape
    ids: dict[object, int] = {}
    units = np.array([ids.setdefault(group, len(ids)) for group in (groups if groups is not None else range(n))])
    if len(ids) < 2:
        raise DataError("There is one example or group to draw from.", "at least two", "Compare on more of them.")
    resamples = min(resamples, max(FEWEST_RESAMPLES, MOST_CELLS // (n * n_labels)))
    rng = np.random.default_rng(seed)
    at_once, parts = max(1, CELLS_AT_ONCE // n), []
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        drawn = rng.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=size)
        weights = drawn[:, units].astype(np.float64)
        parts.append(weighted_ap(truth, scores_b, weights) - weighted_ap(truth, scores_a, weights))
    found = np.concatenate(parts)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    whole = np.ones((1, n))
    rarer = min(np.count_nonzero(found <= ROUNDING), np.count_nonzero(found >= -ROUNDING))
    return PairedDifference(
        difference=float((weighted_ap(truth, scores_b, whole) - weighted_ap(truth, scores_a, whole))[0]),
        low=float(low),
        high=float(high),
        p=min(1.0, 2 * (rarer + 1) / (resamples + 1)),
        units=len(ids),
        over_groups=groups is not None,
        level=level,
        resamples=resamples,
    )


def weighted_ap(truth: Array, scores: Array, weights: Array) -> Array:
    """Gives macro average precision of weighted examples, `[r]`; equal scores stand together, as scikit-learn has it.

    Args:
        truth: 0/1 `[n, n_labels]`.
        scores: `[n, n_labels]`.
        weights: `[r, n]`, not negative.
    """
    total, defined = np.zeros(len(weights)), np.zeros(len(weights))
    for k in range(truth.shape[1]):
        order = np.argsort(-scores[:, k], kind="stable")
        ordered = scores[order, k]
        last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        weighed = weights[:, order]
        said = np.cumsum(weighed, axis=1)[:, last]
        hits = np.cumsum(weighed * truth[order, k], axis=1)[:, last]
        precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
        positives = hits[:, -1]
        steps = np.diff(hits, axis=1, prepend=0.0)
        some = positives > 0
        total += np.where(some, (steps * precision).sum(axis=1) / np.where(some, positives, 1.0), 0.0)
        defined += some
    return np.asarray(total / np.maximum(defined, 1))


__all__ = ["ranked_difference", "weighted_ap"]
