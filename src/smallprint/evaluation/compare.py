"""Is one system better than another? In: counts of each example for both, or scores over seeds. Out: differences, p.

`paired_bootstrap` and `approximate_randomisation` compare two systems on the same examples; they know nothing of other
training seeds. `almost_stochastic_order` compares scores over seeds and knows nothing of the examples. None of them
corrects for having compared many systems.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.errors import ConfigError, DataError
from smallprint.core.results import Array
from smallprint.evaluation.counts import Counts, f1
from smallprint.evaluation.intervals import CELLS_AT_ONCE, bootstrap_interval, sum_by_group
from smallprint.evaluation.lexglue import with_none

ROUNDING = 1e-12
"""Differences this near are equal: another order of adding moves a score by less."""


@dataclass(frozen=True)
class PairedDifference:
    """Score of B minus score of A, where it lies with probability `level`, and the two-sided p of no difference."""

    difference: float
    low: float
    high: float
    p: float
    units: int
    over_groups: bool
    level: float
    resamples: int

    @property
    def better(self) -> bool:
        """Whether B is better than A: the whole interval is above 0."""
        return self.low > 0


def paired_bootstrap(
    counts_a: Array,
    counts_b: Array,
    statistic: Callable[[Array], Array],
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Difference B - A with its percentile interval; each resample draws the same examples or groups for both.

    What is hard for both systems then moves both scores alike, so the interval of the difference is narrower than the
    two intervals tell (Efron & Tibshirani 1993; Berg-Kirkpatrick et al. 2012, EMNLP). p is twice the share of resamples
    on the rarer side of 0, zeros counted on both, with one added to hits and resamples.

    Args:
        counts_a: `[n, n_counts]`, what each example adds for A.
        counts_b: The same for B: the same examples in the same order.
        statistic: Sums `[resamples, n_counts]` to scores `[resamples]`, higher is better.
        groups: One value an example; equal values are drawn together. None inside means a group of its own.
        resamples: How many times the examples are drawn again.
        level: Share of resamples inside the interval.
        seed: Seed of the draws.

    Raises:
        ConfigError: No resamples, or a level outside (0, 1).
        DataError: Counts that do not fit each other or are not finite, groups that are not aligned with them, or fewer
            than two examples or groups.
    """
    _check_times(resamples, "resamples")
    _check_share(level, "level")
    counts_a, counts_b = _check_pair(counts_a, counts_b)
    width = counts_a.shape[1]
    drawn: list[Array] = []

    def difference(sums: Array) -> Array:
        drawn.append(np.asarray(statistic(sums[:, width:]) - statistic(sums[:, :width])))
        return drawn[-1]

    both = np.hstack([counts_a, counts_b])
    interval = bootstrap_interval(both, difference, groups=groups, resamples=resamples, level=level, seed=seed)
    if interval is None:
        raise DataError("There is one example or group to draw from.", "at least two", "Compare on more of them.")
    found = np.concatenate(drawn)
    rarer = min(np.count_nonzero(found <= ROUNDING), np.count_nonzero(found >= -ROUNDING))
    return PairedDifference(
        difference=float(difference(both.sum(axis=0, keepdims=True))[0]),
        low=interval.low,
        high=interval.high,
        p=min(1.0, 2 * (rarer + 1) / (resamples + 1)),
        units=interval.units,
        over_groups=interval.over_groups,
        level=level,
        resamples=resamples,
    )


