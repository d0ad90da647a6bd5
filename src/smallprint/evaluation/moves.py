"""Two sets of texts and all ways in which chance could have parted them. In: rows and what is drawn together. Out: random parts, and
differences of means and distributions in each of them.

What is drawn together (a document) stays together: clauses of one document are alike, and texts of other documents always differ more
than those of the same one. The first way is the one that was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.results import Array

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Moves:
    """Reference rows first, then new ones, in units that are drawn together.

    Attributes:
        unit: Of each row, int64 `[n]`, from 0.
        new: Whether the unit is new, bool `[n_units]`.
        parts: Which units are taken for new, 0/1 float32 `[1 + rounds, n_units]`; the first row is `new`.
    """

    unit: NDArray[np.int64]
    new: NDArray[np.bool_]
    parts: Floats

    @cached_property
    def sizes(self) -> Floats:
        """Rows of each unit, `[n_units]`."""
        return np.bincount(self.unit, minlength=len(self.new)).astype(np.float32)

    @property
    def new_rows(self) -> NDArray[np.bool_]:
        """Whether a row is new, `[n]`."""
        return self.new[self.unit]

    @property
    def smallest_p(self) -> float:
        """The smallest p that could come out: with few units there are few ways to part them."""
        return max(1 / comb(len(self.new), int(self.new.sum())), 1 / len(self.parts))

    def sums(self, columns: Array) -> Floats:
        """Gives the sum of each unit, `[n_units, k]`, of `columns` `[n, k]`."""
        if len(self.new) == len(self.unit):  # every row is a unit, in order
            return np.asarray(columns, dtype=np.float32)
        sums = np.zeros((len(self.new), columns.shape[1]), dtype=np.float32)
        np.add.at(sums, self.unit, columns)
        return sums

    def means(self, columns: Array) -> tuple[Floats, Floats]:
        """Gives the means of `columns` `[n, k]` in the reference and in what is new, each `[1 + rounds, k]`."""
        sums = self.sums(columns)
        inside, n = self.parts @ sums, (self.parts @ self.sizes)[:, None]
        outside = sums.sum(axis=0) - inside
        return outside / np.maximum(self.sizes.sum() - n, 1), inside / np.maximum(n, 1)

    def differences(self, columns: Array) -> Floats:
        """Gives new mean less reference mean, `[1 + rounds, k]`."""
        before, now = self.means(columns)
        return np.asarray(now - before)

    def weights(self, rounds: int, seed: int) -> Floats:
        """Gives how often each unit is drawn, `[rounds, n_units]`: with replacement, reference and new each by itself."""
        rng = np.random.default_rng(seed)
        drawn = np.zeros((rounds, len(self.new)), dtype=np.float32)
        for side in (self.new, ~self.new):
            n = int(side.sum())
            drawn[:, side] = rng.multinomial(n, np.full(n, 1 / n), size=rounds)
        return drawn

    def interval(self, values: Array, rounds: int = 500, seed: int = 0, level: float = 0.95) -> tuple[Array, Array]:
        """Gives the bootstrap interval of new mean less reference mean of `values` `[n, k]`: low and high, each `[k]`.

        Whole units are drawn (Efron 1979; percentiles).
        """
        sums, weights = self.sums(values), self.weights(rounds, seed)
        sides = []
        for side in (self.new, ~self.new):
            drawn = weights[:, side]
            sides.append(drawn @ sums[side] / np.maximum(drawn @ self.sizes[side], 1)[:, None])
        low, high = np.quantile(sides[0] - sides[1], [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high


def draw_moves(
    reference: int,
    new: int,
    groups: tuple[Sequence[Any], Sequence[Any]] | None = None,
    *,
    rounds: int = 999,
    seed: int = 0,
) -> Moves:
    """Gives random parts of as many units as are new.

    Args:
        reference: Rows of the reference.
        new: New rows.
        groups: What is drawn together, of the reference and of the new rows; None inside is a unit of its own, and one group in both
            is two units. All rows are units of their own where it is left out.
        rounds: How many.
        seed: Of the draws.
    """
    if groups is None:
        unit = np.arange(reference + new)
    else:
        numbers: dict[tuple[int, Any], int] = {}
        keys = [
            (side, ("row", row) if group is None else group)
            for side, part in enumerate(groups)
            for row, group in enumerate(part)
        ]
        unit = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
    is_new = np.zeros(int(unit.max()) + 1, dtype=bool)
    is_new[unit[reference:]] = True
    rng = np.random.default_rng(seed)
    parts = np.zeros((rounds + 1, len(is_new)), dtype=np.float32)
    parts[0] = is_new
    for row in parts[1:]:
        row[rng.permutation(len(is_new))[: int(is_new.sum())]] = 1
    return Moves(unit, is_new, parts)


def match_sizes(
    groups: tuple[Sequence[Any], Sequence[Any]], seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gives the rows, ascending, that are kept of reference and new rows so that documents of both are of like size.

    Only documents of like size can change places: the rates of ten clauses vary more than those of two hundred. The largest document
    of one side is thinned at random to the size of the other's largest, and so on by rank; one group in both is two documents.
    """
    rng = np.random.default_rng(seed)
    rows_of: list[list[NDArray[np.int64]]] = []
    for part in groups:
        found: dict[Any, list[int]] = {}
        for row, group in enumerate(part):
            found.setdefault(("row", row) if group is None else group, []).append(row)
        rows_of.append(sorted((np.array(rows) for rows in found.values()), key=len))
    sizes = [np.array([len(rows) for rows in side]) for side in rows_of]
    kept = []
    for side, own, other in zip(rows_of, sizes, sizes[::-1], strict=True):
        rank = (np.arange(len(own)) + 0.5) / len(own)
        most = np.maximum(np.floor(np.quantile(other, rank, method="hazen")).astype(int), 1)
        parts = [rng.permutation(rows)[:n] for rows, n in zip(side, most, strict=True)]
        kept.append(np.sort(np.concatenate(parts)))
    return kept[0], kept[1]


def p_of(statistic: Array) -> float:
    """Gives the share of parts, the seen one counted, whose statistic is as large as the seen one's, the first of `[1 + rounds]`."""
    return float((statistic >= statistic[0] - 1e-9).mean())


def holm(values: Sequence[float]) -> list[float]:
    """Gives adjusted p-values, in the same order (Holm 1979): at most alpha is the probability that any of those at most alpha is wrong."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, values[i] * (len(values) - rank)))
        adjusted[i] = highest
    return adjusted


__all__ = ["Moves", "draw_moves", "holm", "match_sizes", "p_of"]
