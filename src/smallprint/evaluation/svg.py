"""A drawn figure as SVG for a page. In: a drawing function. Out: a string whose bytes depend on the drawing alone.

The figure is made with matplotlib's objects: no pyplot, no state left behind, whatever the user's matplotlibrc says.
Colours are drawn as placeholders and come out as CSS variables, so that the page decides them (dark mode); text takes
the page's font and `currentColor`. Ids carry a hash of the drawing: several SVGs in one page do not collide.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from smallprint.evaluation.page_text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT, GRID = "#0a0b01", "#0a0b02"
LINES = ["#0a0b11", "#0a0b12", "#0a0b13", "#0a0b14", "#0a0b15", "#0a0b16"]
COLOURS = {TEXT: "currentColor", GRID: "var(--plot-grid, #8886)"} | {
    placeholder: f"var(--plot-{k}, {fallback})"
    for k, (placeholder, fallback) in enumerate(
        zip(LINES, ["#2563a8", "#c2541b", "#1a7f5a", "#8a3ea8", "#a8801a", "#c0306e"], strict=True), start=1
    )
}
"""Placeholder drawn by matplotlib -> what stands in the SVG."""

SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "smallprint",
    "svg.id": None,
    "font.size": 9.0,
    "text.color": TEXT,
    "text.parse_math": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
}


def render_svg(draw: Callable[[Figure], None], *, title: str, width: float = 4.9, height: float = 3.6) -> str:
    """What `draw` puts on an empty figure, as an `<svg>` element with `role="img"` and a `<title>`.

    Args:
        draw: Draws with the colours `TEXT`, `GRID` and `LINES`.
        title: What the picture shows, for people who do not see it.
        width: In inches; sets the proportions and how large text is in them, since the page scales the picture.
        height: In inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    # The page's own font draws the text, so a glyph that matplotlib's font lacks is no matter.
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _for_page(buffer.getvalue(), title)


def standalone(svg: str, scale: float = 1.5) -> str:
    """Gives such an SVG as a file of its own: with a size, on white, in a font that needs no page around it."""
    root = ElementTree.fromstring(svg)
    width, height = (float(part) * scale for part in root.attrib["viewBox"].split()[2:])
    sized = f'<svg width="{width:.0f}" height="{height:.0f}" '
    return svg.replace("<svg ", sized, 1).replace(
        'style="stroke-linejoin', 'style="background: white; font-family: sans-serif; stroke-linejoin', 1
    )


def _for_page(drawn: bytes, title: str) -> str:
    mark = f"p{hashlib.sha256(drawn + title.encode('utf-8', 'replace')).hexdigest()[:8]}-"
    root = ElementTree.fromstring(drawn)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}style"):  # a rule for `*` would reach the whole page
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
        element.attrib = {name.split("}")[-1]: _for_attribute(value, mark) for name, value in element.attrib.items()}
        if "id" in element.attrib:
            element.attrib["id"] = mark + element.attrib["id"]
    heading = ElementTree.Element("title", {"id": f"{mark}title"})
    heading.text = printable(title)
    root.insert(0, heading)
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{mark}title",
        "style": "stroke-linejoin: round; stroke-linecap: butt",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _for_attribute(value: str, mark: str) -> str:
    if value.startswith("#"):
        return f"#{mark}{value[1:]}"
    value = re.sub(r"url\(#", f"url(#{mark}", value)
    value = re.sub(r"font-family: [^;]+", "font-family: inherit", value)
    return re.sub(r"#0a0b[0-9a-f]{2}", lambda found: COLOURS[found.group()], value)
