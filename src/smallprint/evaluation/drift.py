"""Whether new texts differ from those that a model knows, in five measures. In: numbers of both and `Moves`. Out: a `Drift`.

Each measure has one p-value by permutation (within a measure of several labels: of the largest difference, Westfall & Young 1993), the
five are corrected together (Holm 1979), so that of data that did not move something is said with probability alpha at most. It knows no
texts and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from smallprint.core.results import Array
from smallprint.evaluation.moves import Moves, holm, p_of
from smallprint.evaluation.two_sample import tell_apart

Name = Literal["labels", "scores", "lengths", "words", "texts"]
NAMES: tuple[Name, ...] = ("labels", "scores", "lengths", "words", "texts")
CUTS, BINS = 32, 10
MOST_COLUMNS = 200  # labels beyond: those with the highest mean scores are compared


@dataclass(frozen=True)
class Part:
    """One compared number.

    Attributes:
        name: Label, or what is compared.
        before: Mean in the reference.
        now: Mean in the new texts.
        low: Lower end of the 95% interval of now less before, where there is one.
        high: Its upper end.
        p: Adjusted within the measure.
        ks: Kolmogorov-Smirnov distance of the distributions, in [0, 1]; None for shares.
        psi: Population stability index over tenths of the reference.
        js: Jensen-Shannon divergence over the same, in bits (Lin 1991).
    """

    name: str
    before: float
    now: float
    low: float | None
    high: float | None
    p: float
    ks: float | None = None
    psi: float | None = None
    js: float | None = None


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: labels, scores, lengths, words or texts.
        size: What a limit is compared with: labels: largest change of a share; scores, lengths and words: largest
            Kolmogorov-Smirnov distance; texts: area under a classifier's curve.
        chance: Median of `size` where nothing moves.
        p: By permutation.
        p_adjusted: For all measures together.
        moved: `p_adjusted` is at most alpha.
        over: It moved, and by more than its limit.
        low: Of the 95% interval of `size`, where it has one of its own (texts).
        high: Of the same.
        parts: What was compared, the most moved first.
    """

    name: Name
    size: float
    chance: float
    p: float
    p_adjusted: float = 1.0
    moved: bool = False
    over: bool = False
    low: float | None = None
    high: float | None = None
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Drift:
    """What moved.

    Attributes:
        alpha: Probability of saying that something moved where nothing did.
        reference: Rows of the reference, and units that are drawn together.
        new: The same of the new texts.
        by_group: Units are documents (or another group); else every text is one.
        measures: The five, or four where it is not known how rare words were in training.
        notes: What to know of it, in words.
    """

    alpha: float
    reference: tuple[int, int]
    new: tuple[int, int]
    by_group: bool
    measures: list[Measure]
    notes: list[str] = field(default_factory=list)

    @property
    def over(self) -> list[Name]:
        """Measures over their limits."""
        return [measure.name for measure in self.measures if measure.over]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {**asdict(self), "over": self.over}


@dataclass(frozen=True)
class Seen:
    """Numbers of one set of texts; all arrays are aligned.

    Attributes:
        labels: Whether each label was given, 0/1 `[n, n_labels]`.
        scores: `[n, n_outputs]`.
        lengths: In characters, `[n]`.
        words: Vectors of the texts, `[n, d]`.
        rarity: Mean information of a word, `[n]`, or None.
    """

    labels: Array
    scores: Array
    lengths: Array
    words: Array
    rarity: Array | None


