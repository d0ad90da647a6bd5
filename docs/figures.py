"""Draws the figures of README and the guide. In: results files and the source's imports. Out: docs/figures/*.svg, the same bytes each time.

    python docs/figures.py

Colours are CSS variables with values for light and dark (`bench/chart.py`). No picture is drawn by hand: what a figure says of
quality comes from benchmarks/results, and the architecture from the import statements.
"""

from __future__ import annotations

import ast
import json
import tomllib
from html import escape
from math import log10
from pathlib import Path
from typing import Any

from smallprint.bench.chart import STYLE

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "smallprint"
RESULTS = ROOT / "benchmarks" / "results"
FIGURES = ROOT / "docs" / "figures"
HEAVY = (
    "torch",
    "transformers",
    "pytorch_lightning",
    "peft",
    "sklearn",
    "polars",
    "mlflow",
    "onnxruntime",
    "fastapi",
    "lxml",
    "pypdfium2",
    "typer",
)


class Drawing:
    """Shapes added one by one, then `text()`."""

    def __init__(self, name: str, title: str, width: int, height: int) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t" '
            'font-family="system-ui, sans-serif" font-size="13" fill="var(--ink)">',
            f'<title id="{name}-t">{escape(title)}</title>',
            STYLE,
        ]

    def word(
        self,
        x: float,
        y: float,
        text: str,
        anchor: str = "start",
        colour: str = "ink",
        size: float = 13,
        bold: bool = False,
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="var(--{colour})" font-size="{size:g}"{weight}'
        self.parts.append(f"<text {place}>{escape(text)}</text>")

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = "grid", width: float = 1, dashed: bool = False
    ) -> None:
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self.parts.append(f'<line {ends} stroke="var(--{colour})" stroke-width="{width:g}"{dash}/>')

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str = "paper",
        stroke: str = "grid",
        round_: float = 5,
    ) -> None:
        size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_:g}"'
        ink = "none" if fill == "none" else f"var(--{fill})"
        self.parts.append(f'<rect {size} fill="{ink}" stroke="var(--{stroke})"/>')

    def dot(self, x: float, y: float, radius: float, fill: str = "ours", opacity: float = 1) -> None:
        faint = "" if opacity == 1 else f' fill-opacity="{opacity:g}"'
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="var(--{fill})"{faint}/>')

    def path(self, d: str, colour: str = "soft", dashed: bool = False, width: float = 1.4) -> None:
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        self.parts.append(f'<path d="{d}" fill="none" stroke="var(--{colour})" stroke-width="{width:g}"{dash}/>')

    def arrow(self, x: float, y: float, down: bool = False) -> None:
        """The head of an arrow, with its point at x, y."""
        points = (
            f"{x - 4:g},{y - 7:g} {x + 4:g},{y - 7:g} {x:g},{y:g}"
            if down
            else f"{x - 7:g},{y - 4:g} {x - 7:g},{y + 4:g} {x:g},{y:g}"
        )
        self.parts.append(f'<polygon points="{points}" fill="var(--soft)"/>')

    def text(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


# ---- the way of a text


def chain(drawing: Drawing, steps: list[tuple[str, str, str]], top: int, width: int, gap: int) -> None:
    """Draws boxes in a row, an arrow between each two: name, what stands under it, and its stroke."""
    for k, (name, under, stroke) in enumerate(steps):
        x = k * (width + gap)
        drawing.box(x + 0.5, top, width - 1, 52, stroke=stroke)
        drawing.word(x + width / 2, top + 22, name, "middle", bold=True)
        drawing.word(x + width / 2, top + 40, under, "middle", "soft", 11)
        if k:
            drawing.path(f"M{x - gap},{top + 26}H{x - 6}")
            drawing.arrow(x, top + 26)


def flow() -> str:
    """The steps of `api.train` in the order in which its source calls them, and what is done with the bundle afterwards."""
    drawing = Drawing("flow", "From a labelled table to a bundle, and from new texts to decisions", 960, 268)
    steps = [
        ("your table", "text, labels", "grid"), ("check", "what is wrong", "grid"), ("split", "documents whole", "grid"),
        ("fit", "Lightning, linear", "ours"), ("tune", "thresholds", "grid"), ("evaluate", "with intervals", "grid"),
        ("bundle", "no pickle, hashes", "ours"),
    ]  # fmt: skip
    width, gap, top = 118, 20, 34
    drawing.word(0, 16, "smallprint train", size=13, bold=True)
    drawing.word(134, 16, "once, on labelled examples", colour="soft", size=12)
    chain(drawing, steps, top, width, gap)
    a, b = 2 * (width + gap) + width / 2, 5 * (width + gap) + width / 2
    drawing.path(f"M{a:g},{top + 52}V{top + 72}H{b:g}V{top + 59}", dashed=True)
    drawing.parts.append(
        f'<polygon points="{b - 4:g},{top + 60} {b + 4:g},{top + 60} {b:g},{top + 53}" fill="var(--soft)"/>'
    )
    drawing.word((a + b) / 2, top + 88, "the test split: opened once, at the end", "middle", "soft", 11.5)
    low = 186
    drawing.word(0, low - 18, "predict, scan, serve", bold=True)
    drawing.word(214, low - 18, "every day, on rows and whole documents", colour="soft", size=12)
    used = [("new texts", "csv, pdf, docx, html", "grid"), ("score", "torch or ONNX", "ours"), ("findings", "place, label, words", "grid"),
            ("policy", "how far alone", "grid")]  # fmt: skip
    chain(drawing, used, low, width, gap)
    x = 4 * (width + gap)
    ends = [
        ("cleared", "by the machine"),
        ("flagged", "by the machine: webhook, command"),
        ("person", "reads it, and labels what comes next"),
    ]
    for k, (name, under) in enumerate(ends):
        y = low - 4 + k * 30
        drawing.path(f"M{x - gap},{low + 26}C{x - 8},{low + 26} {x - 12},{y + 12} {x - 6},{y + 12}")
        drawing.arrow(x, y + 12)
        drawing.word(x + 6, y + 16, name, bold=True)
        drawing.word(x + 66, y + 16, under, colour="soft", size=12)
    end = 6 * (width + gap) + width / 2
    drawing.path(f"M{end:g},{top + 52}V{top + 104}H{width + gap + width / 2:g}V{low - 6}", "ours", width=1.6)
    down = width + gap + width / 2
    points = f"{down - 4:g},{low - 8} {down + 4:g},{low - 8} {down:g},{low}"
    drawing.parts.append(f'<polygon points="{points}" fill="var(--ours)"/>')
    return drawing.text()


# ---- figure 2: the real imports


def layers() -> list[list[str]]:
    """The layers that import-linter holds, uppermost first."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ][0]
    return [[part.strip().removeprefix("smallprint.") for part in row.split("|")] for row in contract["layers"]]


def files_of(part: str) -> list[Path]:
    return sorted((SOURCE / part).rglob("*.py")) if (SOURCE / part).is_dir() else [SOURCE / f"{part}.py"]


def imports_of(part: str) -> tuple[dict[str, int], list[str]]:
    """How many files of a part import each other part, and the heavy packages that it imports anywhere."""
    within: dict[str, int] = {}
    outside: set[str] = set()
    for path in files_of(part):
        modules: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "smallprint":
                modules |= {f"smallprint.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
        outside |= {module.split(".")[0] for module in modules}
        for name in {module.split(".")[1] for module in modules if module.startswith("smallprint.")} - {part}:
            within[name] = within.get(name, 0) + 1
    return within, [name for name in HEAVY if name in outside]


def sentence_of(part: str) -> str:
    """The first sentence of the part's docstring."""
    path = SOURCE / part / "__init__.py" if (SOURCE / part).is_dir() else SOURCE / f"{part}.py"
    words = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    first = words.split(". ")[0].split(": ")[0].split(" (")[0].rstrip(".:,")
    return first if len(first) < 62 else first[:60].rsplit(" ", 1)[0] + " ..."


def architecture() -> str:
    """Figure 2: the parts in their layers, what each may need from outside, and who imports whom, as a matrix."""
    rows = layers()
    parts = [part for row in rows for part in row]
    step, top, grid = 25, 96, 610
    gaps = {}
    y = float(top)
    for row in rows:
        for part in row:
            gaps[part] = y
            y += step
        y += 7
    columns = {part: grid + 22 * k for k, part in enumerate(parts)}
    width = grid + 22 * len(parts) + 14
    drawing = Drawing(
        "architecture",
        "The parts of smallprint in layers, and which imports which, counted from the source",
        int(width),
        int(y) + 44,
    )
    drawing.word(0, 16, "Parts, uppermost layer first", bold=True)
    drawing.word(0, 34, "A layer may import those below it, never one above.", colour="soft", size=12)
    drawing.word(grid - 10, 16, "imports", bold=True)
    drawing.word(grid + 54, 16, "(files of the row that import the column)", colour="soft", size=12)
    for part, x in columns.items():
        drawing.parts.append(
            f'<text transform="translate({x + 4:g},{top - 10}) rotate(-52)" font-size="11.5" fill="var(--soft)">{part}</text>'
        )
    for row in rows:
        first, last = gaps[row[0]], gaps[row[-1]]
        drawing.box(0.5, first - 3, width - 1.5, last - first + step - 1, stroke="grid")
        for part in row:
            y = gaps[part]
            within, outside = imports_of(part)
            drawing.word(10, y + 14, part, bold=True)
            drawing.word(104, y + 14, sentence_of(part), colour="soft", size=11)
            drawing.word(grid - 16, y + 14, ", ".join(outside[:4]), "end", "ours", 10)
            for name, x in columns.items():
                if name == part:
                    drawing.line(x - 4, y + 10, x + 4, y + 10, "theirs")
                elif count := within.get(name):
                    radius = 2.5 + 3.2 * log10(count + 1) * 1.6
                    drawing.dot(x, y + 10, radius, opacity=0.85)
    bottom = int(max(gaps.values())) + step + 22
    drawing.word(
        0,
        bottom,
        "Blue words: packages that a part needs from outside; heavy ones are imported inside functions, so that importing costs nothing.",
        colour="soft",
        size=11,
    )
    drawing.word(
        0,
        bottom + 16,
        "All dots stand right of the dashes: nothing imports upwards (tests and import-linter hold that).",
        colour="soft",
        size=11,
    )
    return drawing.text()


# ---- data and results


def imbalance() -> str:
    """Positives of each label of UNFAIR-ToS, split by split."""
    facts = read("data_facts")["unfair_tos"]
    labels, splits = facts["labels"], facts["splits"]
    order = sorted(range(len(labels)), key=lambda k: -splits["train"]["positives"][k])
    left, scale, top, step = 170, 500 / max(splits["train"]["positives"]), 42, 46
    drawing = Drawing(
        "imbalance", "Clauses that carry each label, in train, validation and test", 760, top + step * len(labels) + 8
    )
    total = sum(split["rows"] for split in splits.values())
    flagged = sum(split["with_a_label"] for split in splits.values())
    drawing.word(
        0,
        16,
        f"{flagged:,} of {total:,} clauses carry a label; the rarest label has {min(splits['test']['positives'])} in test",
        bold=True,
    )
    for place, k in enumerate(order):
        y = top + step * place
        drawing.word(left - 10, y + 20, labels[k], "end")
        for row, (split, colour) in enumerate((("train", "ours"), ("validation", "theirs"), ("test", "warm"))):
            count = splits[split]["positives"][k]
            drawing.box(left, y + 1 + 12 * row, max(count * scale, 1), 9, colour, colour, 1)
            drawing.word(
                left + count * scale + 6,
                y + 9.5 + 12 * row,
                f"{count} {split}" if not place else str(count),
                size=10.5,
                colour="soft",
            )
    return drawing.text()


def certainty() -> str:
    """Figure 10: each system's seeds and interval, and its paired difference to the linear baseline."""
    figure = read("figure1")
    ours = sorted((row for row in figure["rows"] if "cost" in row), key=lambda row: -row["mean"]["nine_macro"])
    best = max((row for row in figure["rows"] if "n_test" not in row), key=lambda row: row["mean"]["nine_macro"])
    name_end, low, high = 350, 0.66, 0.90
    first, second = 250, 210
    top, step = 66, 34
    height = top + step * len(ours) + 40
    drawing = Drawing(
        "certainty",
        "Macro F1 over nine columns with its uncertainty, and differences to the linear baseline",
        915,
        height + 6,
    )
    drawing.word(name_end, 16, "Macro F1, nine columns at 0.5 (%)", bold=True)
    drawing.word(
        name_end, 34, f"dots: seeds; line: 95% over {figure['data']['documents']} documents", colour="soft", size=11.5
    )
    start = name_end + first + 50
    drawing.word(start, 16, "Difference to the linear baseline", bold=True)
    drawing.word(start, 34, "points, paired over documents, 95%", colour="soft", size=11.5)
    bottom = top + step * len(ours)

    def x1(value: float) -> float:
        return name_end + first * (value - low) / (high - low)

    def x2(points: float) -> float:
        return start + second * (points + 0.14) / 0.22

    for tick in (0.70, 0.75, 0.80, 0.85):
        drawing.line(x1(tick), top - 8, x1(tick), bottom)
        drawing.word(x1(tick), bottom + 16, f"{100 * tick:.0f}", "middle", "soft", 11)
    for tick in (-0.10, -0.05, 0.0, 0.05):
        drawing.line(x2(tick), top - 8, x2(tick), bottom, "ink" if tick == 0 else "grid")
        drawing.word(x2(tick), bottom + 16, f"{100 * tick:+.0f}" if tick else "0", "middle", "soft", 11)
    published = best["mean"]["nine_macro"]
    drawing.line(x1(published), top - 8, x1(published), bottom, "warm", 1.4, dashed=True)
    drawing.word(
        x1(published),
        bottom + 32,
        f"highest of LexGLUE's table, one run: {best['title']}, {100 * published:.1f}",
        "middle",
        "warm",
        11,
    )
    for place, row in enumerate(ours):
        y = top + step * place + 12
        drawing.word(name_end - 12, y + 4, row["title"], "end", size=12)
        a, b = row["interval"]["nine_macro"]
        drawing.line(x1(a), y, x1(b), y, "ours", 2)
        for value in row["by_seed"]["nine_macro"]:
            drawing.dot(x1(value), y - 6, 2.4, "soft", 0.7)
        drawing.dot(x1(row["mean"]["nine_macro"]), y, 4.6)
        if "against_linear" not in row:
            drawing.word(x2(0) + 6, y + 4, "the baseline", colour="soft", size=11)
            continue
        against = row["against_linear"]["nine_macro"]
        c, d = against["interval"]
        drawing.line(x2(c), y, x2(d), y, "ours", 2)
        drawing.dot(x2(against["difference"]), y, 4.6)
    return drawing.text()


def labelling() -> str:
    """What labels bring: average precision by number of labelled examples, chosen or at random."""
    found = read("suggest")
    left, top, width, height = 60, 50, 560, 220
    drawing = Drawing(
        "labelling", "Average precision on validation by number of labelled clauses", 760, top + height + 52
    )
    drawing.word(0, 16, "Average precision on validation (%), TF-IDF + linear SVM", bold=True)
    drawing.word(0, 34, f"mean and standard deviation over {found['seeds']} draws", colour="soft", size=11.5)

    def x(n: float) -> float:
        return left + width * n / 1050

    def y(value: float) -> float:
        return top + height * (0.8 - value) / 0.7

    for tick in (0.2, 0.4, 0.6, 0.8):
        drawing.line(left, y(tick), left + width, y(tick))
        drawing.word(left - 8, y(tick) + 4, f"{100 * tick:.0f}", "end", "soft", 11)
    for n in (100, 300, 500, 1000):
        drawing.word(x(n), top + height + 18, f"{n:,}", "middle", "soft", 11)
    drawing.word(left + width / 2, top + height + 38, "labelled clauses", "middle", "soft", 12)
    for name, colour, told in (
        ("suggest", "ours", "chosen by smallprint suggest"),
        ("random", "warm", "drawn at random"),
    ):
        points = [
            (int(key.split()[1]), *row["average_precision"])
            for key, row in found["mean"].items()
            if key.startswith(name)
        ]
        drawing.path("M" + "L".join(f"{x(n):.1f},{y(mean):.1f}" for n, mean, _ in points), colour, width=2)
        for n, mean, spread in points:
            drawing.line(x(n), y(mean - spread), x(n), y(mean + spread), colour, 1.4)
            drawing.dot(x(n), y(mean), 4, colour)
        n, mean, _ = points[-1]
        drawing.word(x(n) + 10, y(mean) + (-8 if name == "suggest" else 4), told, colour=colour, size=12)
    return drawing.text()


DRAWN = {
    "flow": flow,
    "architecture": architecture,
    "imbalance": imbalance,
    "certainty": certainty,
    "labelling": labelling,
}


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    for name, draw in DRAWN.items():
        (FIGURES / f"{name}.svg").write_text(draw(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
