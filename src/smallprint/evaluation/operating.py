"""Where to put the borders of a decision when no promise is asked for. In: truth, scores and documents. Out: a `Band`, and what it does.

A band is tuned: it is the best on the examples at hand, and nothing is guaranteed on others. What it does is measured on documents that
it was not chosen on. Borders that come with a promise are those of `policy.py`. All is about texts: whether one has any label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from smallprint.core.errors import ConfigError, DataError
from smallprint.core.results import Array
from smallprint.evaluation.intervals import Interval, bootstrap_interval
from smallprint.evaluation.ranking import any_score

FOLDS = 5


def percent(value: float) -> str:
    """Gives a share as it was asked for: rounded to whole percents, 99.5% would promise everything.

    >>> percent(0.995)
    '99.5%'
    """
    return f"{100 * value:.6g}%"


@dataclass(frozen=True)
class Aim:
    """What a band is tuned to: one of F-beta, a cost ratio (with a budget or without), or a lowest recall, precision or both.

    Attributes:
        f_beta: Beta of the F-score that shall be highest: 2 counts recall twice as much as precision.
        cost_ratio: Cost of a miss (a text with a label that is cleared) in false alarms (a text without one that is flagged).
        budget: Share of texts that a person reads, in [0, 1]; each read text costs nothing more.
        recall: Lowest share of the texts with a label that is not cleared.
        precision: Lowest share of texts with a label among the flagged.
    """

    f_beta: float | None = None
    cost_ratio: float | None = None
    budget: float | None = None
    recall: float | None = None
    precision: float | None = None

    @property
    def given(self) -> bool:
        """Whether anything is asked for."""
        return any(value is not None for value in asdict(self).values())

    def check(self) -> None:
        """Checks that one thing is asked for.

        Raises:
            ConfigError: Several that exclude each other.
        """
        kinds = [
            self.f_beta is not None,
            self.cost_ratio is not None or self.budget is not None,
            self.recall is not None or self.precision is not None,
        ]
        if sum(kinds) != 1:
            raise ConfigError(
                "A band is tuned to one thing.",
                "an F-beta; or a cost ratio, a budget or both; or a lowest recall, a lowest precision or both",
                "Give one of the three.",
            )

    def told(self) -> str:
        """Gives the aim in words."""
        if self.f_beta is not None:
            return f"highest F-{self.f_beta:g}"
        if self.recall is not None or self.precision is not None:
            parts = (("recall", self.recall), ("precision", self.precision))
            return " and ".join(f"{name} of {percent(value)} or more" for name, value in parts if value is not None)
        ratio = self.cost_ratio or 1
        cost = f"lowest cost, a miss costing {ratio:g} false {'alarm' if ratio == 1 else 'alarms'}"
        return cost + ("" if self.budget is None else f", with a person reading {percent(self.budget)} at most")


@dataclass(frozen=True)
class Band:
    """Two borders on the score that a text has any label; nothing is promised of them.

    Attributes:
        aim: What they were tuned to, in words.
        low: Texts below are cleared.
        high: Texts from here on are flagged; those between are a person's. It is `low` where no person reads.
    """

    aim: str
    low: float
    high: float


@dataclass(frozen=True)
class Done:
    """What bands tuned to one aim do on documents that they were not chosen on.

    Attributes:
        recall: Share of the texts with a label that are not cleared.
        precision: Share of texts with a label among the flagged; 1 where none is.
        person: Share of texts that a person reads.
        misses: Texts with a label that are cleared.
        false_alarms: Texts without one that are flagged.
        texts: All of them.
        recall_interval: 95%, by bootstrap over documents.
        precision_interval: The same.
    """

    recall: float
    precision: float
    person: float
    misses: int
    false_alarms: int
    texts: int
    recall_interval: Interval | None
    precision_interval: Interval | None


def tune_band(targets: Array, scores: Array, aim: Aim) -> Band:
    """Gives the borders that serve an aim best on these examples.

    Args:
        targets: 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]` in [0, 1].
        aim: What for.

    Raises:
        ConfigError: The aim asks for several things.
        DataError: No example has a label, or none lacks one; or no border has the precision.
    """
    aim.check()
    anything, truth = any_score(scores)[:, 0], np.asarray(targets).max(axis=1).astype(bool)
    if not truth.any() or truth.all():
        raise DataError("Either all texts have a label or none has.", "both kinds", "Label more.")
    low, high, precision = _tune(anything, truth, aim)
    if aim.precision is not None and precision < aim.precision - 1e-9:
        raise DataError(
            f"No border has a precision of {percent(aim.precision)} on these examples; the highest is {precision:.1%}.",
            "a precision that is reached",
            "Ask for less.",
        )
    return Band(aim.told(), low, high)


def _tune(anything: Array, truth: Array, aim: Aim) -> tuple[float, float, float]:
    """Gives both borders, and the highest precision that any border has; where that is too low, nothing is flagged."""
    order = np.argsort(anything, kind="stable")
    ordered, hits = anything[order], truth[order]
    # a border stands before each distinct score, and behind the last
    at = np.append(np.flatnonzero(np.append(True, ordered[1:] > ordered[:-1])), len(ordered))
    borders = np.append(ordered, np.inf)[at]
    missed = np.append(0, np.cumsum(hits))[at].astype(np.float64)
    right = truth.sum() - missed
    alarms = (len(hits) - at) - right
    low, high = _choose(aim, at, missed, right, alarms, len(hits))
    top = float(np.nextafter(1.0, 2.0))  # above every score
    precision = float((right / np.maximum(right + alarms, 1)).max())
    return float(min(borders[low], top)), float(min(borders[high], top)), precision


def _choose(aim: Aim, at: Array, missed: Array, right: Array, alarms: Array, n: int) -> tuple[int, int]:
    """Gives the borders' places among all: below the first is cleared, from the second on flagged."""
    if aim.f_beta is not None:
        weight = aim.f_beta**2
        score = (1 + weight) * right / np.maximum((1 + weight) * right + weight * missed + alarms, 1e-9)
        best = int(np.argmax(score))
        return best, best
    if aim.recall is not None or aim.precision is not None:
        precision = np.where(right + alarms > 0, right / np.maximum(right + alarms, 1), 0.0)
        low, high = 0, 0
        if aim.recall is not None:
            low = high = int(np.flatnonzero(right >= aim.recall * right[0] - 1e-9)[-1])
        if aim.precision is not None:
            enough = np.flatnonzero(precision >= aim.precision - 1e-9)
            high = int(enough[0]) if len(enough) else len(at) - 1
            low = high if aim.recall is None else low
        return min(low, high), high  # the higher border keeps both where one of them is enough
    # the more is read, the fewer false alarms: the upper border stands as far up as the budget lets it
    farthest = np.searchsorted(at, at + int((aim.budget or 0.0) * n + 1e-9), side="right") - 1
    cost = (aim.cost_ratio or 1.0) * missed + alarms[farthest]
    best = int(np.argmin(cost))
    return best, int(np.flatnonzero(alarms == alarms[farthest[best]])[0].clip(best))


def check_documents(groups: Sequence[object]) -> None:
    """Refuses examples that cannot be parted by document.

    Raises:
        DataError: A single document.
    """
    if len(set(groups)) < 2:
        raise DataError("There is one document.", "two or more", "Name the column that tells them apart (data.group).")


def measure_aim(targets: Array, scores: Array, groups: Sequence[object], aim: Aim, seed: int = 0) -> Done:
    """Gives what an aim brings on documents that its borders were not chosen on: five folds of documents.

    Args:
        targets: 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]`.
        groups: Document of each example, `[n]`.
        aim: What for.
        seed: Of the folds and the interval.

    Raises:
        ConfigError: The aim asks for several things.
        DataError: A single document.
    """
    aim.check()
    targets = np.asarray(targets)
    names = list(dict.fromkeys(groups))
    check_documents(groups)
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = dict(zip((names[i] for i in order), np.arange(len(names)) % min(FOLDS, len(names)), strict=True))
    fold = np.array([fold_of[group] for group in groups])
    low, high = np.zeros(len(fold)), np.zeros(len(fold))
    anything, truth = any_score(scores)[:, 0], targets.max(axis=1).astype(bool)
    for number in np.unique(fold):
        low[fold == number], high[fold == number], _ = _tune(anything[fold != number], truth[fold != number], aim)
    cleared, flagged = (anything < low) & (anything < high), anything >= high
    counts = np.stack([truth & ~cleared, truth, truth & flagged, flagged], axis=1).astype(np.int64)

    def interval(of: Callable[[Array], Array]) -> Interval | None:
        return bootstrap_interval(counts, of, groups=groups, seed=seed)

    total = counts.sum(axis=0)
    return Done(
        recall=float(_share(total, 0, 1)),
        precision=float(_share(total, 2, 3)),
        person=float((~cleared & ~flagged).mean()),
        misses=int((truth & cleared).sum()),
        false_alarms=int((flagged & ~truth).sum()),
        texts=len(truth),
        recall_interval=interval(lambda sums: _share(sums, 0, 1)),
        precision_interval=interval(lambda sums: _share(sums, 2, 3)),
    )


def _share(sums: Array, part: int, whole: int) -> Array:
    return np.asarray(np.where(sums[..., whole] > 0, sums[..., part] / np.maximum(sums[..., whole], 1), 1.0))


def tell_band(band: Band, done: Done) -> list[str]:
    """Gives a band and what it does as lines of text."""
    ends = [
        "" if part is None else f" [{part.low:.1%}, {part.high:.1%}]"
        for part in (done.recall_interval, done.precision_interval)
    ]
    between = "" if band.high == band.low else f", between them a person reads ({done.person:.1%} of the texts)"
    return [
        f"Tuned to {band.aim}: cleared below {band.low:.4f}, flagged from {band.high:.4f}{between}.",
        f"On documents that it was not chosen on: {done.recall:.1%}{ends[0]} of the texts with a label are not cleared, "
        f"{done.precision:.1%}{ends[1]} of the flagged have one; {done.misses:,} misses and {done.false_alarms:,} false alarms "
        f"in {done.texts:,} texts.",
        "Nothing is guaranteed of it: only borders by --recall and --precision carry a promise.",
    ]


def band_of(tree: Any) -> Band | None:
    """Gives the band that `asdict` made a dict of, None for None.

    Raises:
        TypeError: It is of another form.
    """
    if tree is None:
        return None
    band = Band(**tree)
    if not (isinstance(band.low, float) and isinstance(band.high, float) and band.low <= band.high):
        raise TypeError("low and high are no borders")
    return band


__all__ = ["Aim", "Band", "Done", "band_of", "measure_aim", "percent", "tell_band", "tune_band"]
