"""Thresholds that have to earn their place. In: targets, scores and groups of examples that the model did not see. Out: thresholds.

A tuned threshold fits the examples that it was tuned on. Here it is kept only where it decides better than 0.5 on documents that it
was not tuned on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from smallprint.core.results import Array
from smallprint.evaluation.counts import Counts, count_decisions, f1
from smallprint.evaluation.shrunk import tune_thresholds_shrunk
from smallprint.evaluation.thresholds import DEFAULT, apply_thresholds, tune_thresholds

FOLDS = 5
REPEATS = 4
BLOCKS = 20
SEED = 0
MANY_CELLS = 2_000_000  # examples times labels beyond which one round of folds says enough
Method = Literal["auto", "shrunk", "f1", "fixed"]


def choose_thresholds(
    targets: Array, scores: Array, task: str, method: Method, groups: Sequence[object] | None = None
) -> Array:
    """Thresholds by the method that `evaluation.threshold` names.

    Args:
        targets: Ids `[n]` (multiclass) or 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]` in [0, 1].
        task: "binary", "multiclass" or "multilabel".
        method: "auto" is `tune_thresholds_earned`, "shrunk" `tune_thresholds_shrunk`, "f1" and "fixed" `tune_thresholds`.
        groups: The document of each example; "auto" alone looks at it.

    Raises:
        ConfigError: Another method.
        DataError: Arrays that do not fit (see `check_arrays`).
    """
    if method == "auto":
        return tune_thresholds_earned(targets, scores, task, groups)
    if method == "shrunk":
        return tune_thresholds_shrunk(targets, scores, task)
    return tune_thresholds(targets, scores, task, method)


def tune_thresholds_earned(
    targets: Array, scores: Array, task: str, groups: Sequence[object] | None = None, repeats: int = REPEATS
) -> Array:
    """Thresholds, float64 `[n_outputs]`: those of `tune_thresholds_shrunk` where they pay, else 0.5 for every label.

    Each fifth of the documents is judged by thresholds of the other four fifths. Tuned thresholds pay where the mean F1 of the labels
    is then above that of 0.5 by more than the standard error of the difference, which is taken by leaving out documents (or, of many,
    a twentieth of them) in turn: of two rules that cannot be told apart it is the simpler one (Breiman et al. 1984, section 3.4.3).
    Documents are parted by chance with a seed of its own; named groups are parted alike in whatever order they come.

    Args:
        targets: Ids `[n]` (multiclass) or 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]` in [0, 1].
        task: "binary", "multiclass" (always 0.5, unused) or "multilabel".
        groups: The document of each example; examples without one are documents of their own.
        repeats: Times that the documents are parted anew.

    Raises:
        DataError: Arrays that do not fit (see `check_arrays`).
    """
    targets, scores = np.asarray(targets), np.asarray(scores)
    tuned = tune_thresholds_shrunk(targets, scores, task)
    fixed = np.full(len(tuned), DEFAULT)
    documents = _documents(groups, len(scores))
    n_documents = int(documents.max(initial=-1)) + 1
    if (tuned == DEFAULT).all() or n_documents < 2:
        return fixed
    draws = np.random.default_rng(SEED)
    block_of = draws.permutation(n_documents) % min(BLOCKS, n_documents)
    at_half = _counts(targets, apply_thresholds(scores, fixed, task), block_of[documents])
    rounds = []
    for _ in range(1 if scores.size > MANY_CELLS else repeats):
        fold_of = (draws.permutation(n_documents) % min(FOLDS, n_documents))[documents]
        decided = np.zeros(scores.shape, dtype=np.int8)
        for fold in range(int(fold_of.max()) + 1):
            held = fold_of == fold
            others = tune_thresholds_shrunk(targets[~held], scores[~held], task)
            decided[held] = apply_thresholds(scores[held], others, task)
        rounds.append(_counts(targets, decided, block_of[documents]))
    gain = _gain(rounds, at_half)
    without = np.array([_gain(rounds, at_half, block) for block in range(int(block_of.max()) + 1)])
    error = np.sqrt((len(without) - 1) * without.var())
    return tuned if gain > error else fixed


def _counts(truth: Array, decided: Array, blocks: Array) -> Counts:
    """Counts of each block and label, `[n_blocks, n_labels]`."""
    parts = [
        count_decisions(truth[blocks == block], decided[blocks == block]) for block in range(int(blocks.max()) + 1)
    ]
    return Counts(*(np.stack(field) for field in zip(*parts, strict=True)))


def _gain(rounds: Sequence[Counts], at_half: Counts, left_out: int | None = None) -> float:
    """How far the mean F1 of labels that occur is above that at 0.5, without one block."""
    kept = np.arange(len(at_half.support)) != (-1 if left_out is None else left_out)
    half, *tuned = (Counts(*(field[kept].sum(axis=0) for field in part)) for part in (at_half, *rounds))
    occurs = half.support > 0
    if not occurs.any():
        return 0.0
    return float(np.mean([f1(part)[occurs].mean() for part in tuned]) - f1(half)[occurs].mean())


def _documents(groups: Sequence[object] | None, n: int) -> Array:
    """Numbers the documents of `n` examples, by their names; an example without a name is one."""
    if groups is None:
        return np.arange(n)
    names = [f"g{group}" if group is not None else f"r{row}" for row, group in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1]


__all__ = ["Method", "choose_thresholds", "tune_thresholds_earned"]
