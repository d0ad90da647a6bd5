"""Memory and time of `smallprint predict` over a million rows: flat, and in proportion. Writes benchmarks/results/million.json.

    python benchmarks/million.py MODEL [--onnx ONNX] [--rows 100000 1000000] [--onnx-rows 2000 20000]

MODEL is a bundle of tables of words (or TF-IDF), ONNX an exported encoder. Rows are train clauses of UNFAIR-ToS (SMALLPRINT_DATA), each
with a number of its own behind it, so that new words never end. Each command runs in a process of its own. Its peak of memory (VmHWM) is
given beyond that of the same command over two rows: libraries and model loaded. Seconds are those of the command less the two rows'.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from readme import ROOT, write_section
from smallprint.core.files import write_json

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "million.json"
PAGE = ROOT / "docs" / "speed.md"
CHUNK = 50_000
MOST_MB, MOST_TIMES = 300, 10.5  # what was promised: above the loaded model, and of ten times the rows


def write_rows(path: Path, rows: int) -> None:
    """Writes so many rows as Parquet or CSV, some at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    clauses = pl.read_parquet(DATA / "unfair_tos" / "train.parquet")["text"].to_list()
    rng, writer = np.random.default_rng(0), None
    with path.open("wb") as file:
        for start in range(0, rows, CHUNK):
            numbers = range(start, min(start + CHUNK, rows))
            texts = [
                f"{clauses[i]} {n:07d}"
                for i, n in zip(rng.integers(0, len(clauses), len(numbers)), numbers, strict=True)
            ]
            frame = pl.DataFrame({"row": list(numbers), "text": texts})
            if path.suffix == ".csv":
                frame.write_csv(file, include_header=start == 0)
                continue
            table = pa.table({"row": list(numbers), "text": texts})
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()


def predict(model: str, source: Path, out: Path) -> dict[str, float]:
    """Gives peak memory and seconds of one command, in a process of its own."""
    code = (
        "import sys\nfrom smallprint.cli.app import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    print(next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
    )
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", code, "predict", model, str(source), "-o", str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"peak_mb": int(done.stdout.split()[-1]) / 1024, "seconds": seconds, "cpu_seconds": spent}


def measure(model: str, suffix: str, sizes: list[int], folder: Path) -> dict[str, Any]:
    """Gives what each size takes beyond two rows, and the ratio of the last to the first."""
    runs: dict[int, dict[str, float]] = {}
    for rows in (2, *sizes):
        source, out = folder / f"rows{suffix}", folder / f"out{suffix}"
        write_rows(source, rows)
        runs[rows] = predict(model, source, out)
        print(f"{suffix} {rows:,} rows: {runs[rows]}", file=sys.stderr)
        if suffix == ".csv":
            with out.open("rb") as file:
                written = sum(1 for _ in file) - 1
        else:
            written = pl.scan_parquet(out).select(pl.len()).collect().item()
        assert written == rows, (written, rows)
        source.unlink()
        out.unlink()
    loaded = runs[2]
    found = [
        {
            "rows": rows,
            "above_model_mb": runs[rows]["peak_mb"] - loaded["peak_mb"],
            "seconds": runs[rows]["seconds"] - loaded["seconds"],
            "cpu_seconds": runs[rows]["cpu_seconds"] - loaded["cpu_seconds"],
        }
        for rows in sizes
    ]
    more = sizes[-1] / sizes[0]
    return {
        "loaded_mb": loaded["peak_mb"],
        "start_to_answer_seconds": loaded["seconds"],
        "sizes": found,
        "times_rows": more,
        "times_seconds": found[-1]["seconds"] / found[0]["seconds"],
        "times_cpu_seconds": found[-1]["cpu_seconds"] / found[0]["cpu_seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="left out: only write the table from the results file")
    parser.add_argument("--onnx")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--onnx-rows", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--only", nargs="*", default=["csv", "parquet"], help="csv, parquet; nothing: ONNX alone")
    given = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if given.model is not None:
        with tempfile.TemporaryDirectory() as name:
            for kind in given.only:
                results[f"static, {kind}"] = measure(given.model, f".{kind}", given.rows, Path(name))
            if given.onnx:
                results["onnx fp32, csv"] = measure(given.onnx, ".csv", given.onnx_rows, Path(name))
        write_json(RESULTS, results)
    write_section("million", render(results), PAGE)


def render(results: dict[str, Any]) -> str:
    lines = [
        "| | rows | above the loaded model | seconds | processor seconds | rows a processor second | times the time, 10 times the rows |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        for part in row["sizes"]:
            last = part is row["sizes"][-1]
            cells = [
                f"{part['rows']:,}",
                f"{part['above_model_mb']:.0f} MB",
                f"{part['seconds']:.0f}",
                f"{part['cpu_seconds']:.0f}",
                f"{part['rows'] / part['cpu_seconds']:,.0f}",
                f"{row['times_seconds']:.1f} (processor time: {row['times_cpu_seconds']:.1f})" if last else "",
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
