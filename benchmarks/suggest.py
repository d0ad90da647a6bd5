"""Labels saved by asking for the right ones: `suggest` beside random choice on UNFAIR-ToS. Writes benchmarks/results/suggest.json.

    python benchmarks/suggest.py [--seeds 5]

TF-IDF + linear SVM (seconds a fit). Both begin with the same 100 random training clauses; `suggest` then adds 100 a round up to 500,
random choice goes on to 1,000. Scores are of validation, at 0.5: macro and micro F1 over eight labels, macro average precision. Test is
not opened.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score, f1_score

from readme import ROOT, write_section
from smallprint.core.files import write_json
from smallprint.data.labels import LabelSet
from smallprint.inference.engine import Engine
from smallprint.inference.suggest import suggest_texts
from smallprint.modeling.linear import fit_linear

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared")) / "unfair_tos"
RESULTS = ROOT / "benchmarks" / "results" / "suggest.json"
START, STEP, MOST, RANDOM = 100, 100, 500, (500, 1000)


def load(split: str) -> tuple[list[str], np.ndarray]:
    frame = pl.read_parquet(DATA / f"{split}.parquet")
    targets = np.zeros((frame.height, 8), dtype=np.int8)
    for i, labels in enumerate(frame["labels"].to_list()):
        targets[i, list(labels)] = 1
    return frame["text"].to_list(), targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    texts, targets = load("train")
    valid, truth = load("validation")
    labels = LabelSet("multilabel", [f"label {i}" for i in range(8)])

    def fit(chosen: list[int]) -> Engine:
        model = fit_linear([texts[i] for i in chosen], targets[chosen], "multilabel", 8)
        return Engine(model, labels, np.full(8, 0.5))

    def measure(engine: Engine) -> dict[str, float]:
        scores = engine.score(valid)
        said = scores >= 0.5
        return {
            "macro_f1": float(f1_score(truth, said, average="macro", zero_division=0)),
            "micro_f1": float(f1_score(truth, said, average="micro", zero_division=0)),
            "average_precision": float(average_precision_score(truth, scores, average="macro")),
        }

    curves: dict[str, list[list[dict[str, float]]]] = {"suggest": [], "random": []}
    for seed in range(given.seeds):
        order = np.random.default_rng(seed).permutation(len(texts)).tolist()
        chosen, curve = order[:START], []
        while True:
            engine = fit(chosen)
            curve.append({"n": len(chosen), **measure(engine), "positive": float(targets[chosen].any(axis=1).mean())})
            print(seed, "suggest", curve[-1], flush=True)
            if len(chosen) >= MOST:
                break
            rest = [i for i in order if i not in set(chosen)]
            chosen = chosen + [rest[s.index] for s in suggest_texts(engine, [texts[i] for i in rest], STEP, seed)]
        curves["suggest"].append(curve)
        curves["random"].append([{"n": n, **measure(fit(order[:n]))} for n in RANDOM])
        print(seed, "random", curves["random"][-1], flush=True)
    results: dict[str, Any] = {"seeds": given.seeds, "curves": curves, "mean": {}}
    for name, runs in curves.items():
        for k in range(len(runs[0])):
            row = {key: [run[k][key] for run in runs] for key in ("macro_f1", "micro_f1", "average_precision")}
            told = {key: (float(np.mean(values)), float(np.std(values, ddof=1))) for key, values in row.items()}
            results["mean"][f"{name} {runs[0][k]['n']}"] = told
    write_json(RESULTS, results)
    write_section("suggest", render(results), ROOT / "docs" / "suggest.md")
    print(render(results))


def render(results: dict[str, Any]) -> str:
    """Gives the table."""
    lines = ["| labels | macro F1 | micro F1 | average precision |", "|---|---|---|---|"]
    for place, row in results["mean"].items():
        way, n = place.split()
        cells = " | ".join(f"{100 * mean:.1f} ±{100 * spread:.1f}" for mean, spread in row.values())
        lines.append(f"| {int(n):,}, {way} | {cells} |")
    chosen, random = ([run[-1] for run in results["curves"][name]] for name in ("suggest", "random"))
    names = {"micro_f1": "micro F1", "average_precision": "average precision", "macro_f1": "macro F1"}
    reached = {word: sum(a[key] >= b[key] for a, b in zip(chosen, random, strict=True)) for key, word in names.items()}
    told = ", ".join(f"{times} by {word}" for word, times in reached.items())
    said = f"{chosen[0]['n']:,} suggested labels are as good as {random[0]['n']:,} random ones in {told}."
    return "\n".join([*lines, "", f"Of {len(chosen)} seeds {said}"])


if __name__ == "__main__":
    main()
