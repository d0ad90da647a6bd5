"""What lifts quality: each lever on and off, over seeds, on validation; test is never opened.

    python benchmarks/ablation.py [--groups head kernel ...] [--levers focal ...] [--seeds 5] [--render]
    python benchmarks/ablation.py --blend RUNS      # the mean of logits of finished runs, RUNS/ROW-seedN; trains nothing

Trains on UNFAIR-ToS's train split (SMALLPRINT_DATA, default ../shared) and scores validation. Every finished training is
kept in benchmarks/results/ablation.json, so a stopped run goes on; remove the file when settings or code change. Writes docs/ablation.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from readme import ROOT
from smallprint import load_config
from smallprint.bench.systems import SYSTEMS
from smallprint.core.files import write_json
from smallprint.core.parts import Parts
from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.compare import f1_counts, macro_f1_of, micro_f1_of
from smallprint.evaluation.ranking import average_precision_macro
from smallprint.evaluation.score_files import read_scores
from smallprint.evaluation.stack import Stack
from smallprint.families import build_fit
from smallprint.families.blend import share_weights
from smallprint.families.fitted import log_loss
from smallprint.modeling import classifier
from smallprint.modeling.heads import linear_head
from smallprint.training.fit import seed_everything
from smallprint.training.stored import VectorCache
from smallprint.training.tracking import Tracker
from task import open_task

RESULTS = ROOT / "benchmarks" / "results" / "ablation.json"
PAGE = ROOT / "docs" / "ablation.md"
BLENDED_SEEDS = (42, 43, 44, 45, 46)
EXTRA = ROOT / "benchmarks" / "extra_clauses.csv"


class ManyMasks(nn.Module):
    """Multi-sample dropout (Inoue 2019): the mean of a head's logits under five dropout masks."""

    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.masks = nn.ModuleList([nn.Dropout(0.1 + 0.1 * i) for i in range(5)])
        self.last = linear_head(width, n_outputs)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        hidden = self.hidden(vectors)
        return torch.stack([self.last(mask(hidden)) for mask in self.masks]).mean(dim=0)


@contextmanager
def zero_bias() -> Iterator[None]:
    """Starts every label's bias at 0 instead of its base rate."""
    kept = classifier.set_base_rates
    classifier.set_base_rates = lambda *_: False
    try:
        yield
    finally:
        classifier.set_base_rates = kept


