"""Whether tuned thresholds pay on documents that they were not tuned on. Writes benchmarks/results/thresholds.json and the guide's table.

    python benchmarks/thresholds.py RUNS     # folder of finished runs of the bench, RUNS/ROW-seedN
    python benchmarks/thresholds.py --render

Each fifth of validation's documents is judged by thresholds of the others, `REPEATS` times over; no file of test scores is opened.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from readme import RESULTS_PAGE, ROOT, write_section
from smallprint.bench.systems import SYSTEMS
from smallprint.core.files import write_json
from smallprint.core.results import Array
from smallprint.evaluation.counts import count_decisions, f1
from smallprint.evaluation.earned import Method, choose_thresholds, tune_thresholds_earned
from smallprint.evaluation.ranking import any_score
from smallprint.evaluation.score_files import read_scores
from smallprint.evaluation.stack import Stack
from smallprint.evaluation.thresholds import apply_thresholds
from smallprint.families.blend import share_weights

RESULTS = ROOT / "benchmarks" / "results" / "thresholds.json"
SEEDS = (42, 43, 44, 45, 46)
FOLDS, REPEATS = 5, 10
METHODS: tuple[Method, ...] = ("fixed", "shrunk", "f1")
ROWS = ("linear", "upper", "mpnet", "decoder", "blend")
ONCE = SYSTEMS["blend"].once


def read_validation(runs: Path, row: str, seed: int) -> tuple[Array, Array, list[Any]]:
    """Gives truth, scores and documents of validation; of a blend the mean of its members' logits."""
    parts = []
    for name in SYSTEMS[row].averages or (row,):
        folder = runs / f"{name}-seed{SEEDS[0] if name in ONCE else seed}"
        saved = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        parts.append(read_scores(folder, "validation", saved))
    first, groups = parts[0]
    stack = Stack(share_weights(None, len(parts)), np.zeros(first.scores.shape[1]))
    return first.targets, stack.apply([part.scores for part, _ in parts]), groups


def cross_fitted(truth: Array, scores: Array, groups: list[Any], task: str) -> dict[str, float]:
    """Gives the mean F1 of the labels by each method, on documents that its thresholds were not tuned on."""
    names, document = np.unique([str(group) for group in groups], return_inverse=True)
    draws, found = np.random.default_rng(1), dict.fromkeys(METHODS, 0.0)
    for _ in range(REPEATS):
        fold_of = (draws.permutation(len(names)) % FOLDS)[document]
        for method in METHODS:
            decided = np.zeros_like(truth)
            for fold in range(FOLDS):
                held = fold_of == fold
                chosen = choose_thresholds(truth[~held], scores[~held], task, method)
                decided[held] = apply_thresholds(scores[held], chosen, task)
            found[method] += float(f1(count_decisions(truth, decided)).mean()) / REPEATS
    return found


def measure(runs: Path) -> dict[str, Any]:
    """Gives by row and seed what each method reaches, and whether `auto` tunes."""
    rows: dict[str, Any] = {}
    for row in ROWS:
        for seed in (SEEDS[0],) if row in ONCE else SEEDS:
            truth, scores, groups = read_validation(runs, row, seed)
            either, any_scores = truth.any(axis=1, keepdims=True).astype(np.int8), any_score(scores)
            rows.setdefault(row, {})[str(seed)] = {
                "labels": cross_fitted(truth, scores, groups, "multilabel"),
                "unfair": cross_fitted(either, any_scores, groups, "binary"),
                "auto_tunes": bool((tune_thresholds_earned(truth, scores, "multilabel", groups) != 0.5).any()),
                "auto_tunes_unfair": bool((tune_thresholds_earned(either, any_scores, "binary", groups) != 0.5).any()),
            }
    return {"documents": len(set(groups)), "examples": len(truth), "repeats": REPEATS, "rows": rows}


def render(found: dict[str, Any]) -> str:
    """Gives the table: the mean over seeds, and in how many of them `auto` tunes."""
    lines = [
        "| | labels: 0.5 | shrunk | own | `auto` tunes | unfair or not: 0.5 | own | `auto` tunes |",
        "|---" * 8 + "|",
    ]
    for row, seeds in found["rows"].items():
        runs = list(seeds.values())

        def mean(what: str, method: str, runs: list[Any] = runs) -> str:
            return f"{100 * np.mean([run[what][method] for run in runs]):.1f}"

        tuned, any_tuned = (
            f"{sum(run[name] for run in runs)} of {len(runs)}" for name in ("auto_tunes", "auto_tunes_unfair")
        )
        cells = [*(mean("labels", method) for method in METHODS), tuned]
        cells += [mean("unfair", "fixed"), mean("unfair", "f1"), any_tuned]
        lines.append(f"| {SYSTEMS[row].title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    given = parser.parse_args()
    if not given.render:
        if given.runs is None:
            parser.error("name the folder of finished runs")
        write_json(RESULTS, measure(given.runs))
    write_section("thresholds", render(json.loads(RESULTS.read_text(encoding="utf-8"))), RESULTS_PAGE)


if __name__ == "__main__":
    main()
