"""The table as a chart: macro F1 over LexGLUE's nine columns, a bar a system, ours with their interval."""

from __future__ import annotations

from html import escape
from typing import Any

MEASURE = "nine_macro"
# by CSS variables: a file of its own follows the system's light or dark, and a page that holds the drawing sets them itself
STYLE = (
    "<style>:root{--ink:#1b1b1b;--soft:#5c6470;--grid:#d5d9de;--paper:#f4f6f8;--ours:#2a6db0;--theirs:#8a93a0;--warm:#b4551d}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#a9b1bd;--grid:#474d57;--paper:#2a2e37;--ours:#6aa9e9;"
    "--theirs:#8f98a6;--warm:#f0985c}}</style>"
)
ROW, LEFT, WIDTH, TOP = 24, 355, 380, 34


def render_chart(figure: dict[str, Any]) -> str:
    """Gives an SVG of its own colours for light and dark, readable in grey: ours are filled, published ones outlined."""
    rows = sorted(figure["rows"], key=lambda row: float(row["mean"][MEASURE]))
    height = TOP + ROW * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 80} {height}" role="img" '
        f'aria-labelledby="t" font-family="system-ui, sans-serif" font-size="13" fill="var(--ink)">',
        '<title id="t">Macro F1 on UNFAIR-ToS, LexGLUE\'s nine columns at threshold 0.5</title>',
        STYLE,
        '<text x="0" y="16" font-weight="600">Macro F1, nine columns at 0.5 (%)</text>',
    ]
    for tick in range(0, 101, 20):
        x = _x(tick / 100)
        parts.append(f'<line stroke="var(--grid)" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{height - 24}"/>')
        parts.append(f'<text x="{x}" y="{height - 8}" text-anchor="middle" font-size="11">{tick}</text>')
    for place, row in enumerate(reversed(rows)):
        y, value = TOP + ROW * place, float(row["mean"][MEASURE])
        fill, stroke = ("var(--ours)",) * 2 if "cost" in row else ("none", "var(--theirs)")
        parts.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(row["title"])}</text>')
        parts.append(
            f'<rect fill="{fill}" stroke="{stroke}" x="{LEFT}" y="{y + 3}" width="{max(_x(value) - LEFT, 1):.1f}" '
            f'height="{ROW - 9}"/>'
        )
        end = value
        if MEASURE in row.get("interval", {}):
            low, high = row["interval"][MEASURE]
            end = max(high, value)
            parts.append(f'<line stroke="var(--ink)" x1="{_x(low)}" x2="{_x(high)}" y1="{y + 10.5}" y2="{y + 10.5}"/>')
        parts.append(f'<text x="{_x(end) + 6}" y="{y + 14}">{100 * value:.1f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _x(value: float) -> float:
    return round(LEFT + WIDTH * value, 1)
