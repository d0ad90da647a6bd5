"""Precision against recall as numbers. In: a scored split. Out: one `Curve` a label, for plot and table.

Curves step as average precision sums them, without interpolation. Labels without positives have no curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.ranking import average_precision_micro, one_hot

MOST_POINTS = 150


@dataclass(frozen=True)
class Curve:
    """Precision `[k]` over rising recall `[k]`, from recall 0 to 1; at most `MOST_POINTS` points of it.

    Each point is the highest threshold that reaches its recall; the curve keeps it back to the point before.
    """

    label: str
    support: int
    average_precision: float
    recall: Array
    precision: Array

    def precision_at(self, recall: float) -> float:
        """Best precision at this recall or above."""
        return float(self.precision[self.recall >= min(recall, 1.0)].max())


def build_curves(scored: ScoredSplit, most: int = 12) -> list[Curve]:
    """One curve a label in label order; of more than `most` labels the most frequent ones and "all labels (micro)".

    Expects a split that `check_scored` accepts; multiclass is each label against the rest.
    """
    scores = np.asarray(scored.scores)
    truth = one_hot(np.asarray(scored.targets), scores.shape[1])
    names = scored.label_names[1:] if scored.task == "binary" else scored.label_names
    support = np.count_nonzero(truth, axis=0)
    shown = np.sort(np.argsort(-support, kind="stable")[:most])
    curves = [_build_curve(names[k], truth[:, k], scores[:, k]) for k in shown if support[k]]
    if len(names) > most and curves:
        curves.append(_build_curve("all labels (micro)", truth.ravel(), scores.ravel()))
    return curves


def _build_curve(label: str, truth: Array, scores: Array) -> Curve:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(truth, scores)
    recall, first = np.unique(
        recall[::-1], return_index=True
    )  # thresholds fall, recall rises: the first has most precision
    precision = precision[::-1][first]
    precision[0] = precision[1]  # recall 0 is scikit-learn's artificial point (0, 1)
    if len(recall) > MOST_POINTS:
        kept = np.unique(np.linspace(0, len(recall) - 1, MOST_POINTS).round().astype(np.int64))
        precision, recall = precision[kept], recall[kept]
    return Curve(
        label=label,
        support=int(np.count_nonzero(truth)),
        average_precision=average_precision_micro(truth, scores),
        recall=recall,
        precision=precision,
    )
