"""True positives against false positives as numbers. In: a scored split. Out: one `Roc` a label, for plot and table.

With rare labels this curve flatters: a small share of many negatives is many false alarms. Precision against recall
(`curves`) tells more there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.curves import MOST_POINTS
from smallprint.evaluation.ranking import one_hot


@dataclass(frozen=True)
class Roc:
    """Shares `[k]`, both rising from 0 to 1, at most some hundred points of them; the area is that of all points."""

    label: str
    support: int
    area: float
    false_positives: Array
    true_positives: Array

    def false_at(self, recall: float) -> float:
        """Gives the smallest share of negatives that are said where this share of positives is found."""
        return float(self.false_positives[self.true_positives >= min(recall, 1.0) - 1e-12].min())


def build_roc(scored: ScoredSplit, most: int = 12) -> list[Roc]:
    """Gives one curve a label in label order; of more than `most` labels the most frequent ones and "all labels (micro)".

    Args:
        scored: A checked split; multiclass is each label against the rest.
        most: How many labels.
    """
    scores = np.asarray(scored.scores)
    truth = one_hot(np.asarray(scored.targets), scores.shape[1])
    names = scored.label_names[1:] if scored.task == "binary" else scored.label_names
    support = np.count_nonzero(truth, axis=0)
    shown = np.sort(np.argsort(-support, kind="stable")[:most])
    curves = [_build(names[k], truth[:, k], scores[:, k]) for k in shown if 0 < support[k] < len(truth)]
    if len(names) > most and curves:
        curves.append(_build("all labels (micro)", truth.ravel(), scores.ravel()))
    return curves


def _build(label: str, truth: Array, scores: Array) -> Roc:
    from sklearn.metrics import auc, roc_curve

    false_positives, true_positives, _ = roc_curve(truth, scores)
    area = float(auc(false_positives, true_positives))
    if len(false_positives) > MOST_POINTS:
        kept = np.unique(np.linspace(0, len(false_positives) - 1, MOST_POINTS).round().astype(np.int64))
        false_positives, true_positives = false_positives[kept], true_positives[kept]
    return Roc(label, int(np.count_nonzero(truth)), area, false_positives, true_positives)


__all__ = ["Roc", "build_roc"]
