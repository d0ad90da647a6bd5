"""Memory of ways to fine-tune, as ratios to full fine-tuning. Writes benchmarks/results/memory.json and a table in docs/how-to.

    python benchmarks/memory.py [--backbone minilm] [--rows 400] [--batch-tokens 8192] [--render]

Each way trains one epoch on the longest clauses of UNFAIR-ToS's train split (SMALLPRINT_DATA, default ../shared) in a process of its
own. What a process holds besides (libraries, weights) is what the frozen encoder's run peaks at, and named apart. Scores are of no
interest here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from readme import ROOT, write_section
from smallprint.core.files import write_json

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "memory.json"
PAGE = ROOT / "docs" / "how-to" / "many-machines.md"
WAYS: dict[str, tuple[str, list[str]]] = {
    "full": ("full fine-tuning", []),
    "checkpointing": ("gradient checkpointing", ["training.gradient_checkpointing=true"]),
    "accumulate": ("a quarter of the batch, 4 accumulated", ["training.accumulate=4"]),
    "lora": ("LoRA", ["model.adapter=lora"]),
    "lora-checkpointing": (
        "LoRA, gradient checkpointing",
        ["model.adapter=lora", "training.gradient_checkpointing=true"],
    ),
    "all": (
        "LoRA, gradient checkpointing, 4 accumulated",
        ["model.adapter=lora", "training.gradient_checkpointing=true", "training.accumulate=4"],
    ),
    "frozen": ("frozen", ["model.adapter=frozen"]),
}


def write_table(folder: Path, rows: int) -> Path:
    """Writes the longest clauses as one table with its splits, and gives its path."""
    frame = pl.read_parquet(DATA / "unfair_tos" / "train.parquet")
    longest = frame.sort(pl.col("text").str.len_chars(), descending=True).head(rows)
    names = pl.col("labels").list.eval(pl.element().cast(pl.String))
    parts = ["train"] * (rows * 8 // 10) + ["validation"] * (rows // 10)
    table = longest.sample(fraction=1.0, shuffle=True, seed=0).with_columns(
        names, pl.Series("split", [*parts, *["test"] * (rows - len(parts))])
    )
    table.select("text", "labels", "split").write_parquet(folder / "clauses.parquet")
    return folder / "clauses.parquet"


def measure(table: Path, folder: Path, given: argparse.Namespace, settings: list[str]) -> dict[str, float]:
    """Gives the peak memory of one training, in a process of its own."""
    budget = given.batch_tokens // 4 if "training.accumulate=4" in settings else given.batch_tokens
    sets = [*settings, f"training.batch_tokens={budget}", "training.epochs=1", "tracking.enabled=false"]
    command = [sys.executable, "-m", "smallprint", "train", str(table), "--task", "multilabel", "--out", str(folder)]
    command += ["--backbone", given.backbone, *(part for one in sets for part in ("--set", one))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    timings = json.loads((folder / "timings.json").read_text(encoding="utf-8"))
    return {"peak_mb": timings["peak_memory_mb"]}


def render(found: dict[str, Any]) -> str:
    """Gives the table with what it was measured on."""
    ways, idle = found["ways"], found["idle_mb"]
    lines = [
        f"One epoch over the {found['rows']:,} longest clauses of UNFAIR-ToS, "
        f"{found['backbone']}, {found['batch_tokens']:,} tokens a step. "
        f"A process with nothing but libraries, data and frozen weights peaks at {idle:,.0f} MB; the second ratio leaves that out.",
        "",
        "| | peak memory, MB | ratio | above idle, ratio |",
        "|---|---|---|---|",
    ]
    full = ways["full"]
    for name, (words, _) in WAYS.items():
        if name in ways:
            peak = ways[name]["peak_mb"]
            above = (peak - idle) / (full["peak_mb"] - idle)
            lines.append(f"| {words} | {peak:,.0f} | {peak / full['peak_mb']:.2f} | {above:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    given = parser.parse_args()
    if not given.render:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            table = write_table(folder, given.rows)
            ways = {}
            for way, (_, settings) in WAYS.items():
                ways[way] = measure(table, folder / way, given, settings)
                print(way, ways[way], flush=True)
            idle = ways["frozen"]["peak_mb"]
        shown = Path(given.backbone).name
        write_json(
            RESULTS,
            {"backbone": shown, "rows": given.rows, "batch_tokens": given.batch_tokens, "idle_mb": idle, "ways": ways},
        )
    write_section("memory", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)


if __name__ == "__main__":
    main()
