"""What lifts quality: each lever on and off, over seeds, on validation; test is never opened.

    python benchmarks/ablation.py [--levers default no-averaging ...] [--seeds 5] [--render]

Trains on UNFAIR-ToS's train split (SMALLPRINT_DATA, default ../shared) and scores validation. Every finished training is
kept in benchmarks/results/ablation.json, so a stopped run goes on; remove the file when defaults or code change. Writes docs/ablation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from readme import ROOT
from smallprint import load_config
from smallprint.core.files import write_json
from smallprint.core.parts import Parts
from smallprint.data.labels import LabelSet
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import split_source
from smallprint.evaluation.compare import f1_counts, macro_f1_of, micro_f1_of
from smallprint.evaluation.ranking import average_precision_macro
from smallprint.families import build_fit
from smallprint.training.fit import seed_everything
from smallprint.training.tracking import Tracker

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared")) / "unfair_tos"
RESULTS = ROOT / "benchmarks" / "results" / "ablation.json"
PAGE = ROOT / "docs" / "ablation.md"
BASE = "default"
LEVERS: dict[str, tuple[str, list[str]]] = {
    BASE: ("default settings", []),
    "no-averaging": ("without the moving average of weights", ["training.averaging=0"]),
    "layer-decay": ("layer-wise learning rates, factor 0.9", ["training.layer_decay=0.9"]),
    "focal": ("focal loss", ["model.loss=focal"]),
    "asymmetric": ("asymmetric loss", ["model.loss=asymmetric"]),
    "balanced": ("class weights", ["model.class_weights=balanced"]),
    "mlp": ("a head of two layers", ["model.head=mlp"]),
    "cls": ("first token instead of the mean", ["model.pooling=cls"]),
    "r-drop": ("R-Drop", ["training.r_drop=1"]),
    "adversarial": ("adversarial word vectors (FGM)", ["training.adversarial=1"]),
    "short": ("five epochs", ["training.epochs=5"]),
    "twice": ("twice the learning rate", ["training.learning_rate=1e-4"]),
}
SHOWN = (("nine_micro", "micro F1, 9"), ("nine_macro", "macro F1, 9"), ("eight_ap", "average precision, 8"))


def measure(settings: list[str], seed: int) -> dict[str, float]:
    """Gives validation scores of one training at threshold 0.5."""
    config = load_config(None, [*settings, f"training.seed={seed}", "tracking.enabled=false"])
    source = open_source(DATA)
    schema = detect_schema(source, config.data)
    splits = split_source(source, schema, config.data, seed)
    labels = LabelSet(schema.task, schema.names)
    seed_everything(seed)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        fit = build_fit(splits, labels, config, Parts(), Path(folder), lambda line: print(line, flush=True))
        scorer, result = fit(Tracker(config, "ablation", print, None))
    scores, truth = scorer.score(splits.validation.texts), labels.encode(splits.validation.labels)
    sums = f1_counts(truth, scores > 0.5, none_column=True).sum(axis=0)[None]
    return {
        "nine_micro": float(micro_f1_of(sums)[0]),
        "nine_macro": float(macro_f1_of(sums)[0]),
        "eight_ap": float(average_precision_macro(truth, scores)),
        "best_epoch": float(result.best_epoch),
        "seconds": round(time.monotonic() - start, 1),
    }


def render(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Gives the table: each lever's mean over its seeds, and its difference to the default on the same seeds."""
    lines = [
        "# What lifts quality",
        "",
        "UNFAIR-ToS, MiniLM, trained on train and scored on validation at threshold 0.5, in percent. Differences to the",
        "default are over the same seeds, ± their standard error. With so many cells one or two look good by chance.",
        "Written by `python benchmarks/ablation.py`; every training stands in `benchmarks/results/ablation.json`.",
        "",
        "| setting | " + " | ".join(words for _, words in SHOWN) + " | seeds | minutes |",
        "|---" * (len(SHOWN) + 3) + "|",
    ]
    base = results.get(BASE, {})
    for name, (words, _) in LEVERS.items():
        runs = results.get(name, {})
        if not runs:
            continue
        cells = []
        for key, _ in SHOWN:
            text = f"{100 * np.mean([run[key] for run in runs.values()]):.1f}"
            both = [100 * (run[key] - base[seed][key]) for seed, run in runs.items() if seed in base]
            if name != BASE and len(both) > 1:
                text += f" ({np.mean(both):+.1f} ±{np.std(both, ddof=1) / len(both) ** 0.5:.1f})"
            cells.append(text)
        minutes = np.mean([run["seconds"] for run in runs.values()]) / 60
        lines.append(f"| {words} | " + " | ".join([*cells, str(len(runs)), f"{minutes:.1f}"]) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levers", nargs="+", choices=list(LEVERS), default=list(LEVERS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--render", action="store_true", help="only write the page from the results file")
    given = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not given.render:
        for seed in range(1, given.seeds + 1):
            for name in given.levers:
                done = results.setdefault(name, {})
                if str(seed) not in done:
                    print(f"{name}, seed {seed}", flush=True)
                    done[str(seed)] = measure(LEVERS[name][1], seed)
                    write_json(RESULTS, results)  # whole or not at all: hours stand in it
    PAGE.write_text(render(results), encoding="utf-8")
    print(render(results))


if __name__ == "__main__":
    main()