def find_drift(
    reference: Seen,
    new: Seen,
    moves: Moves,
    label_names: Sequence[str],
    score_names: Sequence[str],
    *,
    alpha: float = 0.01,
    limits: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Drift:
    """Gives what moved between a reference and new texts.

    Args:
        reference: Of texts that the model did not learn from.
        new: Of new texts.
        moves: How chance could have parted both.
        label_names: Columns of `labels`.
        score_names: Columns of `scores`.
        alpha: Probability of an alarm where nothing moved, over all measures together.
        limits: Size that each measure may have although it moved; none when left out.
        seed: Of folds and resamples.
    """
    both = {
        name: np.concatenate([getattr(reference, name), getattr(new, name)])
        for name in ("labels", "scores", "lengths", "words")
    }
    log_lengths = np.log1p(both["lengths"])[:, None]
    measures = [
        _means("labels", both["labels"], moves, label_names, seed),
        _distributions("scores", both["scores"], both["scores"], moves, score_names, seed),
        _distributions("lengths", log_lengths, both["lengths"][:, None], moves, ["characters"], seed),
    ]
    vectors = [both["words"], log_lengths]
    if reference.rarity is not None and new.rarity is not None:
        rarity = np.concatenate([reference.rarity, new.rarity])[:, None]
        vectors.append(rarity)
        measures.append(_distributions("words", rarity, rarity, moves, ["bits a word"], seed))
    measures.append(_texts(np.concatenate(vectors, axis=1), moves, seed))
    adjusted = holm([measure.p for measure in measures])
    limits = limits or {}
    for i, (measure, p) in enumerate(zip(measures, adjusted, strict=True)):
        moved = p <= alpha
        over = moved and measure.size > limits.get(measure.name, -1.0)
        measures[i] = replace(measure, p_adjusted=p, moved=moved, over=over)
    new_rows, new_units = int(moves.new_rows.sum()), int(moves.new.sum())
    return Drift(
        alpha,
        (len(moves.unit) - new_rows, len(moves.new) - new_units),
        (new_rows, new_units),
        len(moves.new) < len(moves.unit),
        measures,
    )


def _means(name: Name, columns: Array, moves: Moves, names: Sequence[str], seed: int) -> Measure:
    """Means of columns: the largest difference, each in units of its own spread under chance."""
    columns = np.asarray(columns, dtype=np.float32)
    apart = np.abs(moves.differences(columns))
    p, each = _largest(apart)
    before, now = (side[0] for side in moves.means(columns))
    low, high = moves.interval(columns, seed=seed)
    parts = [
        Part(names[k], float(before[k]), float(now[k]), float(low[k]), float(high[k]), float(each[k]))
        for k in _most_moved(each, apart[0])
    ]
    return Measure(name, float(apart[0].max()), float(np.median(apart[1:].max(axis=1))), p, parts=parts)


def _distributions(name: Name, columns: Array, shown: Array, moves: Moves, names: Sequence[str], seed: int) -> Measure:
    """Distributions of columns: the largest difference of the shares below a cut, each in units of its own spread under chance.

    So the tails count as much as the middle, where the plain Kolmogorov-Smirnov distance is largest; that is told as the size. Cuts are
    `CUTS` quantiles of all rows together, which no parting moves. `shown` are the values whose means are told.
    """
    kept = np.sort(np.argsort(-columns.mean(axis=0), kind="stable")[:MOST_COLUMNS])
    apart = np.zeros((len(moves.parts), len(kept)), dtype=np.float32)
    farthest = np.zeros_like(apart)
    for i, k in enumerate(kept):
        cuts = np.unique(np.quantile(columns[:, k], np.linspace(0, 1, CUTS + 2)[1:-1]))
        below = np.abs(moves.differences(columns[:, k, None] <= cuts))
        apart[:, i], farthest[:, i] = below.max(axis=1), _scaled(below).max(axis=1)
    p, each = _largest(farthest)
    before, now = (side[0] for side in moves.means(shown[:, kept]))
    low, high = moves.interval(shown[:, kept], seed=seed)
    new = moves.new_rows
    parts = []
    for i in _most_moved(each, apart[0]):
        psi, js = _stability(columns[~new, kept[i]], columns[new, kept[i]])
        mean = (float(before[i]), float(now[i]), float(low[i]), float(high[i]))
        parts.append(Part(names[kept[i]], *mean, float(each[i]), float(apart[0, i]), psi, js))
    return Measure(name, float(apart[0].max()), float(np.median(apart[1:].max(axis=1))), p, parts=parts)


def _texts(vectors: Array, moves: Moves, seed: int) -> Measure:
    apart = tell_apart(vectors, moves, seed)
    areas, share = apart.areas, float(moves.new_rows.mean())
    surest = Part("new among the surest", share, share + float(apart.surest[0, 0]), None, None, p_of(apart.surest[0]))
    chance = float(np.median(areas[1:]))
    p = p_of(apart.statistic)
    return Measure("texts", float(areas[0]), chance, p, low=apart.low, high=apart.high, parts=[surest])


def _largest(apart: Array) -> tuple[float, Array]:
    """Gives the p-value of the largest of several statistics `[1 + rounds, k]`, and one adjusted for that of each `[k]`."""
    scaled = _scaled(apart)
    largest = scaled.max(axis=1)
    return p_of(largest), np.asarray((largest[:, None] >= scaled[0] - 1e-9).mean(axis=0))


def _scaled(apart: Array) -> Array:
    """Gives absolute differences `[1 + rounds, k]` in units of each column's spread; what never differs stays 0."""
    spread = np.sqrt((apart.astype(np.float64) ** 2).mean(axis=0))
    return np.asarray(np.where(spread < 1e-7, 0.0, apart / np.maximum(spread, 1e-7)))


def _most_moved(p: Array, apart: Array) -> list[int]:
    return [int(k) for k in np.lexsort((-apart, p))]


def _stability(before: Array, now: Array) -> tuple[float, float]:
    """Gives population stability index and Jensen-Shannon divergence over tenths of the reference.

    Half a text is added to each tenth, so that an empty one gives no infinity.
    """
    cuts = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    p, q = (
        np.bincount(np.searchsorted(cuts, values, side="left"), minlength=len(cuts) + 1) + 0.5
        for values in (before, now)
    )
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    js = (p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2
    return float(((q - p) * np.log(q / p)).sum()), float(js)


__all__ = ["NAMES", "Drift", "Measure", "Name", "Part", "Seen", "find_drift"]
