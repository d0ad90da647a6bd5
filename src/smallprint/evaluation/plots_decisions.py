"""Plots of what decisions cost. In: curves of a split. Out: SVG strings for one page (see `svg` for colours and ids).

Lines differ in their dashes too, so that they can be told apart in grey; the tables behind them are made from the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.page_text import shorten
from smallprint.evaluation.plots import DASHES, SHORT_NAME, draw_legend, draw_note
from smallprint.evaluation.roc import build_roc
from smallprint.evaluation.svg import LINES, TEXT, render_svg
from smallprint.evaluation.workload import ThresholdCurve, WorkloadCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_roc(scored: ScoredSplit) -> str:
    """True positives against false positives, a line a label with the area under it (AUC); the thin diagonal is chance.

    Args:
        scored: A checked split.
    """
    curves = build_roc(scored)
    columns = 2 if all(len(curve.label) <= SHORT_NAME for curve in curves) else 1
    rows = -(-len(curves) // columns)

    def draw(figure: Figure) -> None:
        if not curves:
            draw_note(figure, "No label has both positive and negative examples here.")
            return
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=TEXT, linewidth=0.6, alpha=0.6)
        handles = []
        for k, curve in enumerate(curves):
            style = {"color": LINES[k % 6], "linestyle": DASHES[k % len(DASHES)], "linewidth": 1.3}
            if len(curves) > 12 and k == len(curves) - 1:
                style = {"color": TEXT, "linestyle": "-", "linewidth": 2.2}
            handles += axes.plot(curve.false_positives, curve.true_positives, **style)
        axes.set(
            xlabel="share of negatives that are said",
            ylabel="share of positives found",
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.04),
        )
        names = [f"{shorten(curve.label, 40)}  AUC {curve.area:.3f}" for curve in curves]
        draw_legend(axes, handles, names, columns=columns, below=True)

    title = f"ROC: positives found against negatives said, {scored.split} split, {len(curves)} curve(s)"
    return render_svg(draw, title=title, height=3.1 + 0.18 * rows if curves else 0.6)


def plot_thresholds(curve: ThresholdCurve, split: str, chosen: float | None) -> str:
    """Precision, recall and F1 of all labels together by threshold.

    Args:
        curve: Of the split.
        split: Its name.
        chosen: The threshold that is used, where there is one for all.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        handles = []
        for k, values in enumerate((curve.precision, curve.recall, curve.f1)):
            handles += axes.plot(curve.thresholds, values, color=LINES[k], linestyle=DASHES[k], linewidth=1.6)
        if chosen is not None:
            axes.axvline(chosen, color=TEXT, linewidth=0.9, linestyle=(0, (1, 2)))
        label = (
            "threshold, the same for every label"
            if chosen is None
            else f"threshold (dotted: {chosen:.3f}, which is used)"
        )
        axes.set(xlabel=label, ylabel="share", xlim=(0, 1), ylim=(-0.02, 1.04))
        draw_legend(axes, handles, ["precision", "recall", "F1"], columns=3, below=True)

    return render_svg(draw, title=f"Precision, recall and F1 by threshold, {split} split", height=3.3)


def plot_workload(curve: WorkloadCurve, split: str) -> str:
    """What is reached against the share of texts that a person reads.

    Args:
        curve: Of the split.
        split: Its name.
    """
    reached = (
        "share of right answers among the rest" if curve.multiclass else "share of texts with a label that are read"
    )

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        handles = axes.plot(*curve.points(), color=LINES[0], linewidth=1.8, drawstyle="steps-post")
        names = ["by the model's scores"]
        if not curve.multiclass:
            handles += axes.plot([0, 1], [0, 1], color=TEXT, linewidth=0.9, linestyle=(0, (1, 2)))
            names.append("in any order")
        axes.set(xlabel="share of texts that a person reads", ylabel=reached, xlim=(-0.02, 1.02), ylim=(None, 1.02))
        draw_legend(axes, handles, names, columns=2, below=True)

    return render_svg(draw, title=f"What a person reads against what it reaches, {split} split", height=3.4)


__all__ = ["plot_roc", "plot_thresholds", "plot_workload"]
