"""Which part each unit of rows goes to. In: label counts of units (rows or groups) and shares. Out: a part per unit.

Iterative stratification after Sechidis, Tsoumakas, Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD
2011, algorithm 1: the rarest label first, each of its examples to the part that lacks it most. Whole groups are placed
by the same idea, large ones first, by all of their labels at once; of several tries the evenest is kept. It reads no
table; the same seed gives the same parts on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

TRAIN = 0
TRIES = 50
MOST_TRIED_GROUPS = 1000
ROWS_WEIGHT = 3


@dataclass(frozen=True)
class Unit:
    """Rows that stay together: their number, and how many of them have each label (by label id)."""

    size: int
    labels: dict[int, int]


def assign_parts(units: Sequence[Unit], shares: Sequence[float], seed: int, *, whole_groups: bool) -> list[int]:
    """The part (0 is train) of each unit, label shares kept as near as can be.

    Every label is in train at least once. No part stays empty, unless train needs all units for that.

    Args:
        units: At least as many as parts; a row without a label should carry a label id of its own.
        shares: Share of rows of each part, train first; they add up to 1.
        seed: Decides ties.
        whole_groups: Units are groups of very different sizes rather than rows.
    """
    rng = np.random.default_rng(seed)
    tries = TRIES if whole_groups and len(units) <= MOST_TRIED_GROUPS else 1
    made = [_assign_once(units, shares, rng, whole_groups) for _ in range(tries)]
    return min(made, key=lambda attempt: attempt[0])[1]


def _assign_once(
    units: Sequence[Unit], shares: Sequence[float], rng: np.random.Generator, whole_groups: bool
) -> tuple[float, list[int]]:
    """How uneven the parts are (0 is perfect), and the part of each unit."""
    state = _State(units, shares)
    by_label: dict[int, list[int]] = {label: [] for label in state.totals}
    for i in (int(i) for i in rng.permutation(len(units))):
        for label in units[i].labels:
            by_label[label].append(i)
    jitter = [1 + float(value) for value in rng.random(len(units))]
    parts = [-1] * len(units)
    left = len(units)
    waiting = {label: len(indices) for label, indices in by_label.items()}
    while waiting:
        label = min(waiting, key=lambda k: (waiting[k], k))
        queue = [i for i in by_label[label] if parts[i] < 0]
        if whole_groups:
            queue.sort(key=partial(_weight, units, jitter, label), reverse=True)
        for i in queue:
            parts[i] = state.choose(units[i], label, left, waiting, whole_groups)
            left -= 1
            state.place(units[i], parts[i])
            for other in units[i].labels:
                waiting[other] -= 1
        waiting = {k: n for k, n in waiting.items() if n > 0}
    return state.unevenness(), parts


def _weight(units: Sequence[Unit], jitter: Sequence[float], label: int, i: int) -> float:
    return units[i].labels[label] * jitter[i]


class _State:
    """What each part still lacks: rows, and rows of each label."""

    def __init__(self, units: Sequence[Unit], shares: Sequence[float]) -> None:
        self.n_rows = sum(unit.size for unit in units)
        self.totals: dict[int, int] = {}
        for unit in units:
            for label, count in unit.labels.items():
                self.totals[label] = self.totals.get(label, 0) + count
        self.rows = [share * self.n_rows for share in shares]
        self.labels = [{label: share * n for label, n in self.totals.items()} for share in shares]
        self.units = [0] * len(shares)
        self.in_train: set[int] = set()

    def choose(self, unit: Unit, label: int, left: int, waiting: dict[int, int], whole_groups: bool) -> int:
        """The part for a unit that has the label, with `left` units still to place, and `waiting` of each label."""
        last_chance = any(waiting[other] == 1 and other not in self.in_train for other in unit.labels)
        if label not in self.in_train or last_chance:
            return TRAIN
        empty = [part for part, count in enumerate(self.units) if count == 0]
        if empty and left <= len(empty):
            return empty[0]
        parts = range(len(self.rows))
        if whole_groups:
            return max(parts, key=lambda part: (self._fit(unit, part), -part))
        return max(parts, key=lambda part: (round(self.labels[part][label], 9), round(self.rows[part], 9)))

    def place(self, unit: Unit, part: int) -> None:
        """Take a unit's rows off what the part lacks."""
        self.rows[part] -= unit.size
        self.units[part] += 1
        for label, count in unit.labels.items():
            self.labels[part][label] -= count
        if part == TRAIN:
            self.in_train.update(unit.labels)

    def unevenness(self) -> float:
        """Squared gaps to the wished counts, each label and the rows relative to their totals, summed over parts."""
        total = 0.0
        for rows, labels in zip(self.rows, self.labels, strict=True):
            total += ROWS_WEIGHT * (rows / self.n_rows) ** 2
            for label, gap in labels.items():
                total += (gap / self.totals[label]) ** 2
        return round(total, 12)

    def _fit(self, unit: Unit, part: int) -> float:
        """How much the squared gap to the wished counts shrinks, each label and the rows relative to their totals."""
        gain = ROWS_WEIGHT * unit.size * (2 * self.rows[part] - unit.size) / self.n_rows**2
        for label, count in unit.labels.items():
            gain += count * (2 * self.labels[part][label] - count) / self.totals[label] ** 2
        return round(gain, 12)
