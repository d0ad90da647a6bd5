"""Is the winner better than the defaults? In: what both say of unseen examples, seed by seed. Out: a difference and its interval.

The interval covers both other seeds and other examples: each resample draws seeds (the same for both) and groups of examples
(the same for both). The winner was chosen by the same examples, so its numbers are still somewhat too good: test is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array
from smallprint.evaluation.ranking import one_hot
from smallprint.sweep.judge import Judged

RESAMPLES, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Claim:
    """Difference of mean average precision, winner minus default, and where it lies with probability `LEVEL`."""

    difference: float
    low: float
    high: float
    seeds: int
    units: int
    over_groups: bool

    @property
    def better(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0


def compare_seeds(
    winner: Sequence[list[Judged]], default: Sequence[list[Judged]], groups: Sequence[object], seed: int = 0
) -> Claim:
    """Gives the difference winner - default over seeds, paired by seed and by example.

    Args:
        winner: For each seed what was judged, part by part.
        default: The same of the defaults: equal parts of equal examples.
        groups: Of each example of the pool; None is a group of its own.
        seed: Of the draws.
    """
    over_groups = any(group is not None for group in groups)
    ids: dict[object, int] = {}
    units = np.array([ids.setdefault((None, i) if g is None else g, len(ids)) for i, g in enumerate(groups)])
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=RESAMPLES)
    weights = np.vstack([np.ones((1, len(units))), draws[:, units]])
    apart = np.array(
        [
            weighted_score(one, weights) - weighted_score(other, weights)
            for one, other in zip(winner, default, strict=True)
        ]
    )
    drawn = rng.integers(0, len(apart), size=(RESAMPLES, len(apart)))
    means = np.nanmean(apart[:, 1:][drawn, np.arange(RESAMPLES)[:, None]], axis=1)
    low, high = np.nanquantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Claim(float(apart[:, 0].mean()), float(low), float(high), len(apart), len(ids), over_groups)


def weighted_score(parts: Sequence[Judged], weights: Array) -> Array:
    """Gives macro average precision under each row of weights, the mean over parts, `[n_weights]`.

    Args:
        parts: What was judged.
        weights: `[n_weights, n]`, how often each example of the pool counts.
    """
    with np.errstate(invalid="ignore"):
        found = []
        for part in parts:
            truth = one_hot(part.targets, part.scores.shape[1])
            own = weights[:, part.rows]
            labels = [
                weighted_precision(truth[:, k], part.scores[:, k], own) for k in np.flatnonzero(truth.any(axis=0))
            ]
            found.append(_mean_defined(np.array(labels)))
        return _mean_defined(np.array(found))


def weighted_precision(truth: Array, scores: Array, weights: Array) -> Array:
    """Gives average precision under each row of weights, `[n_weights]`; NaN where no positive counts. Equal scores stand together.

    Args:
        truth: 0/1 `[n]`.
        scores: `[n]`.
        weights: `[n_weights, n]`.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    ordered = weights[:, order].astype(np.float64)
    hits = np.cumsum(ordered * truth[order], axis=1)[:, ends]
    said = np.cumsum(ordered, axis=1)[:, ends]
    precision = np.divide(hits, said, out=np.zeros_like(hits), where=said > 0)
    steps = np.diff(hits, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((steps * precision).sum(axis=1) / hits[:, -1])


def _mean_defined(values: Array) -> Array:
    """Gives means over the first axis of what is not NaN."""
    defined = ~np.isnan(values)
    return np.asarray(np.where(defined, values, 0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1))
