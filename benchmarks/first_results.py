"""Trains the three first tasks with default settings and writes benchmarks/results/first_results.json and the guide's table.

    python benchmarks/first_results.py [--only unfair-tos|unfair-tos-binary|banking77] [--stack [--run FOLDER]] [--render]

Data is found at SMALLPRINT_DATA (default ../shared). One run each, one seed: uncertainty over seeds is another benchmark's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from readme import RESULTS_PAGE, ROOT, write_section

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "first_results.json"
TASKS = {
    "unfair-tos": ["unfair_tos"],
    "banking77": ["banking77", "--text", "text", "--labels", "category"],
    "unfair-tos-binary": ["unfair_tos", "--task", "binary"],
}
SHOWN = {
    "unfair-tos": [
        ("macro F1, LexGLUE's nine columns, threshold 0.5", "lexglue_f1_macro"),
        ("micro F1, LexGLUE's nine columns, threshold 0.5", "lexglue_f1_micro"),
        ("macro F1, eight labels, tuned thresholds", "f1_macro"),
    ],
    "unfair-tos-binary": [("F1 of 'unfair', tuned threshold", "f1"), ("average precision", "average_precision")],
    "banking77": [("accuracy", "accuracy"), ("macro F1", "f1_macro")],
}


# a linear model and a trained encoder; a kernel SVM, which default stacks have, takes long for 77 labels
STACK = ["--backbone", "stack", "--set", 'stack.members={"linear": ["model.backbone=tfidf"], "encoder": []}']


def run(name: str, *more: str) -> dict[str, object]:
    folder, *flags = TASKS[name]
    flags += more
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / name
        command = ["train", str(DATA / folder), *flags, "--out", str(out), "--set", f"tracking.root={scratch}"]
        subprocess.run([sys.executable, "-m", "smallprint", *command], check=True)
        return read(out, folder, flags)


def read(out: Path, folder: str, flags: list[str]) -> dict[str, object]:
    """Gives what the table needs of a finished run."""
    metrics, timings = (json.loads((out / f"{file}.json").read_text()) for file in ("metrics", "timings"))
    return {
        "command": " ".join(["smallprint", "train", f"../shared/{folder}", *flags]),
        "seed": metrics["seed"],
        "epochs": metrics["epochs"],
        "best_epoch": metrics["best_epoch"],
        "n_test": metrics["test"]["n_examples"],
        "validation": metrics["validation"]["values"],
        "test": metrics["test"]["values"],
        "timings": timings,
    }


def render(results: dict[str, dict[str, object]]) -> str:
    lines = [
        "| data | measure on test | MiniLM | TF-IDF + linear SVM | stack of both | n | training | s an epoch | padding | peak memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        timing = result["timings"]
        cost = (
            f"{result['n_test']:,} | {timing['seconds_total'] / 60:.1f} min | {timing['seconds_per_epoch']:.0f} | "
            f"{100 * timing['padding_share']:.1f}% | {timing['peak_memory_mb'] / 1000:.1f} GB |"
        )
        for position, (words, key) in enumerate(SHOWN[name]):
            stack = f"{result['stack']['test'][key]:.3f}" if "stack" in result else ""
            scores = f"{result['test'][key]:.3f} | {result['baseline'][key]:.3f} | {stack}"
            lines.append(f"| {'' if position else name} | {words} | {scores} | {'| | | | |' if position else cost}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(TASKS))
    parser.add_argument(
        "--baseline", action="store_true", help="only compute the linear baseline of finished rows anew"
    )
    parser.add_argument("--stack", action="store_true", help="only a stack, of banking77 if nothing else is named")
    parser.add_argument("--run", type=Path, help="with --stack: a finished run of just that")
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if arguments.stack:
        name = arguments.only or "banking77"
        folder, *flags = TASKS[name]
        found = read(arguments.run, folder, [*flags, *STACK]) if arguments.run else run(name, *STACK)
        results[name]["stack"] = found
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    elif arguments.baseline:
        for name, result in results.items():
            result["baseline"] = run(name, "--backbone", "tfidf")["test"]
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    elif not arguments.render:
        for name in [arguments.only] if arguments.only else TASKS:
            results[name] = {**run(name), "baseline": run(name, "--backbone", "tfidf")["test"]}
            RESULTS.write_text(json.dumps({key: results[key] for key in TASKS if key in results}, indent=2) + "\n")
    table = render(results)
    write_section("first_results", table, RESULTS_PAGE)
    print(table)


if __name__ == "__main__":
    main()
