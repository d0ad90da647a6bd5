"""Tables of words beside TF-IDF and an encoder: how fast, and how good. Writes benchmarks/results/static_tier.json.

    python benchmarks/static_tier.py [STATIC TFIDF RUN ONNX] [--seeds 3] [--encoder minilm] [--skip-quality]

The four are bundles: of tables of words, of TF-IDF, of an encoder by torch and the same in ONNX; each scores test clauses of UNFAIR-ToS
(SMALLPRINT_DATA; labels are not read), in turns, in one run. Processor time is given beside the clock's, as it does not move with what else
a machine does. Quality: static with and without an encoder's words, and TF-IDF, over seeds (which part train for Platt's scaling only);
thresholds from validation.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from readme import ROOT, write_section
from smallprint.core.files import write_json

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "static_tier.json"
PAGE = ROOT / "docs" / "static.md"
NAMES = ("static", "TF-IDF", "encoder, torch", "encoder, onnx fp32")
FAST, SLOW, ROUNDS = 1600, 96, 5  # clauses of a turn: of the first two, of the encoders
COLUMNS = ("nine_macro", "nine_micro", "binary_f1")


def speed(places: list[str]) -> dict[str, Any]:
    """Gives clauses a second, by the clock and by processor time: the median of turns."""
    from smallprint.inference.engine import load_engine
    from smallprint.packaging.bundle import find_bundle

    texts = pl.read_parquet(DATA / "unfair_tos" / "test.parquet").sample(FAST, seed=7)["text"].to_list()
    engines = {name: load_engine(find_bundle(place)) for name, place in zip(NAMES, places, strict=True)}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for turn in range(ROUNDS + 1):
        for name, engine in engines.items():
            some = texts if name in NAMES[:2] else texts[turn * SLOW : (turn + 1) * SLOW]
            clock, spent = time.perf_counter(), time.process_time()
            engine.score(some)
            clock, spent = time.perf_counter() - clock, time.process_time() - spent
            if turn:  # the first warms up
                rates[name].append((len(some) / clock, len(some) / spent))
    median = {name: [statistics.median(part) for part in zip(*found, strict=True)] for name, found in rates.items()}
    rows = {name: {"a_second": both[0], "a_processor_second": both[1]} for name, both in median.items()}
    for row in rows.values():
        row["times_torch"] = row["a_processor_second"] / rows["encoder, torch"]["a_processor_second"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.csv"
        path.write_text("text\nwe may close your account at any time\n", encoding="utf-8")
        for name, place in zip(NAMES, places, strict=True):
            command = [sys.executable, "-m", "smallprint", "predict", place, str(path), "-o", f"{folder}/o.csv"]
            spent = [_cost(command) for _ in range(3)]
            rows[name]["start_seconds"], rows[name]["start_processor_seconds"] = (
                statistics.median(part) for part in zip(*spent, strict=True)
            )
            size = sum(file.stat().st_size for file in find_bundle(place).rglob("*") if file.is_file())
            rows[name]["size_mb"] = size / 1e6
    return rows


def _cost(command: list[str]) -> tuple[float, float]:
    import resource

    clock, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def quality(seeds: int, encoder: str) -> dict[str, Any]:
    """Gives validation's and test's measures of each way over seeds."""
    from smallprint.bench.measure import SeedScores, measure_seed
    from smallprint.evaluation.earned import choose_thresholds
    from smallprint.evaluation.ranking import average_precision_macro
    from smallprint.modeling.linear import fit_linear
    from smallprint.modeling.static_fit import fit_static
    from smallprint.modeling.word_vectors import vectors_with

    frames = {
        name: pl.read_parquet(DATA / "unfair_tos" / f"{name}.parquet") for name in ("train", "validation", "test")
    }
    texts = {name: frame["text"].to_list() for name, frame in frames.items()}
    truth = {name: np.zeros((frame.height, 8), dtype=np.int8) for name, frame in frames.items()}
    for name, frame in frames.items():
        for row, labels in enumerate(frame["labels"].to_list()):
            truth[name][row, labels] = 1
    ways: dict[str, Any] = {
        "static": partial(fit_static, vectors_of=partial(vectors_with, encoder, None)),
        "static, no encoder": fit_static,
        "TF-IDF": fit_linear,
    }
    found: dict[str, Any] = {}
    for name, fit in ways.items():
        values = []
        for seed in range(42, 42 + seeds):
            start = time.process_time()
            model = fit(texts["train"], truth["train"], "multilabel", 8, seed)
            spent = time.process_time() - start
            scores = {part: model.score(texts[part]) for part in ("validation", "test")}
            thresholds = choose_thresholds(truth["validation"], scores["validation"], "multilabel", "shrunk")
            measured = measure_seed(
                SeedScores(seed, scores["validation"], scores["test"], thresholds), truth["validation"], truth["test"]
            )
            precision = float(average_precision_macro(truth["validation"], scores["validation"]))
            values.append({**measured.values, "validation_ap": precision, "processor_seconds": spent})
            print(name, seed, values[-1], file=sys.stderr)
        found[name] = {key: statistics.mean(row[key] for row in values) for key in values[0]} | {"seeds": seeds}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="left out: no speed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--skip-quality", action="store_true")
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    given = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if not given.render:
        if given.models:
            results["speed"] = speed(given.models)
        if not given.skip_quality:
            results["quality"] = quality(given.seeds, given.encoder)
        write_json(RESULTS, results)
    write_section("static_tier", render(results), PAGE)


def render(results: dict[str, Any]) -> str:
    lines = []
    if "speed" in results:
        lines += [
            "| | clauses a processor second | times the encoder by torch | clauses a second by the clock "
            "| start to one answer, processor | MB |",
            "|---|---|---|---|---|---|",
        ]
        for name, row in results["speed"].items():
            cells = [
                f"{row['a_processor_second']:,.0f}",
                f"{row['times_torch']:,.1f}",
                f"{row['a_second']:,.0f}",
                f"{row['start_processor_seconds']:.1f} s",
                f"{row['size_mb']:.0f}",
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    if "quality" in results:
        figure = json.loads((ROOT / "benchmarks" / "results" / "figure1.json").read_text(encoding="utf-8"))
        minilm = next(row for row in figure["rows"] if row["title"] == "MiniLM, full")
        lines += [
            "",
            "| | macro F1, 9 | micro F1, 9 | unfair or not, F1 | average precision, validation | seeds | training, processor |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, row in results["quality"].items():
            cells = [f"{100 * row[key]:.1f}" for key in COLUMNS]
            cells += [f"{row['validation_ap']:.3f}", str(row["seeds"]), f"{row['processor_seconds']:.0f} s"]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        cells = [f"{100 * minilm['mean'][key]:.1f}" for key in COLUMNS]
        lines.append(f"| MiniLM, full (figure 1) | {' | '.join(cells)} | | {len(minilm['seeds'])} | |")
    return "\n".join(lines).strip()


if __name__ == "__main__":
    main()
