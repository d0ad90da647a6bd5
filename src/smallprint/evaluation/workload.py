"""What a threshold costs. In: a scored split. Out: precision and recall by threshold, and what a person reads by recall.

All is counted on the split that is given: it tells what would have happened there. A promise for new documents is `policy`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.counts import Counts, f1, precision, recall
from smallprint.evaluation.ranking import any_score

RECALLS = (0.8, 0.9, 0.95, 0.98, 1.0)
ACCURACIES = (0.8, 0.9, 0.95, 0.98, 0.99)
MOST_POINTS = 200


@dataclass(frozen=True)
class ThresholdCurve:
    """Precision, recall and F1 of all labels together, `[k]`, at rising thresholds `[k]` that are the same for each label."""

    thresholds: Array
    precision: Array
    recall: Array
    f1: Array

    def at(self, threshold: float) -> tuple[float, float, float]:
        """Gives precision, recall and F1 at the nearest threshold of the curve."""
        k = int(np.abs(self.thresholds - threshold).argmin())
        return float(self.precision[k]), float(self.recall[k]), float(self.f1[k])


@dataclass(frozen=True)
class WorkloadCurve:
    """What a person reads, as a share of the texts, `[k]`, and what that reaches, `[k]`, both rising or falling together.

    For binary and multilabel `reached` is the share of the texts with a label that are among those read, when the likeliest
    are read; for multiclass it is the share of right answers among the texts that are not read, when the most doubtful are.
    """

    read: Array
    reached: Array
    multiclass: bool

    def points(self) -> tuple[Array, Array]:
        """Gives the curve by what is read, thinned for a picture: both ends of each run of equal heights, of these evenly many."""
        order = np.argsort(self.read, kind="stable")
        read, reached = self.read[order], self.reached[order]
        turns = np.flatnonzero(np.append(True, reached[1:] != reached[:-1]))
        ends = np.unique(np.concatenate([turns, np.maximum(turns - 1, 0), [len(read) - 1]]))
        if len(ends) > MOST_POINTS:
            ends = ends[np.unique(np.linspace(0, len(ends) - 1, MOST_POINTS).round().astype(np.int64))]
        return read[ends], reached[ends]

    def read_at(self, wanted: float) -> float | None:
        """Gives the smallest share that has to be read to reach `wanted`, or None where none does."""
        enough = np.flatnonzero(self.reached >= wanted - 1e-12)
        return float(self.read[enough].min()) if len(enough) else None


def threshold_curve(scored: ScoredSplit) -> ThresholdCurve:
    """Gives precision, recall and F1 over 99 thresholds; for binary and multilabel.

    Args:
        scored: A checked split.
    """
    truth, scores = np.asarray(scored.targets).astype(bool), np.asarray(scored.scores)
    thresholds = np.arange(1, 100) / 100
    said = np.array([np.count_nonzero(scores >= limit) for limit in thresholds])
    hits = np.array([np.count_nonzero(truth & (scores >= limit)) for limit in thresholds])
    counts = Counts(hits, said, np.full(len(said), np.count_nonzero(truth)))
    return ThresholdCurve(thresholds, precision(counts), recall(counts), f1(counts))


def workload_curve(scored: ScoredSplit) -> WorkloadCurve | None:
    """Gives what a person reads against what that reaches; None where no text has a label.

    Args:
        scored: A checked split.
    """
    targets, scores = np.asarray(scored.targets), np.asarray(scored.scores).astype(np.float64)
    n = scores.shape[0]
    if scored.task == "multiclass":
        sure, right = scores.max(axis=1), np.asarray(np.equal(scores.argmax(axis=1), targets))
        order = np.argsort(-sure, kind="stable")
        last = _last_of_equal(sure[order])
        alone = last + 1
        reached = np.cumsum(right[order])[last] / alone
        read, reached = np.append(1 - alone / n, 1.0), np.append(reached, 1.0)  # whoever reads all is never wrong
        return WorkloadCurve(read, reached, multiclass=True)
    positive = np.asarray(targets.astype(bool).any(axis=1))
    if not positive.any():
        return None
    likely = any_score(scores)[:, 0]
    order = np.argsort(-likely, kind="stable")
    last = _last_of_equal(likely[order])
    found = np.cumsum(positive[order])[last] / np.count_nonzero(positive)
    return WorkloadCurve(np.append(0.0, (last + 1) / n), np.append(0.0, found), multiclass=False)


def _last_of_equal(ordered: Array) -> Array:
    """Places of the last of each run of equal scores: these cannot be told apart."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))


__all__ = ["ACCURACIES", "RECALLS", "ThresholdCurve", "WorkloadCurve", "threshold_curve", "workload_curve"]
