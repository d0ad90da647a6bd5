"""Seconds of training beside a Hugging Face Trainer and a bare loop, side by side in one run. Writes benchmarks/results/training.json
and the table in docs/speed.md.

    python benchmarks/training.py [--rows 1200] [--repeats 3] [--render]

All train the same encoder (MiniLM, whole) on the same clauses of UNFAIR-ToS's train split (SMALLPRINT_DATA), one epoch each, by turns; the
median counts. 'common' pads every text to 128 tokens, batches of 32, fp32, as many scripts do; 'best' pads to the longest of a batch and
groups by length. The bare loop takes our batches, our optimizer and our clipping, and nothing else: what is above it is the framework's own
cost, tracking (SQLite) included. Validation is left out of all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from readme import ROOT, write_section
from smallprint.core.files import write_json
from smallprint.core.settings import load_config
from smallprint.modeling.backbone import load_tokenizer, use_attention
from smallprint.modeling.classifier import TextClassifier, build_classifier
from smallprint.modeling.dropout import use_byte_dropout
from smallprint.modeling.losses import build_loss
from smallprint.modeling.sources import find_place
from smallprint.modeling.tokenizer import padding_id, tokenize
from smallprint.training.datamodule import TextDataModule
from smallprint.training.fit import build_trainer
from smallprint.training.module import ClassifierModule
from smallprint.training.optimizer import build_optimizer, build_schedule
from smallprint.training.tracking import Tracker, TrackerCallback

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "training.json", ROOT / "docs" / "speed.md"
RATE, LABELS = 5e-5, 8


class Work:
    """The clauses, and what trains on them."""

    def __init__(self, rows: int) -> None:
        frame = pl.read_parquet(DATA / "unfair_tos" / "train.parquet").sample(rows, seed=1)
        self.texts = frame["text"].to_list()
        self.targets = np.zeros((rows, LABELS), dtype=np.float32)
        for row, ids in enumerate(frame["labels"].to_list()):
            self.targets[row, ids] = 1
        self.config = load_config(None, ["training.epochs=1", "data.task=multilabel", "training.precision=fp32"])
        tokenizer = load_tokenizer("minilm")
        tokens = tokenize(tokenizer, self.texts, self.config.model.max_length).ids
        part, settings = (tokens, self.targets), self.config.training
        self.data = TextDataModule(
            part, (tokens[:8], self.targets[:8]), padding_id(tokenizer), settings.batch_tokens, settings.batch_size, 1
        )

    def classifier(self) -> TextClassifier:
        torch.manual_seed(0)
        rates = self.targets.mean(0).clip(1e-3, 1 - 1e-3).astype(np.float64)
        made = build_classifier(self.config.model, LABELS, rates, "multilabel")
        made.train()
        use_attention(made.backbone, "eager")
        use_byte_dropout(made)
        return made

    def ours(self, tracked: bool) -> float:
        """The trainer, module and batches of `smallprint train`."""
        classifier, loss = self.classifier(), build_loss("auto", "multilabel")
        with tempfile.TemporaryDirectory() as name:
            sets = {"enabled": tracked, "root": name}
            config = self.config.model_copy(update={"tracking": self.config.tracking.model_copy(update=sets)})
            tracker = Tracker(config, "bench", print)
            module = ClassifierModule(classifier, loss, "multilabel", config.training, self.data.batches_per_epoch)
            trainer = build_trainer(config, [TrackerCallback(tracker)] if tracked else [], classifier.backbone)
            trainer.limit_val_batches = 0
            start = time.perf_counter()
            trainer.fit(module, datamodule=self.data)
            spent = time.perf_counter() - start
            tracker.finish()
        return spent

    def bare(self) -> float:
        """The same steps in a loop of plain PyTorch."""
        classifier, loss = self.classifier(), build_loss("auto", "multilabel")
        settings, steps = self.config.training, self.data.batches_per_epoch
        optimizer = build_optimizer(classifier.backbone, classifier.head, settings, RATE)
        schedule = build_schedule(optimizer, steps, settings.warmup_ratio)
        weights = [weight for weight in classifier.parameters() if weight.requires_grad]
        start = time.perf_counter()
        for batch in self.data.train_dataloader():
            value = loss(classifier(batch["input_ids"], batch["attention_mask"]).float(), batch["targets"])
            value.backward()
            torch.nn.utils.clip_grad_norm_(weights, settings.gradient_clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            float(value)
        return time.perf_counter() - start

    def trainer(self, recipe: str) -> float:
        """Hugging Face's Trainer."""
        from transformers import (
            AutoModelForSequenceClassification,
            AutoTokenizer,
            DataCollatorWithPadding,
            Trainer,
            TrainingArguments,
        )

        place, common = find_place("minilm").path, recipe == "common"
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModelForSequenceClassification.from_pretrained(
            place, num_labels=LABELS, problem_type="multi_label_classification"
        )
        encoded = tokenizer(
            self.texts,
            truncation=True,
            max_length=128 if common else 256,
            padding="max_length" if common else False,
        )
        rows = [
            {"input_ids": ids, "attention_mask": mask, "labels": self.targets[n]}
            for n, (ids, mask) in enumerate(zip(encoded["input_ids"], encoded["attention_mask"], strict=True))
        ]
        with tempfile.TemporaryDirectory() as name:
            arguments = TrainingArguments(
                output_dir=name, num_train_epochs=1, per_device_train_batch_size=32, learning_rate=RATE, report_to=[],
                save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
                train_sampling_strategy="random" if common else "group_by_length",
            )  # fmt: skip
            made = Trainer(
                model=model,
                args=arguments,
                train_dataset=rows,  # type: ignore[arg-type]
                data_collator=None if common else DataCollatorWithPadding(tokenizer),
            )
            start = time.perf_counter()
            made.train()
            return time.perf_counter() - start


def measure(rows: int, repeats: int) -> dict[str, Any]:
    work = Work(rows)
    ways = {
        "smallprint, tracked": lambda: work.ours(True),
        "smallprint": lambda: work.ours(False),
        "bare loop, same steps": work.bare,
        "Trainer, padded to 128": lambda: work.trainer("common"),
        "Trainer, padded to the batch, by length": lambda: work.trainer("best"),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    work.bare()  # warm
    for _ in range(repeats):
        for name, way in ways.items():
            spent[name].append(way())
            print(f"{name}: {spent[name][-1]:.1f} s", flush=True)
    padding = work.data.padding_share()
    seconds = {name: statistics.median(times) for name, times in spent.items()}
    return {"rows": rows, "repeats": repeats, "seconds": seconds, "all": spent, "padding_share": padding}


def render(found: dict[str, Any]) -> str:
    seconds = found["seconds"]
    ours, bare = seconds["smallprint, tracked"], seconds["bare loop, same steps"]
    lines = ["| | seconds an epoch | times ours |", "|---|---|---|"]
    lines += [f"| {name} | {spent:.1f} | {spent / ours:.2f} |" for name, spent in seconds.items()]
    lines += [
        "",
        f"{found['rows']:,} clauses, one epoch, median of {found['repeats']}; padding {100 * found['padding_share']:.1f}% of the tokens. "
        f"The framework's own cost, tracking included: {100 * (ours / bare - 1):+.1f}%.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--render", action="store_true")
    given = parser.parse_args()
    if not given.render:
        write_json(RESULTS, measure(given.rows, given.repeats))
    write_section("training", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)


if __name__ == "__main__":
    main()
