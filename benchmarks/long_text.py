"""Long text: whole passages of terms of service, cut at the model's longest input or read in windows.

    python benchmarks/long_text.py MODEL [--clauses 5 20 50] [--render]

A passage is so many consecutive clauses of one document of UNFAIR-ToS's validation split (SMALLPRINT_DATA, default ../shared),
joined; its labels are those of its clauses. MODEL is a bundle of an encoder that was trained on single clauses. Scored besides
clause by clause, which is what windows stand in for. Average precision needs no threshold: longer passages want others than
clauses. Writes benchmarks/results/long_text.json and the table in docs/scan.md. Test is not opened.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import smallprint
from readme import ROOT, write_section
from smallprint.core.files import write_json
from smallprint.core.results import Array
from smallprint.evaluation.ranking import average_precision_macro
from smallprint.inference.engine import Engine

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "long_text.json", ROOT / "docs" / "scan.md"


def read_clauses(n_labels: int) -> tuple[list[str], list[str], Array]:
    """Gives texts, documents and 0/1 labels of validation, in order."""
    frame = pl.read_parquet(DATA / "unfair_tos" / "validation.parquet")
    truth = np.zeros((frame.height, n_labels), dtype=np.int8)
    for row, labels in enumerate(frame["labels"].to_list()):
        truth[row, labels] = 1
    return frame["text"].to_list(), frame["document"].to_list(), truth


def passages(documents: list[str], size: int) -> list[list[int]]:
    """Gives the rows of each passage of `size` clauses, the last of a document shorter."""
    found: list[list[int]] = []
    for row, document in enumerate(documents):
        new = not found or documents[found[-1][0]] != document or len(found[-1]) == size
        found.append([row]) if new else found[-1].append(row)
    return found


def measure(engine: Engine, size: int) -> list[dict[str, object]]:
    """Gives a row for each way to read passages of `size` clauses."""
    texts, documents, truth = read_clauses(len(engine.labels.names))
    groups = passages(documents, size)
    whole = [" ".join(texts[row] for row in rows) for rows in groups]
    wanted = np.array([truth[rows].max(axis=0) for rows in groups])
    found = []
    for way in ("cut", "windows", "clause by clause"):
        engine.scorer.windows = way == "windows"  # type: ignore[attr-defined]
        if way == "clause by clause":
            each = engine.score(texts)
            scores = np.array([each[rows].max(axis=0) for rows in groups])
        else:
            scores = engine.score(whole)
        found.append(
            {
                "clauses": size,
                "passages": len(groups),
                "way": way,
                "average_precision": average_precision_macro(wanted, scores),
                "recall_at_half": float((scores > 0.5)[wanted == 1].mean()),
                "precision_at_half": float(wanted[scores > 0.5].mean()),
            }
        )
    return found


def render(found: dict[str, Any]) -> str:
    """Gives the table: average precision, and recall at 0.5, of each way."""
    ways = ("cut", "windows", "clause by clause")
    lines = [
        "| clauses | passages | average precision: cut | windows | clause by clause | recall at 0.5: cut | windows | clause by clause |",
        "|---" * 8 + "|",
    ]
    for size in dict.fromkeys(row["clauses"] for row in found["rows"]):
        rows = {row["way"]: row for row in found["rows"] if row["clauses"] == size}
        cells = [f"{100 * rows[way][name]:.1f}" for name in ("average_precision", "recall_at_half") for way in ways]
        lines.append(f"| {size} | {rows['cut']['passages']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--clauses", type=int, nargs="+", default=[5, 20, 50])
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    given = parser.parse_args()
    if not given.render:
        engine = smallprint.load(given.model)
        rows = [row for size in given.clauses for row in measure(engine, size)]
        write_json(RESULTS, {"max_length": engine.max_length, "rows": rows})
    table = render(json.loads(RESULTS.read_text(encoding="utf-8")))
    print(table)
    write_section("long_text", table, PAGE)


if __name__ == "__main__":
    main()
