"""All plots of a report, by name. In: scored test split, history, thresholds. Out: SVG texts, for the page and for tracking alike.

Drawing takes a second or two: who needs them twice keeps what this gives.
"""

from __future__ import annotations

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.calibration import reliability
from smallprint.evaluation.plots import plot_learning_curves, plot_precision_recall, plot_reliability
from smallprint.evaluation.plots_decisions import plot_roc, plot_thresholds, plot_workload
from smallprint.evaluation.ranking import one_hot
from smallprint.evaluation.workload import threshold_curve, workload_curve


def draw_plots(scored: ScoredSplit, history: list[dict[str, float]], thresholds: Array) -> dict[str, str]:
    """Gives each plot as an SVG element; one that there is nothing to draw in is left out.

    Args:
        scored: The test split.
        history: One dict an epoch, or none; learning curves need two.
        thresholds: `[n_outputs]`; that of a binary task is marked.
    """
    scores, targets = np.asarray(scored.scores), np.asarray(scored.targets)
    plots = {"learning_curves": plot_learning_curves(history)} if len(history) > 1 else {}
    plots["precision_recall"] = plot_precision_recall(scored)
    plots["reliability"] = plot_reliability(reliability(one_hot(targets, scores.shape[1]), scores), scored.split)
    plots["roc"] = plot_roc(scored)
    if workload := workload_curve(scored):
        plots["workload"] = plot_workload(workload, scored.split)
    if scored.task != "multiclass" and (by_threshold := threshold_curve(scored)):
        chosen = float(thresholds[0]) if scored.task == "binary" else None
        plots["thresholds"] = plot_thresholds(by_threshold, scored.split, chosen)
    return plots
