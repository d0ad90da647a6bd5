"""The table as a chart: macro F1 over LexGLUE's nine columns, a bar a system, ours with their interval."""

from __future__ import annotations

from html import escape
from typing import Any

MEASURE = "nine_macro"
ROW, LEFT, WIDTH, TOP = 24, 285, 380, 34


def render_chart(figure: dict[str, Any]) -> str:
    """Gives an SVG of its own colours for light and dark, readable in grey: ours are filled, published ones outlined."""
    rows = sorted(figure["rows"], key=lambda row: float(row["mean"][MEASURE]))
    height = TOP + ROW * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 80} {height}" role="img" '
        f'aria-labelledby="t" font-family="system-ui, sans-serif" font-size="13">',
        '<title id="t">Macro F1 on UNFAIR-ToS, LexGLUE\'s nine columns at threshold 0.5</title>',
        "<style>text{fill:#1b1b1b}.bar{fill:none;stroke:#666}.ours{fill:#2a6db0;stroke:#2a6db0}.line{stroke:#1b1b1b}"
        ".grid{stroke:#ccc}@media(prefers-color-scheme:dark){text{fill:#eee}.bar{stroke:#aaa}"
        ".ours{fill:#6aa9e9;stroke:#6aa9e9}.line{stroke:#fff}.grid{stroke:#444}}</style>",
        '<text x="0" y="16" font-weight="600">Macro F1, nine columns at 0.5 (%)</text>',
    ]
    for tick in range(0, 101, 20):
        x = _x(tick / 100)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{height - 24}"/>')
        parts.append(f'<text x="{x}" y="{height - 8}" text-anchor="middle" font-size="11">{tick}</text>')
    for place, row in enumerate(reversed(rows)):
        y, value = TOP + ROW * place, float(row["mean"][MEASURE])
        kind = "ours" if "cost" in row else "bar"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(row["title"])}</text>')
        parts.append(
            f'<rect class="{kind}" x="{LEFT}" y="{y + 3}" width="{max(_x(value) - LEFT, 1):.1f}" height="{ROW - 9}"/>'
        )
        end = value
        if MEASURE in row.get("interval", {}):
            low, high = row["interval"][MEASURE]
            end = max(high, value)
            parts.append(f'<line class="line" x1="{_x(low)}" x2="{_x(high)}" y1="{y + 10.5}" y2="{y + 10.5}"/>')
        parts.append(f'<text x="{_x(end) + 6}" y="{y + 14}">{100 * value:.1f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _x(value: float) -> float:
    return round(LEFT + WIDTH * value, 1)