@dataclass(frozen=True)
class Lever:
    """One row: what it is called, its settings beside those of its group, and what settings cannot say."""

    words: str
    settings: list[str] = field(default_factory=list)
    parts: Parts = field(default_factory=Parts)
    no_base_rates: bool = False
    averages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Rows that are compared with the first one."""

    title: str
    settings: list[str]
    levers: dict[str, Lever]
    note: str = ""


FROZEN = ["model.adapter=frozen", "model.layers=[2,4,6]"]
HEAD = ["model.head=mlp", "training.head_learning_rate=3e-3", "training.epochs=30", "training.patience=8"]
UPPER = ["model.train_layers=3", "training.learning_rate=1e-4", "training.epochs=5"]
WITH_EXTRA = Lever("with extra clauses for rare labels", [f"data.extra={EXTRA}"])
GROUPS = {
    "head": Group(
        "A head of two layers over frozen MiniLM (layers 2, 4, 6)",
        [*FROZEN, *HEAD],
        {
            "base": Lever("the base: what the heading says"),
            "zero-bias": Lever("bias starts at 0, not at the base rate", no_base_rates=True),
            "no-averaging": Lever("without the moving average of weights", ["training.averaging=0"]),
            "focal": Lever("focal loss", ["model.loss=focal"]),
            "asymmetric": Lever("asymmetric loss", ["model.loss=asymmetric"]),
            "balanced": Lever("class weights", ["model.class_weights=balanced"]),
            "r-drop": Lever("R-Drop", ["training.r_drop=1"]),
            "many-masks": Lever("multi-sample dropout", parts=Parts(head=ManyMasks)),
            "last-layer": Lever("the last layer alone", ["model.layers=[6]"]),
            "svm": Lever("a kernel SVM instead", ["model.head=svm"]),
            "extra": WITH_EXTRA,
        },
    ),
    "kernel": Group(
        "A kernel SVM over frozen MiniLM",
        [*FROZEN, "model.head=svm"],
        {
            "base": Lever("layers 2, 4 and 6"),
            "last-layer": Lever("the last layer alone", ["model.layers=[6]"]),
            "all-layers": Lever("all six layers", ["model.layers=[1,2,3,4,5,6]"]),
            "extra": WITH_EXTRA,
        },
    ),
    "linear": Group("TF-IDF + linear SVM", ["model.backbone=tfidf"], {"base": Lever("as it is"), "extra": WITH_EXTRA}),
    "upper": Group(
        "MiniLM, the upper three layers trained",
        UPPER,
        {
            "base": Lever("the base: what the heading says"),
            "fewer-epochs": Lever("three epochs, not five", ["training.epochs=3"]),
            "two-layers": Lever("the upper two", ["model.train_layers=2"]),
            "layer-decay": Lever("layer-wise learning rates, factor 0.8", ["training.layer_decay=0.8"]),
            "no-averaging": Lever("without the moving average of weights", ["training.averaging=0"]),
            "asymmetric": Lever("asymmetric loss", ["model.loss=asymmetric"]),
            "r-drop": Lever("R-Drop", ["training.r_drop=1"]),
            "all-layers": Lever("all layers (8 epochs at 5e-5)", ["model.train_layers=null", "training.epochs=8"]),
            "adversarial": Lever(
                "all layers, adversarial word vectors (FGM)",
                ["model.train_layers=null", "training.epochs=8", "training.adversarial=1"],
            ),
            "extra": WITH_EXTRA,
        },
    ),
    "blend": Group(
        "Mean of logits of finished models",
        [],
        {
            "base": Lever("mpnet-base, frozen, kernel SVM, alone", averages=("mpnet",)),
            "linear": Lever("TF-IDF + linear SVM alone", averages=("linear",)),
            "upper": Lever("MiniLM, upper three layers, alone", averages=("upper",)),
            "decoder": Lever("SmolLM2-135M, LoRA, alone", averages=("decoder",)),
            "linear+mpnet": Lever("mean of TF-IDF and mpnet-base", averages=("linear", "mpnet")),
            "linear+mpnet+upper": Lever("mean of these and MiniLM", averages=("linear", "mpnet", "upper")),
            "linear+mpnet+upper+decoder": Lever(
                "mean of these and SmolLM2", averages=("linear", "mpnet", "upper", "decoder")
            ),
            "base-upper": Lever("mpnet-base, upper four layers, alone", averages=("mpnet-upper",)),
            "linear+mpnet+mpnet-upper+upper+decoder": Lever(
                "mean of all five", averages=("linear", "mpnet", "mpnet-upper", "upper", "decoder")
            ),
        },
        "Nothing is trained for it (`smallprint blend`): runs of figure 1's rows, seeds 42 to 46, equal weights. SmolLM2 was\n"
        "trained once, with seed 42, and is shared by all seeds: ± is of the others, and says nothing of it. The members were\n"
        "picked after looking at validation, on which these figures are too, from runs in which mpnet-base was trained once as\n"
        "well: the fifth by average precision and log loss, which use every score; macro F1 at 0.5, which hangs on a few, went\n"
        "the other way then.",
    ),
}
ONCE = SYSTEMS["blend"].once
SHOWN = (
    ("nine_micro", "micro F1, 9"),
    ("nine_macro", "macro F1, 9"),
    ("eight_ap", "average precision, 8"),
    ("log_loss", "log loss a text, x100"),
)


def measure(group: Group, lever: Lever, seed: int, cache: VectorCache) -> dict[str, float]:
    """Gives validation scores of one training at threshold 0.5."""
    own = [f"training.seed={seed}", "tracking.enabled=false"]
    config = load_config(None, [*group.settings, *lever.settings, *own])
    splits, labels = open_task("unfair-tos", config)
    seed_everything(seed)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, zero_bias() if lever.no_base_rates else _nothing():
        fit = build_fit(splits, labels, config, lever.parts, Path(folder), print, cache)
        fitted = fit(Tracker(config, "ablation", print, None))
    found = judge(labels.encode(splits.validation.labels), fitted.validation)
    return {**found, "seconds": round(time.monotonic() - start, 1)}


def judge(truth: Array, scores: Array) -> dict[str, float]:
    sums = f1_counts(truth, scores > 0.5, none_column=True).sum(axis=0)[None]
    return {
        "nine_micro": float(micro_f1_of(sums)[0]),
        "nine_macro": float(macro_f1_of(sums)[0]),
        "eight_ap": float(average_precision_macro(truth, scores)),
        "log_loss": float(log_loss(truth, scores, "multilabel") * truth.shape[1]),
    }


def measure_mean(lever: Lever, seed: int, runs: Path) -> dict[str, float]:
    """Gives validation scores of the mean of finished runs' logits at threshold 0.5; of their test scores no file is opened."""
    parts: list[ScoredSplit] = []
    for name in lever.averages:
        folder = runs / f"{name}-seed{BLENDED_SEEDS[0] if name in ONCE else seed}"
        saved = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        parts.append(read_scores(folder, "validation", saved)[0])
    if any(part.texts != parts[0].texts or (part.targets != parts[0].targets).any() for part in parts):
        raise SystemExit(f"The runs of seed {seed} stand on other validation examples.")
    stack = Stack(share_weights(None, len(parts)), np.zeros(parts[0].scores.shape[1]))
    return judge(parts[0].targets, stack.apply([part.scores for part in parts]))


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def render(results: dict[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    """Gives a table a group: each lever's mean over its seeds, and its difference to the first on the same seeds."""
    lines = [
        "# What lifts quality",
        "",
        "UNFAIR-ToS, trained on train and scored on validation at threshold 0.5, in percent. Differences to the first row of",
        "a table are over the same seeds, ± their standard error. With so many cells one or two look good by chance.",
        "Written by `python benchmarks/ablation.py`; every training stands in `benchmarks/results/ablation.json`.",
    ]
    for key, group in GROUPS.items():
        measured = results.get(key, {})
        if not measured:
            continue
        one = next(iter(next(iter(measured.values())).values()))
        shown = [part for part in SHOWN if part[0] in one]  # older trainings kept no log loss
        heads = " | ".join(words for _, words in shown)
        lines += ["", f"## {group.title}", "", f"| | {heads} | seeds |", "|---" * (len(shown) + 2) + "|"]
        base = measured.get("base", {})
        for name, lever in group.levers.items():
            runs = measured.get(name, {})
            if not runs:
                continue
            once = bool(lever.averages) and set(lever.averages) <= set(ONCE)  # its seeds are one training
            cells = [_cell(runs, base if name != "base" else {}, column, once) for column, _ in shown]
            lines.append(f"| {lever.words} | " + " | ".join([*cells, "1" if once else str(len(runs))]) + " |")
        if group.note:
            lines += ["", group.note]
    return "\n".join([*lines, ""])


def _cell(runs: dict[str, dict[str, float]], base: dict[str, dict[str, float]], column: str, once: bool = False) -> str:
    text = f"{100 * np.mean([run[column] for run in runs.values()]):.1f}"
    both = [100 * (run[column] - base[seed][column]) for seed, run in runs.items() if seed in base]
    if len(both) > 1:
        spread = "" if once else f" ±{np.std(both, ddof=1) / len(both) ** 0.5:.1f}"
        text += f" ({np.mean(both):+.1f}{spread})"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    trained = [key for key in GROUPS if key != "blend"]
    parser.add_argument("--groups", nargs="+", choices=trained, default=trained)
    parser.add_argument("--levers", nargs="+", help="of these groups; all when left out")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--blend", type=Path, metavar="RUNS", help="folder of finished runs; measures their mean alone")
    parser.add_argument("--render", action="store_true", help="only write the page from the results file")
    given = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    cache = VectorCache()
    if given.blend:
        results["blend"] = {
            name: {str(seed): measure_mean(lever, seed, given.blend) for seed in BLENDED_SEEDS}
            for name, lever in GROUPS["blend"].levers.items()
        }
        write_json(RESULTS, results)
    for key in [] if given.render or given.blend else given.groups:
        group = GROUPS[key]
        for seed in range(1, given.seeds + 1):
            for name, lever in group.levers.items():
                done = results.setdefault(key, {}).setdefault(name, {})
                if str(seed) not in done and (not given.levers or name in given.levers):
                    print(f"{key}: {name}, seed {seed}", flush=True)
                    done[str(seed)] = measure(group, lever, seed, cache)
                    write_json(RESULTS, results)  # whole or not at all: hours stand in it
    PAGE.write_text(render(results), encoding="utf-8")
    print(render(results))


if __name__ == "__main__":
    main()
