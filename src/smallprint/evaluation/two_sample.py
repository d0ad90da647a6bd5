"""Can a classifier tell two sets of texts apart? In: vectors and `Moves`. Out: how well it does on held-out rows.

A linear classifier (ridge regression on 0 and 1) is fitted on four fifths of the units and judged on the fifth, five times: by the area
under its ROC curve, where 0.5 means that it cannot tell, and by how many of the rows that it is surest of are new. The area sees a move of
all texts, the surest rows see a few foreign ones among many. The same is done for every random part, so that the p-value needs no theory.
(Classifier two-sample tests: Lopez-Paz & Oquab 2017; with permutations: Kim et al. 2021.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallprint.core.results import Array
from smallprint.evaluation.moves import Moves

FOLDS = 5
RIDGE = 30.0  # times rows; with few documents little more than the difference of means can be learned
SUREST = (0.05, 0.1)  # of the held-out rows


@dataclass(frozen=True)
class Apart:
    """How well the two are told apart.

    Attributes:
        areas: Area under the curve in each part, `[1 + rounds]`, the seen one first.
        surest: Share of new rows among the surest less the share among all, for each of `SUREST`, `[n, 1 + rounds]`.
        low: Of the seen area's 95% bootstrap interval over units, given the classifiers.
        high: Of the same.
    """

    areas: Array
    surest: Array
    low: float
    high: float

    @property
    def statistic(self) -> Array:
        """The largest of all, each in units of its spread where nothing moved, `[1 + rounds]`."""
        every = np.vstack([self.areas, self.surest])
        spread = np.maximum(every.std(axis=1, keepdims=True), 1e-9)
        return np.asarray(((every - every.mean(axis=1, keepdims=True)) / spread).max(axis=0))


def tell_apart(vectors: Array, moves: Moves, seed: int = 0, resamples: int = 300) -> Apart:
    """Gives how well a classifier tells new rows from those of the reference.

    Pairs are compared within a fold, because the scores of two classifiers cannot be compared.

    Args:
        vectors: `[n, d]`, of the reference and then of what is new.
        moves: The parts.
        seed: Of folds and resamples.
        resamples: Of the interval.
    """
    rng = np.random.default_rng(seed)
    x = np.asarray(vectors, dtype=np.float32)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-6)
    fold = np.empty(len(moves.new), dtype=np.int64)
    fold[rng.permutation(len(fold))] = np.arange(len(fold)) % min(FOLDS, len(fold))
    fold_of_row = fold[moves.unit]
    rows = rng.permutation(len(x))  # of equal scores none shall come first because it is new
    weights = moves.weights(resamples, seed)
    good = np.zeros((2, len(moves.parts)))
    drawn = np.zeros((2, resamples))
    beyond, chosen = np.zeros((len(SUREST), len(moves.parts))), np.zeros((len(SUREST), 1))
    for number in range(int(fold.max()) + 1):
        here, there = rows[fold_of_row[rows] == number], rows[fold_of_row[rows] != number]
        scores = x[here] @ _fit(x[there], moves.parts[:, moves.unit[there]].T)
        truth = moves.parts[:, moves.unit[here]].T
        good += _pairs(scores, truth)
        for i, share in enumerate(SUREST):
            n = max(1, round(share * len(here)))
            beyond[i] += _surest(scores, truth, n)
            chosen[i] += n
        drawn += _weighted_pairs(scores[:, 0], moves.new[moves.unit[here]], weights[:, moves.unit[here]].T)
    areas = np.where(good[1] > 0, good[0] / np.maximum(good[1], 1e-9), 0.5)
    seen = drawn[0][drawn[1] > 0] / drawn[1][drawn[1] > 0]
    low, high = np.quantile(seen, [0.025, 0.975]) if len(seen) else (0.0, 1.0)
    return Apart(areas, beyond / chosen, float(low), float(high))


def _fit(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gives the planes `[d, parts]` that tell 1 from 0 in each column of `y` `[n, parts]`."""
    x = x - x.mean(axis=0)
    gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1], dtype=np.float32)
    return np.asarray(np.linalg.solve(gram, x.T @ (y - y.mean(axis=0))), dtype=np.float32)


def _pairs(scores: NDArray[np.float32], y: NDArray[np.float32]) -> Array:
    """Gives pairs in the right order and all pairs, `[2, parts]`, of scores and truth `[n, parts]`."""
    order = np.argsort(scores, axis=0, kind="stable")
    ranked = np.take_along_axis(y, order, axis=0)
    positives = ranked.sum(axis=0, dtype=np.float64)
    ranks = np.arange(1, len(y) + 1, dtype=np.float64) @ ranked
    return np.stack([ranks - positives * (positives + 1) / 2, positives * (len(y) - positives)])


def _surest(scores: NDArray[np.float32], y: NDArray[np.float32], n: int) -> Array:
    """Gives how many of the `n` highest rows are new beyond what their share is, `[parts]`."""
    chosen = np.argpartition(scores, len(y) - n, axis=0)[-n:]
    return np.asarray(np.take_along_axis(y, chosen, axis=0).sum(axis=0) - n * y.mean(axis=0))


def _weighted_pairs(scores: NDArray[np.float32], new: NDArray[np.bool_], weights: NDArray[np.float32]) -> Array:
    """Gives the same, `[2, resamples]`, of rows that count `weights` `[n, resamples]` times."""
    order = np.argsort(scores, kind="stable")
    up, down = weights[order] * new[order, None], weights[order] * ~new[order, None]
    below = np.cumsum(down, axis=0, dtype=np.float64)
    return np.stack([(up * below).sum(axis=0), up.sum(axis=0) * down.sum(axis=0)])


__all__ = ["Apart", "tell_apart"]
