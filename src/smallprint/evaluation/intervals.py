"""Uncertainty of a measured score. In: counts of each example, and what to compute from their sum. Out: an `Interval`.

The bootstrap (Efron 1979; percentile interval) draws whole groups where there are groups, because sentences of one
document are not independent. It tells how much the score would move with another test set of the same kind, and nothing
of what another training seed would change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.results import Array

CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """Where a score lies with probability `level`, by resampling `units` examples or groups."""

    low: float
    high: float
    level: float
    resamples: int
    units: int
    over_groups: bool


def bootstrap_interval(
    counts: Array,
    statistic: Callable[[Array], Array],
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Percentile bootstrap interval of a statistic of summed counts; None where fewer than two units can be drawn.

    Examples with equal counts are drawn together (one multinomial draw instead of one draw each), which changes no
    probability and makes it fast. The same seed gives the same interval.

    Args:
        counts: `[n, n_counts]`, what each example adds (hits, predicted, support, a one for the mean...).
        statistic: Sums `[resamples, n_counts]` to scores `[resamples]`; NaN where a resample has none.
        groups: One value an example; equal values are drawn together. None inside means a group of its own.
        resamples: How many times the split is drawn again.
        level: Share of resamples inside the interval.
        seed: Seed of the draws.

    Raises:
        DataError: Groups that are not aligned with the examples.
    """
    counts = np.asarray(counts)
    if groups is not None:
        counts = sum_by_group(counts, groups)
    units = counts.shape[0]
    if units < 2:
        return None
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // len(times))
    scores = []
    for start in range(0, resamples, at_once):
        draws = rng.multinomial(units, times / units, size=min(at_once, resamples - start))
        scores.append(statistic(draws.astype(np.float64) @ kinds.astype(np.float64)))
    drawn = np.concatenate(scores)
    if np.isnan(drawn).all():
        return None
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, resamples, units, groups is not None)


def sum_by_group(counts: Array, groups: Sequence[object]) -> Array:
    """Gives the sums of `counts` over each group, `[n_groups, n_counts]`; None is a group of its own.

    Raises:
        DataError: Groups that are not aligned with the examples.
    """
    if len(groups) != counts.shape[0]:
        raise DataError(
            f"There are {len(groups)} group values for {counts.shape[0]} examples.",
            "one group value per example, in the same order",
            "Pass the group column of the split that was scored.",
        )
    rows, n = number_units(groups)
    sums = np.zeros((n, counts.shape[1]), dtype=np.result_type(counts.dtype, np.int64))  # int8 would overflow
    np.add.at(sums, rows, counts)
    return sums


def number_units(groups: Sequence[object]) -> tuple[Array, int]:
    """Gives the number of what each example is drawn with, int64 `[n]` from 0, and how many there are; None is drawn alone."""
    ids: dict[object, int] = {}
    alone = object()
    rows = [ids.setdefault((alone, row) if group is None else group, len(ids)) for row, group in enumerate(groups)]
    return np.array(rows, dtype=np.int64), len(ids)
