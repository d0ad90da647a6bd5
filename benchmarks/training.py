"""Training beside a Hugging Face Trainer and a bare loop in one run: seconds an epoch, and the score that the same epochs reach.

    python benchmarks/training.py [--rows 900] [--epochs 3] [--repeats 2] [--precision auto] [--render]

All train the same encoder (MiniLM, whole) on the same clauses of UNFAIR-ToS's train split (SMALLPRINT_DATA): those with a label, up to half
of them, and fair ones. Ours has its defaults but for the epochs. 'common' pads every text to 128 tokens, batches of 32, fp32, as many
scripts do; 'best' pads to the longest of a batch and groups by length (benchmarks/peers/hf_trainer.py). The bare loop takes our batches,
our optimizer and our clipping, and nothing else: what is above it is the framework's own cost, tracking (SQLite) and the average of
weights included. Ours and the loop are trained by turns, each peer once; the mean of a training's epochs (ours with its set-up) and the
median of trainings count. Afterwards each scores the same clauses of validation, those with a label and as many fair ones; no time is
counted for that, and test is not opened. Writes benchmarks/results/training.json and the table in docs/speed.md, in ten minutes on two
quiet cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from peers.hf_trainer import train_trainer
from readme import ROOT, write_section
from smallprint.core.files import write_json
from smallprint.core.results import Array
from smallprint.core.settings import load_config
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.evaluation.ranking import average_precision_macro
from smallprint.modeling.attention import use_training_attention
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import TextClassifier, build_classifier
from smallprint.modeling.dropout import use_byte_dropout
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.losses import build_loss
from smallprint.modeling.sources import find_place
from smallprint.training.datamodule import build_datamodule
from smallprint.training.fit import build_trainer, choose_precision
from smallprint.training.module import ClassifierModule
from smallprint.training.optimizer import build_optimizer, build_schedule, default_learning_rate
from smallprint.training.tracking import Tracker, TrackerCallback

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "training.json", ROOT / "docs" / "speed.md"
OURS, BARE = "smallprint, tracked", "bare loop, same steps"
COMMON, BEST = "Trainer, padded to 128", "Trainer, padded to the batch, by length"
LABELS = LabelSet("multilabel", [str(number) for number in range(8)])


def draw(split: str, rows: int) -> Examples:
    """Gives so many clauses of a split: with a label up to half of them, the rest without, mixed."""
    frame = pl.read_parquet(DATA / "unfair_tos" / f"{split}.parquet")
    names = pl.col("labels").list.eval(pl.element().cast(pl.String))
    frame = frame.select(pl.col("text"), names.alias("labels"), pl.lit("").alias("group"))
    unfair, fair = (frame.filter((pl.col("labels").list.len() > 0) == one) for one in (True, False))
    n = min(len(unfair), rows // 2)
    both = pl.concat([unfair.sample(n, seed=1), fair.sample(rows - n, seed=1)])
    return Examples(split, both.sample(fraction=1, shuffle=True, seed=1))


class Work:
    """The clauses, and what trains on them."""

    def __init__(self, rows: int, scored: int, epochs: int, precision: str) -> None:
        self.train, self.scored = draw("train", rows), draw("validation", scored)
        self.targets, self.truth = (LABELS.encode(part.labels) for part in (self.train, self.scored))
        self.config = load_config(
            None, ["data.task=multilabel", f"training.epochs={epochs}", f"training.precision={precision}"]
        )
        self.tokenizer, self.length = load_tokenizer("minilm"), self.config.model.max_length
        few = Examples("validation", self.scored.frame[:8])
        self.data = build_datamodule(self.train, few, LABELS, self.tokenizer, self.length, self.config.training)

    def classifier(self, seed: int) -> TextClassifier:
        torch.manual_seed(seed)
        rates = self.targets.mean(0).clip(1e-3, 1 - 1e-3).astype(np.float64)
        made = build_classifier(self.config.model, len(LABELS.names), rates, "multilabel")
        made.train()
        if not torch.cuda.is_available():
            use_training_attention(made.backbone)
            use_byte_dropout(made)
        return made

    def average_precision(self, scores: Array) -> float:
        return average_precision_macro(self.truth.astype(np.int8), scores)

    def reached(self, classifier: TextClassifier) -> float:
        scorer = EncoderScorer(classifier, self.tokenizer, "multilabel", len(LABELS.names), max_length=self.length)
        return self.average_precision(scorer.score(self.scored.texts))

    def ours(self, seed: int) -> tuple[float, float]:
        """The trainer, module and batches of `smallprint train`: seconds, and the score."""
        classifier, loss = self.classifier(seed), build_loss("auto", "multilabel")
        with tempfile.TemporaryDirectory() as name:
            config = self.config.model_copy(
                update={
                    "tracking": self.config.tracking.model_copy(update={"root": name}),
                    "training": self.config.training.model_copy(update={"seed": seed}),
                }
            )
            tracker = Tracker(config, "bench", print)
            steps = config.training.epochs * self.data.batches_per_epoch
            module = ClassifierModule(classifier, loss, "multilabel", config.training, steps)
            trainer = build_trainer(config, [TrackerCallback(tracker)], classifier.backbone)
            trainer.limit_val_batches = 0
            start = time.perf_counter()
            trainer.fit(module, datamodule=self.data)
            spent = time.perf_counter() - start
            tracker.finish()
        return spent, self.reached(classifier)

    def bare(self, seed: int) -> tuple[float, float]:
        """The same steps in a loop of plain PyTorch."""
        classifier, loss = self.classifier(seed), build_loss("auto", "multilabel")
        settings = self.config.training
        rate = default_learning_rate(classifier.backbone, "full", "multilabel")
        optimizer = build_optimizer(classifier.backbone, classifier.head, settings, rate)
        schedule = build_schedule(optimizer, settings.epochs * self.data.batches_per_epoch, settings.warmup_ratio)
        weights = [weight for weight in classifier.parameters() if weight.requires_grad]
        half = choose_precision(settings.precision, classifier.backbone) == "bf16"
        device = "cuda" if torch.cuda.is_available() else "cpu"
        classifier.to(device)
        start = time.perf_counter()
        for epoch in range(settings.epochs):
            self.data.train_sampler.set_epoch(epoch)
            for batch in self.data.train_dataloader():
                ids, mask, targets = (batch[key].to(device) for key in ("input_ids", "attention_mask", "targets"))
                with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
                    value = loss(classifier(ids, mask).float(), targets)
                value.backward()
                torch.nn.utils.clip_grad_norm_(weights, settings.gradient_clip)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                float(value)
        return time.perf_counter() - start, self.reached(classifier)

    def trainer(self, recipe: str, seed: int) -> tuple[float, float]:
        """Hugging Face's Trainer."""
        place, epochs = find_place("minilm").path, self.config.training.epochs
        texts, scored = self.train.texts, self.scored.texts
        made = train_trainer(recipe, place, texts, self.targets, scored, epochs=epochs, seed=seed)
        return sum(made.epoch_s), self.average_precision(1 / (1 + np.exp(-made.logits.astype(np.float64))))


