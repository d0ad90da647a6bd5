"""Texts that the model is least sure of. In: a scored split and thresholds. Out: the nearest to a threshold, nearest first.

How near is measured as for errors (`worst`): as a share of the way that is there on that side of the threshold. For
multiclass it is the score of the answer less that of the next. Right or wrong does not count.
"""

from __future__ import annotations

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.page_text import shorten
from smallprint.evaluation.thresholds import apply_thresholds
from smallprint.evaluation.worst import MOST_CHARACTERS, LabelView, WorstError

DOUBTFUL = "doubtful"


def find_doubtful(scored: ScoredSplit, thresholds: Array, most: int) -> list[WorstError]:
    """Gives the `most` doubtful texts, each by its most doubtful label.

    Expects a split that `check_scored` accepts, with its texts.

    Args:
        scored: With texts.
        thresholds: `[n_outputs]`; unused for multiclass.
        most: How many.
    """
    targets, scores = np.asarray(scored.targets), np.asarray(scored.scores).astype(np.float64)
    if most <= 0 or not len(scores):
        return []
    length = min(2000, MOST_CHARACTERS // most)
    if scored.task == "multiclass":
        best = np.argsort(-scores, axis=1, kind="stable")[:, :2]
        rows = np.arange(len(scores))
        gap = scores[rows, best[:, 0]] - scores[rows, best[:, -1]]
        found = []
        for row in np.argsort(gap, kind="stable")[:most]:
            named = dict.fromkeys([int(best[row, 0]), int(best[row, -1]), int(targets[row])])
            views = [
                LabelView(scored.label_names[k], k == targets[row], k == best[row, 0], float(scores[row, k]), None)
                for k in named
            ]
            label = scored.label_names[int(best[row, 0])]
            found.append(WorstError(int(row), DOUBTFUL, label, shorten(scored.texts[row], length), views))
        return found
    names = scored.label_names[1:] if scored.task == "binary" else scored.label_names
    truth, said = targets.astype(bool), apply_thresholds(scores, thresholds, scored.task).astype(bool)
    over = (scores - thresholds) / np.maximum(1 - thresholds, 1e-9)
    under = (thresholds - scores) / np.maximum(thresholds, 1e-9)
    margin = np.where(said, over, under)
    column = margin.argmin(axis=1)
    nearest = margin[np.arange(len(margin)), column]
    found = []
    for row in np.argsort(nearest, kind="stable")[:most]:
        shown = np.unique(np.append(np.flatnonzero(truth[row] | said[row]), column[row]))
        views = [
            LabelView(names[k], bool(truth[row, k]), bool(said[row, k]), float(scores[row, k]), float(thresholds[k]))
            for k in shown
        ]
        found.append(WorstError(int(row), DOUBTFUL, names[column[row]], shorten(scored.texts[row], length), views))
    return found


__all__ = ["DOUBTFUL", "find_doubtful"]
