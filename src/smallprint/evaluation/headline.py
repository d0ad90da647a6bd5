"""The score a report leads with. In: a scored split and thresholds. Out: score, interval, and the floor under it.

The floor is what the best constant answer reaches on the same split: a model near it has learned nothing.
Multilabel leads with macro F1, binary with F1 of the positive label, multiclass with accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.compare import f1_counts, macro_f1_of, resampled
from smallprint.evaluation.intervals import Interval, bootstrap_interval
from smallprint.evaluation.thresholds import apply_thresholds

LEADING = {
    "multilabel": "f1_macro",
    "binary": "f1",
    "multiclass": "accuracy",
}  # measure by task, in reports, cards and contests


@dataclass(frozen=True)
class Headline:
    """A score and what to hold it against.

    `measure` is its name in `Metrics.values`; `floor_answer` says in words which constant answer reaches `floor`;
    `positives` counts examples with at least one (the) positive label, and is None for multiclass.
    """

    measure: str
    value: float
    floor: float
    floor_answer: str
    interval: Interval | None
    n_examples: int
    positives: int | None


def build_headline(
    scored: ScoredSplit, thresholds: Array, groups: Sequence[object] | None = None, resamples: int = 1000, seed: int = 0
) -> Headline:
    """The headline of a checked split, with a 95% bootstrap interval over groups, or over examples without groups.

    Raises:
        DataError: Groups that are not aligned with the examples.
    """
    targets, scores = np.asarray(scored.targets), np.asarray(scored.scores)
    n = scores.shape[0]
    decided = apply_thresholds(scores, thresholds, scored.task)
    if scored.task == "multiclass":
        ids = targets.astype(np.int64)
        correct = decided[np.arange(n), ids].astype(np.int64)
        interval = bootstrap_interval(
            np.column_stack([correct, np.ones(n, dtype=np.int64)]),
            lambda sums: np.asarray(sums[:, 0] / sums[:, 1]),
            groups=groups,
            resamples=resamples,
            seed=seed,
        )
        support = np.bincount(ids, minlength=scores.shape[1])
        answer = f"always “{scored.label_names[int(support.argmax())]}”, the most frequent label"
        return Headline(
            LEADING[scored.task], float(correct.mean()), float(support.max() / n), answer, interval, n, None
        )
    truth = targets.astype(bool)
    counts = f1_counts(truth, decided)
    interval = bootstrap_interval(counts, resampled(macro_f1_of, counts), groups=groups, resamples=resamples, seed=seed)
    support = truth.sum(axis=0)
    floor = float(np.mean(2 * support / (n + support)))  # F1 of saying yes to all: precision s/n, recall 1
    answer = f"always “{scored.label_names[1]}”" if scored.task == "binary" else "every label for every text"
    value = float(macro_f1_of(counts.sum(axis=0)[None])[0])
    return Headline(LEADING[scored.task], value, floor, answer, interval, n, int(truth.any(axis=1).sum()))
