"""Which labels are taken for which. In: a scored split and thresholds. Out: a table of counts, truth by answer.

For multilabel a text with several labels counts in several cells, and "none" stands for texts without a label. It judges
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.ranking import one_hot
from smallprint.evaluation.thresholds import apply_thresholds

MOST_LABELS = 20
NONE = "none"


@dataclass(frozen=True)
class Confusion:
    """`counts[i][k]`: texts with `names[i]` in truth to which `names[k]` was given; `shares` are of the row's texts."""

    names: list[str]
    counts: list[list[int]]
    shares: list[list[float]]


def count_confusion(scored: ScoredSplit, thresholds: Array) -> Confusion | None:
    """Gives the table; None for more than twenty labels, which no table shows well.

    Args:
        scored: A checked split.
        thresholds: `[n_outputs]`; unused for multiclass.
    """
    scores = np.asarray(scored.scores)
    truth = one_hot(np.asarray(scored.targets), scores.shape[1]).astype(np.int64)
    said = apply_thresholds(scores, thresholds, scored.task).astype(np.int64)
    names = list(scored.label_names)
    if len(names) > MOST_LABELS:
        return None
    if scored.task == "binary":
        truth, said = (np.hstack([1 - part, part]) for part in (truth, said))
    elif scored.task == "multilabel":
        truth, said = (np.hstack([part, part.sum(axis=1, keepdims=True) == 0]) for part in (truth, said))
        names = [*names, NONE]
    counts = truth.T @ said
    of = np.maximum(truth.sum(axis=0), 1)[:, None]
    return Confusion(names, counts.astype(int).tolist(), (counts / of).tolist())


__all__ = ["Confusion", "count_confusion"]