def measure(rows: int, scored: int, epochs: int, repeats: int, precision: str) -> dict[str, Any]:
    work = Work(rows, scored, epochs, precision)
    own = {OURS: work.ours, BARE: work.bare}
    peers = {COMMON: lambda seed: work.trainer("common", seed), BEST: lambda seed: work.trainer("best", seed)}
    trainings: dict[str, list[dict[str, float]]] = {name: [] for name in [*own, *peers]}
    for repeat in range(repeats):
        for name, way in (own | (peers if repeat == 0 else {})).items():
            spent, score = way(42 + repeat)
            row = {"seed": 42 + repeat, "seconds_per_epoch": spent / epochs, "average_precision": score}
            trainings[name].append(row)
            print(f"{name}: {spent / epochs:.1f} s an epoch, average precision {score:.3f}", flush=True)
    return {
        "rows": rows,
        "scored": len(work.scored),
        "epochs": epochs,
        "precision": choose_precision(precision),
        "threads": torch.get_num_threads(),
        "steps_per_epoch": work.data.batches_per_epoch,
        "padding_share": work.data.padding_share(),
        "trainings": trainings,
    }


def render(found: dict[str, Any]) -> str:
    def median(name: str) -> float:
        return statistics.median(row["seconds_per_epoch"] for row in found["trainings"][name])

    def scores(rows: Sequence[dict[str, float]]) -> str:
        return ", ".join(f"{row['average_precision']:.3f}" for row in rows)

    lines = ["| | seconds an epoch | times ours | average precision, a training each |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {median(name):.1f} | {median(name) / median(OURS):.2f} | {scores(rows)} |"
        for name, rows in found["trainings"].items()
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"{found['rows']:,} clauses, {found['epochs']} epochs, scored on {found['scored']:,} of validation; "
            f"ours multiplies in {found['precision']}, Trainer in fp32; {found['threads']} threads; padding "
            f"{100 * found['padding_share']:.1f}% of our tokens. The framework's own cost, tracking included: "
            f"{100 * (median(OURS) / median(BARE) - 1):+.1f}%.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=900)
    parser.add_argument("--scored", type=int, default=460)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="of ours")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    given = parser.parse_args()
    if not given.render:
        write_json(given.out, measure(given.rows, given.scored, given.epochs, given.repeats, given.precision))
    if given.out == RESULTS:
        write_section("training", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)


if __name__ == "__main__":
    main()