def approximate_randomisation(
    counts_a: Array,
    counts_b: Array,
    statistic: Callable[[Array], Array],
    *,
    groups: Sequence[object] | None = None,
    trials: int = 5000,
    seed: int = 0,
) -> float:
    """Two-sided p of no difference, (hits + 1) / (trials + 1), by swapping what A and B said (Noreen 1989).

    Each trial swaps the two systems' counts of every example, or whole group, with probability 1/2; a hit is a trial
    whose difference is at least as large, in size, as the real one. Examples with the same difference share a binomial
    draw, which changes no probability. Arguments and errors as in `paired_bootstrap`, but one example is enough (p 1).
    """
    _check_times(trials, "trials")
    counts_a, counts_b = _check_pair(counts_a, counts_b)
    apart = counts_b - counts_a
    if groups is not None:
        apart = sum_by_group(apart, groups)
    total_a, total_b = (counts.sum(axis=0, keepdims=True) for counts in (counts_a, counts_b))
    kinds, times = np.unique(apart[apart.any(axis=1)], axis=0, return_counts=True)
    observed = abs(float((statistic(total_b) - statistic(total_a))[0]))
    rng = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // max(1, len(times)))
    hits = 0
    for start in range(0, trials, at_once):
        swaps = rng.binomial(times, 0.5, size=(min(at_once, trials - start), len(times)))
        moved = swaps.astype(np.float64) @ kinds
        found = np.abs(statistic(total_b - moved) - statistic(total_a + moved))
        hits += int(np.count_nonzero(found >= observed - ROUNDING))
    return (hits + 1) / (trials + 1)


