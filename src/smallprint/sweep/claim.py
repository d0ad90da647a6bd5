"""Is the winner better than the defaults? In: what both say of unseen examples, seed by seed. Out: a difference and its interval.

The interval covers both other seeds and other examples: each resample draws seeds (the same for both) and groups of examples
(the same for both). The winner was chosen by the same examples, so its numbers are still somewhat too good: test is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array
from smallprint.evaluation.compare_ranked import weighted_ap
from smallprint.evaluation.intervals import number_units
from smallprint.evaluation.ranking import one_hot
from smallprint.evaluation.side_by_side import FEWEST
from smallprint.sweep.judge import Judged

RESAMPLES, LEVEL = 1000, 0.95
FEWEST_SEEDS = 2  # the interval of one knows nothing of other seeds


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
        """Whether the whole interval is above 0, and stands on enough."""
        return self.low > 0 and can_tell(self.seeds, self.units)


def can_tell(seeds: int, units: int) -> bool:
    """Gives whether an interval over so many seeds and groups (or examples) can say better or worse."""
    return seeds >= FEWEST_SEEDS and units >= FEWEST


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
    units, n_units = number_units(groups)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=RESAMPLES)
    weights = np.vstack([np.ones((1, len(units))), draws[:, units]])
    apart = np.array(
        [
            weighted_score(one, weights) - weighted_score(other, weights)
            for one, other in zip(winner, default, strict=True)
        ]
    )
    drawn = rng.integers(0, len(apart), size=(RESAMPLES, len(apart)))
    means = np.mean(apart[:, 1:][drawn, np.arange(RESAMPLES)[:, None]], axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Claim(float(apart[:, 0].mean()), float(low), float(high), len(apart), n_units, over_groups)


def weighted_score(parts: Sequence[Judged], weights: Array) -> Array:
    """Gives macro average precision under each row of weights, the mean over parts, `[n_weights]`.

    Args:
        parts: What was judged.
        weights: `[n_weights, n]`, how often each example of the pool counts.
    """
    found = [
        weighted_ap(one_hot(part.targets, part.scores.shape[1]), part.scores, weights[:, part.rows].astype(np.float64))
        for part in parts
    ]
    return np.asarray(np.mean(found, axis=0))
