"""Plots of a sweep. In: what sweep.json holds. Out: SVG strings for one page, readable without colour.

Which line is which is told by width, dashes and markers too. The tables behind them are made from the same numbers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from smallprint.evaluation.page_text import printable, shorten
from smallprint.evaluation.svg import GRID, LINES, TEXT, render_svg
from smallprint.sweep.result import told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNUSED = -0.12  # where a line passes a setting that its trial did not hear
NAME_LENGTH = 26


def plot_trials(found: dict[str, Any]) -> str:
    """Value of each trial in the order they were asked for, and the best so far; pruned ones hollow at their last value."""
    trials = found["trials"]
    done = [(t["index"] + 1, t["value"]) for t in trials if t["state"] == "complete"]
    pruned = [(t["index"] + 1, t["value"]) for t in trials if t["state"] == "pruned" and t["value"] is not None]
    best: list[float] = []
    for _, value in done:
        best.append(max([value, *best[-1:]]))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        last = max(t["index"] for t in trials) + 1
        axes.step(
            [*(i for i, _ in done), last],
            [*best, best[-1]],
            where="post",
            color=LINES[0],
            linewidth=2.0,
            label="best so far",
        )
        axes.plot(*zip(*done, strict=True), "o", color=TEXT, markersize=4.5, label="complete")
        if pruned:
            axes.plot(
                *zip(*pruned, strict=True), "o", color=TEXT, markersize=4.5, mfc="none", label="pruned, last value"
            )
        axes.set_xlabel("trial")
        axes.set_ylabel("average precision")
        locator: Any = axes.xaxis.get_major_locator()
        locator.set_params(integer=True)
        axes.legend(loc="lower right")

    return render_svg(draw, title=f"Average precision of {len(trials)} trials, and the best so far", height=2.9)


def plot_importances(importances: dict[str, float]) -> str:
    """A bar for each setting, longest first."""
    names = list(importances)[::-1]
    shares = [importances[name] for name in names]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = range(len(names))
        axes.barh(places, shares, color=LINES[0], height=0.6)
        axes.set_yticks(list(places), [printable(_short(name)) for name in names])
        axes.grid(visible=False, axis="y")
        for place, share in zip(places, shares, strict=True):
            axes.text(share, place, f" {share:.2f}", va="center", color=TEXT)
        axes.set_xlim(0, max(shares) * 1.15)
        axes.set_xlabel("share of what the settings explain")

    return render_svg(draw, title="How much each setting matters", height=0.75 + 0.28 * len(names))


def plot_parallel(found: dict[str, Any]) -> str:
    """Parallel coordinates: a row a setting, a line a trial from top to bottom, and its value in the last row.

    The best trial is thick with dots, the run's own settings dashed with squares, the others thin, stronger the better they did.
    """
    space, trials = found["space"], [t for t in found["trials"] if t["value"] is not None]
    keys = list(space)
    best = found["best"]["index"]
    ranked = sorted(trials, key=lambda t: t["value"])
    values = [t["value"] for t in trials]
    low, high = min(values), max(values)

    def line_of(trial: dict[str, Any]) -> list[float]:
        own = found["default_settings"] if trial["start"] == "default" else trial["settings"]
        places = [place_of(space[key], own[key]) if key in own else UNUSED for key in keys]
        return [*places, (trial["value"] - low) / (high - low) if high > low else 0.5]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rows = list(range(len(keys) + 1))
        for row, key in enumerate([*keys, ""]):
            axes.plot([0, 1], [row, row], color=GRID, linewidth=1.0, zorder=1)
            for place, name in marks_of(space[key]) if key else [(0.0, f"{low:.3f}"), (1.0, f"{high:.3f}")]:
                axes.plot([place], [row], "|", color=TEXT, markersize=6, zorder=2)
                text = printable(shorten(name, 16))
                axes.text(place + 0.015, row + 0.3, text, ha="left", va="center", fontsize=7, color=TEXT)
        for rank, trial in enumerate(ranked):
            own = trial["start"] == "default"
            style: dict[str, Any] = {"color": TEXT, "linewidth": 0.8, "alpha": 0.15 + 0.45 * (rank + 1) / len(ranked)}
            if trial["state"] == "pruned":
                style |= {"linestyle": (0, (1, 2))}
            if own:
                style = {"color": LINES[1], "linewidth": 1.8, "linestyle": (0, (5, 2)), "marker": "s", "markersize": 4}
                style["label"] = "the run's own"
            if trial["index"] == best:
                style |= {
                    "color": LINES[0],
                    "linewidth": 2.6,
                    "marker": "o",
                    "markersize": 5,
                    "alpha": 1.0,
                    "label": "best",
                }
            axes.plot(line_of(trial), rows, zorder=4 if own or trial["index"] == best else 3, **style)
        axes.set_yticks(rows, [*(printable(_short(key)) for key in keys), "average precision"])
        axes.set_ylim(len(keys) + 0.7, -0.5)
        axes.set_xlim(UNUSED - 0.05, 1.15)
        unused = any(UNUSED in line_of(trial) for trial in trials)
        axes.set_xticks([UNUSED] if unused else [], ["unused"] if unused else [])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    return render_svg(
        draw, title=f"Settings of {len(trials)} trials, a line each", width=4.3, height=1.0 + 0.5 * (len(keys) + 1)
    )


def place_of(domain: dict[str, Any], value: Any) -> float:
    """Gives where a value stands in its domain, 0 to 1."""
    if "choices" in domain:
        choices: list[Any] = domain["choices"]
        if value not in choices:
            return UNUSED
        return choices.index(value) / max(len(choices) - 1, 1)
    low, high, at = float(domain["low"]), float(domain["high"]), float(value)
    if domain.get("log"):
        low, high, at = math.log(low), math.log(high), math.log(max(at, low))
    return min(max((at - low) / (high - low), 0.0), 1.0)


def marks_of(domain: dict[str, Any]) -> list[tuple[float, str]]:
    """Gives the marks of a row: each choice, or both ends and the middle."""
    if "choices" in domain:
        return [(place_of(domain, choice), told(choice)) for choice in domain["choices"]]
    low, high = float(domain["low"]), float(domain["high"])
    middle = math.sqrt(low * high) if domain.get("log") else (low + high) / 2
    ends = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    if isinstance(domain["low"], int) and isinstance(domain["high"], int):
        return ends
    return [*ends, (0.5, f"{middle:.3g}")]


def _short(key: str) -> str:
    return shorten(key.split(".", 1)[-1], NAME_LENGTH)
