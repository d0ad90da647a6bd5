"""Two processes against one on UNFAIR-ToS: every example once, the same scores from the same weights, and the time of an epoch.

    python benchmarks/processes.py [--processes 2] [--epochs 1] [--rows 0]

Trains with `smallprint train --devices N`, then scores test again with one process. On one machine the processes share its cores: the
time is no speed-up, but what sharing costs. Data: SMALLPRINT_DATA (default ../shared). Writes benchmarks/results/processes.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

import smallprint
from readme import ROOT
from smallprint.core.files import write_json

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared")) / "unfair_tos"
RESULTS = ROOT / "benchmarks" / "results" / "processes.json"


def train(data: Path, folder: Path, n: int, epochs: int) -> dict[str, float]:
    """Gives seconds an epoch, steps and test scores of one training in `n` processes."""
    command = [sys.executable, "-m", "smallprint", "train", str(data), "--task", "multilabel", "--out", str(folder)]
    command += ["--epochs", str(epochs), "--set", "tracking.enabled=false"]
    subprocess.run([*command, *(["--devices", str(n)] if n > 1 else [])], check=True)
    timings = json.loads((folder / "timings.json").read_text(encoding="utf-8"))
    saved = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    values = saved["test"]["values"]
    return {
        "processes": n,
        "steps": saved["steps"],
        "seconds_per_epoch": timings["seconds_per_epoch"],
        "average_precision": values["average_precision_macro"],
        "lexglue_f1_macro": values["lexglue_f1_macro"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rows", type=int, default=0, help="of each split; all when left out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        data.mkdir()
        for split in ("train", "validation", "test"):
            frame = pl.read_parquet(DATA / f"{split}.parquet")
            frame = frame.sample(given.rows, seed=0) if given.rows else frame
            frame.write_parquet(data / f"{split}.parquet")
        rows = [train(data, Path(name) / f"run{n}", n, given.epochs) for n in (1, given.processes)]
        again, _ = smallprint.evaluate(Path(name) / f"run{given.processes}", str(data))
        saved = json.loads((Path(name) / f"run{given.processes}" / "metrics.json").read_text(encoding="utf-8"))
        apart = max(abs(again.values[key] - value) for key, value in saved["test"]["values"].items())
    found = {"rows": rows, "largest_difference_of_a_test_metric_scored_by_one_process": apart, "epochs": given.epochs}
    for row in rows:
        print(row)
    print(f"largest difference of a test metric: {apart}")
    write_json(RESULTS, found)


if __name__ == "__main__":
    main()