def almost_stochastic_order(
    scores_a: Sequence[float] | Array,
    scores_b: Sequence[float] | Array,
    *,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> float:
    """Upper bound, in [0, 1], of how far A is from being stochastically larger than B; below 0.5 A is the better one.

    The distance is the share of the squared Wasserstein-2 distance of both quantile functions that lies where A's is
    below B's; 0 means that A is above B at every quantile, and two equal sets of scores have 0.5. The bound adds
    z(confidence) times the standard error, whose spread comes from the bootstrap (del Barrio, Cuesta-Albertos & Matran
    2018; Dror, Shlomov & Reichart 2019, ACL). It is not symmetric: ask for both orders. Two traps: a few seeds without
    overlap give 0 already, and of two equal systems (normal scores, 5 to 30 seeds) one in five bounds falls below 0.5,
    one in twenty below 0.2, so 0.2 is the safer limit.

    Args:
        scores_a: `[n]`, one score a seed, higher is better.
        scores_b: `[m]`, the same for B; m may differ from n.
        bootstraps: How many times both are drawn again.
        confidence: Probability that the bound holds; 0.5 gives the plain estimate.
        seed: Seed of the draws.

    Raises:
        ConfigError: No bootstraps, or a confidence outside (0, 1).
        DataError: Fewer than two scores of a system, or scores that are not finite.

    >>> almost_stochastic_order([0.81, 0.82, 0.83], [0.71, 0.72, 0.73])
    0.0
    """
    from scipy.stats import norm

    _check_times(bootstraps, "bootstraps")
    _check_share(confidence, "confidence")
    a, b = (np.sort(np.asarray(scores, dtype=np.float64)) for scores in (scores_a, scores_b))
    for scores in (a, b):
        if scores.ndim != 1 or scores.size < 2 or not np.isfinite(scores).all():
            found = f"The scores of one system are {scores.tolist()}."
            raise DataError(found, "at least two finite scores, one a seed", "Train both systems with more seeds.")
    rng = np.random.default_rng(seed)
    again_a, again_b = (np.sort(s[rng.integers(0, s.size, (bootstraps, s.size))], axis=1) for s in (a, b))
    estimate = float(_violation(a[None], b[None])[0])
    # The papers' sqrt(nm / (n + m)) scales the spread up and back down again: the standard error is the spread itself.
    error = float(_violation(again_a, again_b).std())
    return float(np.clip(estimate + norm.ppf(confidence) * error, 0.0, 1.0))


def f1_counts(truth: Array, decided: Array, *, none_column: bool = False) -> Array:
    """What each example adds to F1, int64 `[n, 3 k]`: k columns of hits, then k of predicted, then k of support.

    Args:
        truth: 0/1 or bool `[n, n_labels]`.
        decided: Decisions of one system, of the same shape.
        none_column: Add LexGLUE's column for no label at all (k is then n_labels + 1).

    Raises:
        DataError: Shapes that differ, or entries other than 0 and 1.

    >>> f1_counts(np.array([[1, 0]]), np.array([[1, 1]])).tolist()
    [[1, 0, 1, 1, 1, 0]]
    """
    truth, decided = np.asarray(truth), np.asarray(decided)
    if truth.ndim != 2 or truth.shape != decided.shape or not all(np.isin(a, (0, 1)).all() for a in (truth, decided)):
        found = f"Truth has shape {list(truth.shape)}, decisions {list(decided.shape)}, or entries other than 0 and 1."
        do = "Pass decisions (after thresholds, not scores) of the same examples, in the same order."
        raise DataError(found, "0/1 arrays of one shape [n, n_labels]", do)
    truth, decided = (with_none(a) if none_column else a.astype(bool) for a in (truth, decided))
    return np.hstack([truth & decided, decided, truth]).astype(np.int64)


def macro_f1_of(sums: Array) -> Array:
    """Mean F1 over columns, `[r]`, from sums `[r, 3 k]` of `f1_counts`; an F1 without a denominator counts 0."""
    return np.asarray(f1(_counts_of(sums)).mean(axis=1))


def resampled(statistic: Callable[[Array], Array], counts: Array) -> Callable[[Array], Array]:
    """Gives the statistic for resamples of `counts`, `[n, n_counts]`: of `macro_f1_of` one that leaves out what a resample lost.

    A label of which a resample holds no trace, neither true nor said, would count 0 and push the interval down for no fault of the model.
    One of which the counts hold no trace at all counts 0, as in the score itself. Where nothing is left the score is NaN.
    """
    if statistic is not macro_f1_of:
        return statistic
    _, predicted, support = _counts_of(np.asarray(counts).sum(axis=0, dtype=np.int64)[None])
    empty = predicted + support == 0

    def macro_f1(sums: Array) -> Array:
        parts = _counts_of(sums)
        counted = (((parts.predicted + parts.support) > 0) | empty).sum(axis=1)
        return np.asarray(np.divide(f1(parts).sum(axis=1), counted, out=np.full(len(sums), np.nan), where=counted > 0))

    return macro_f1


def micro_f1_of(sums: Array) -> Array:
    """F1 of all columns' counts together, `[r]`, from sums `[r, 3 k]` of `f1_counts`."""
    return f1(Counts(*(part.sum(axis=1) for part in _counts_of(sums))))


def _counts_of(sums: Array) -> Counts:
    return Counts(*np.split(sums, 3, axis=1))


def _violation(a: Array, b: Array) -> Array:
    """Share of the squared distance where A's quantiles are below B's, `[r]`, of sorted `[r, n]` and `[r, m]`."""
    n, m = a.shape[1], b.shape[1]
    # Both quantile functions are steps; in units of 1 / (n m) all their edges are whole numbers, and the integral exact.
    edges = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    apart = a[:, edges[:-1] // m] - b[:, edges[:-1] // n]
    parts = apart**2 * np.diff(edges)
    total, below = parts.sum(axis=1), np.where(apart < 0, parts, 0.0).sum(axis=1)
    return np.asarray(np.divide(below, total, out=np.full(total.shape, 0.5), where=total > 0))


def _check_pair(counts_a: Array, counts_b: Array) -> tuple[Array, Array]:
    """Both as float64 (small integers would overflow when added, and bools would not add), of one shape."""
    a, b = np.asarray(counts_a, dtype=np.float64), np.asarray(counts_b, dtype=np.float64)
    if a.ndim != 2 or a.shape != b.shape or not a.size or not (np.isfinite(a).all() and np.isfinite(b).all()):
        found = f"Counts of the two systems have shapes {list(a.shape)} and {list(b.shape)}, or are not all finite."
        wanted = "finite counts of one shape [n, n_counts], at least one example"
        raise DataError(found, wanted, "Count both systems on the same examples, in the same order.")
    return a, b


def _check_times(times: int, name: str) -> None:
    if times < 1:
        raise ConfigError(f"There are {times} {name}.", "at least 1", f"Pass more {name}.")


def _check_share(share: float, name: str) -> None:
    if not 0 < share < 1:
        raise ConfigError(f"The {name} is {share}.", "a number between 0 and 1", "0.95 is usual.")
