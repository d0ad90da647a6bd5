"""Plots of a run. In: the history, a scored split, bins of scores. Out: SVG strings for one page (see `svg` for colours and ids).

They read no files and judge nothing; the tables behind them are made from the same numbers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.calibration import ReliabilityBin
from smallprint.evaluation.checks import check_scored
from smallprint.evaluation.curves import build_curves
from smallprint.evaluation.page_text import printable, shorten
from smallprint.evaluation.svg import LINES, TEXT, render_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOSSES = ("train/loss", "validation/loss")
BEST = "validation/average_precision"
DASHES: list[Any] = [
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (9, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2, 2)),
    (0, (7, 1.5, 2, 1.5)),
    (0, (1, 2.5)),
    (0, (9, 1.5, 1, 1.5, 1, 1.5)),
    (0, (3, 3)),
    (0, (5, 4)),
]
"""One a line, so that twelve can be told apart without colour."""
MOST_SCORES = 6
MARKERS = "osD^vP"
SHORT_NAME = 22
SHARES = (0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)


def plot_learning_curves(history: list[dict[str, float]]) -> str:
    """Losses above, validation scores in [0, 1] below, by epoch; a line marks the epoch of best average precision.

    Values that are missing or not finite are left out; an empty history gives a picture that says so.

    Args:
        history: One dict an epoch: `epoch`, `train/loss`, `validation/...`.
    """
    losses = _series(history, [name for name in LOSSES if any(name in row for row in history)])
    names = dict.fromkeys(
        name for row in history for name in row if name.startswith("validation/") and name not in LOSSES
    )
    ordered = sorted(names, key=lambda name: name != BEST)
    scores = {
        name: points
        for name, points in _series(history, ordered).items()
        if points and all(0 <= value <= 1 for _, value in points)
    }
    scores = dict(list(scores.items())[:MOST_SCORES])
    panels = [
        (label, lines) for label, lines in (("loss", losses), ("validation score", scores)) if any(lines.values())
    ]
    best = max(scores.get(BEST, []), key=lambda point: point[1], default=None)

    def draw(figure: Figure) -> None:
        if not panels:
            draw_note(figure, "No epochs were recorded.")
            return
        axes_column = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (label, lines) in zip(axes_column, panels, strict=True):
            handles = [
                axes.plot(
                    *zip(*points, strict=True),
                    color=LINES[k % 6],
                    linestyle=DASHES[k % 12],
                    marker=MARKERS[k % 6],
                    ms=3.5,
                )[0]
                for k, points in enumerate(lines.values())
                if points
            ]
            if best is not None:
                axes.axvline(best[0], color=TEXT, linewidth=0.8, linestyle=(0, (2, 2)), alpha=0.6)
            axes.set_ylabel(label)
            axes.set_ylim(*((-0.03, 1.03) if label != "loss" else (0, None)))
            texts = [name.replace("validation/", "").replace("_", " ") for name in lines]
            texts = ["train", "validation"] if label == "loss" and len(lines) == 2 else texts
            draw_legend(axes, handles, texts, columns=2, below=False)
        axes_column[-1].set_xlabel("epoch" if best is None else f"epoch (dotted: best average precision, {best[0]:g})")
        axes_column[-1].xaxis.get_major_locator().set_params(integer=True)

    return render_svg(draw, title=f"Learning curves over {len(history)} epochs", height=2.4 * len(panels) or 0.6)


def plot_precision_recall(scored: ScoredSplit) -> str:
    """Precision against recall, a thin line a label with its average precision (AP) beside the name.

    Of more than 12 labels the 12 most frequent are drawn, and all together as "micro".

    Raises:
        DataError: Arrays that do not fit each other (see `check_scored`).
    """
    check_scored(scored)
    curves = build_curves(scored)
    columns = 2 if all(len(curve.label) <= SHORT_NAME for curve in curves) else 1
    rows = math.ceil(len(curves) / columns)

    def draw(figure: Figure) -> None:
        if not curves:
            draw_note(figure, "No label has a positive example here.")
            return
        axes = figure.subplots()
        handles = []
        for k, curve in enumerate(curves):
            whole = len(curves) > 12 and k == len(curves) - 1
            colour, style, width = (TEXT, "-", 2.2) if whole else (LINES[k % 6], DASHES[k % 12], 1.3)
            handles += axes.plot(
                curve.recall, curve.precision, color=colour, linestyle=style, linewidth=width, drawstyle="steps-pre"
            )
        axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        names = [f"{shorten(curve.label, 40)}  AP {curve.average_precision:.2f}" for curve in curves]
        draw_legend(axes, handles, names, columns=columns, below=True)

    title = f"Precision against recall, {scored.split} split, {len(curves)} curve(s)"
    return render_svg(draw, title=title, height=3.1 + 0.18 * rows if curves else 0.6)


def plot_reliability(bins: list[ReliabilityBin], split: str) -> str:
    """Share of true targets against mean score, a dot a bin; on the dashed diagonal scores are shares.

    Both axes show the arcsine of the square root (Bartlett 1947): rare labels have most scores near 0, which a plain
    axis heaps on one spot, and on this one chance moves dots of equally many entries equally far wherever they lie.

    Args:
        bins: What `reliability` gives, at least one.
        split: Name of the split that they are of.
    """
    entries = sum(found.entries for found in bins)
    of = f"{entries:,} score{'s' * (entries != 1)} in {len(bins)} bin{'s' * (len(bins) != 1)}"

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_xscale("function", functions=(_spread, _gather))
        axes.set_yscale("function", functions=(_spread, _gather))
        handles = axes.plot([0, 1], [0, 1], color=TEXT, linewidth=0.9, linestyle=(0, (4, 2)))
        scores, shares = [found.mean_score for found in bins], [found.share_true for found in bins]
        handles += axes.plot(scores, shares, color=LINES[0], marker="o", ms=4.5, linewidth=1.0, clip_on=False, zorder=3)
        axes.set(xlabel=f"mean score of a bin (n = {of})", ylabel="share that is true", xlim=(0, 1), ylim=(0, 1))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(SHARES, [f"{share:g}" for share in SHARES])
        draw_legend(axes, handles, ["scores are shares", f"{split} split"], columns=1, below=False)

    return render_svg(draw, title=f"Share of true targets against mean score, {split} split, {of}", height=4.0)


def _spread(shares: Array) -> Array:
    return np.asarray(np.arcsin(np.sqrt(np.clip(shares, 0, 1))))


def _gather(spread: Array) -> Array:
    return np.asarray(np.sin(np.clip(spread, 0, np.pi / 2)) ** 2)


def _series(history: list[dict[str, float]], names: list[str]) -> dict[str, list[tuple[float, float]]]:
    """Points (epoch, value) of each name, finite ones only; the row's place stands in for a missing epoch."""
    return {
        name: [
            (float(row.get("epoch", place)), float(row[name]))
            for place, row in enumerate(history)
            if isinstance(row.get(name), int | float) and math.isfinite(row[name])
        ]
        for name in names
    }


def draw_legend(axes: Any, handles: list[Any], names: list[str], *, columns: int, below: bool) -> None:
    """A legend that takes names as they are: no math between dollars, no name hidden for its leading underscore."""
    place = {"loc": "upper left", "bbox_to_anchor": (-0.03, -0.17)} if below else {"loc": "best"}
    legend = axes.legend(
        handles, [str(k) for k in range(len(handles))], ncols=columns, handlelength=1.8, columnspacing=1.2, **place
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(printable(name))


def draw_note(figure: Figure, note: str) -> None:
    """A sentence in the place of a plot."""
    figure.text(0.5, 0.5, note, ha="center", va="center", color=TEXT)
