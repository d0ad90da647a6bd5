"""Is one ranking better than another? In: truth and both models' scores. Out: the difference in average precision, with p.

As `compare.paired_bootstrap`, for a measure that does not come from sums of counts: each resample weighs the examples, and
average precision is computed anew with these weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.results import Array
from smallprint.evaluation.compare import ROUNDING, PairedDifference
from smallprint.evaluation.intervals import number_units

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
        groups: One value an example; equal ones are drawn together, None alone.
        resamples: How often; fewer for very large splits, 200 at least.
        level: Share of resamples inside the interval.
        seed: Of the draws.

    Raises:
        DataError: Fewer than two examples or groups.
    """
    n, n_labels = truth.shape
    units, n_units = number_units(groups if groups is not None else range(n))
    if n_units < 2:
        raise DataError("There is one example or group to draw from.", "at least two", "Compare on more of them.")
    resamples = min(resamples, max(FEWEST_RESAMPLES, MOST_CELLS // (n * n_labels)))
    found = np.concatenate(
        [
            weighted_ap(truth, scores_b, weights) - weighted_ap(truth, scores_a, weights)
            for weights in draw_weights(units, n_units, resamples, seed)
        ]
    )
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    whole = np.ones((1, n))
    rarer = min(np.count_nonzero(found <= ROUNDING), np.count_nonzero(found >= -ROUNDING))
    return PairedDifference(
        difference=float((weighted_ap(truth, scores_b, whole) - weighted_ap(truth, scores_a, whole))[0]),
        low=float(low),
        high=float(high),
        p=min(1.0, 2 * (rarer + 1) / (resamples + 1)),
        units=n_units,
        over_groups=groups is not None,
        level=level,
        resamples=resamples,
    )


def draw_weights(units: Array, n_units: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yields how often each example counts in so many resamples of whole units, float64 `[r, n]`, as many at once as fit.

    Args:
        units: Number of the unit of each example, `[n]`, as `number_units` gives it.
        n_units: How many there are.
        resamples: In all.
        seed: Of the draws.
    """
    rng, at_once = np.random.default_rng(seed), max(1, CELLS_AT_ONCE // len(units))
    for start in range(0, resamples, at_once):
        drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=min(at_once, resamples - start))
        yield drawn[:, units].astype(np.float64)


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


__all__ = ["draw_weights", "ranked_difference", "weighted_ap"]
