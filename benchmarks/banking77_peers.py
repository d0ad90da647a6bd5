"""Accuracy over time on Banking77: ours beside SetFit and sentence-transformers, with the same encoder, in one run.

    pip install setfit sentence-transformers   # the peers; no dependencies of the project
    python benchmarks/banking77_peers.py [--shots 50] [--limit 240] [--seed 1] [--only smallprint SetFit ...] [--render]

All fine-tune MiniLM on so many examples of each of the 77 intents, drawn from train (SMALLPRINT_DATA), each in a process of its own with so
many seconds of training at most; loading and scoring are not counted. 1,000 other examples of train are scored on the way; test is not
opened. Ours are a whole training with the defaults (8 epochs, of the averaged weights after each), and a head on the frozen
encoder. What the peers do stands in benchmarks/peers/embedders.py. Writes benchmarks/results/banking77_peers.json and the table in
docs/speed.md, in a quarter of an hour on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback
from torch import Tensor

from few_labels import draw
from peers.embedders import PEERS, Ids, Tell
from readme import ROOT, write_section
from smallprint import load_config
from smallprint.core.files import write_json
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.modeling.attention import use_training_attention
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.dropout import use_byte_dropout
from smallprint.modeling.losses import build_loss
from smallprint.modeling.sources import resolve_backbone
from smallprint.training.datamodule import TokenDataset, build_datamodule
from smallprint.training.fit import build_trainer, seed_everything
from smallprint.training.module import ClassifierModule
from smallprint.training.stored import read_vectors, store_vectors
from task import open_task

RESULTS, PAGE = ROOT / "benchmarks" / "results" / "banking77_peers.json", ROOT / "docs" / "speed.md"
OURS = {
    "smallprint": [],
    "smallprint, frozen": ["model.adapter=frozen", "training.head_learning_rate=0.02", "training.epochs=12"],
}
SCORED = 1000


class Timed(ClassifierModule):
    """Tells seconds of training and accuracy after each epoch; validation is not counted."""

    spent, since, tell, limit = 0.0, 0.0, staticmethod(print), 0.0

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.since = time.perf_counter()

    def on_validation_start(self) -> None:
        self.spent += time.perf_counter() - self.since
        super().on_validation_start()

    def on_validation_epoch_end(self) -> None:
        logits, targets = (np.concatenate([batch[part] for batch in self._validation]) for part in (1, 2))
        self.tell(self.spent, float((logits.argmax(axis=1) == targets).mean()))
        super().on_validation_epoch_end()


class Limit(Callback):
    """Stops after the epoch in which time ran out."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        trainer.should_stop = trainer.should_stop or pl_module.spent >= pl_module.limit


def train_ours(
    name: str, train: Examples, scored: Examples, labels: LabelSet, limit: float, seed: int, tell: Tell
) -> None:
    config = load_config(None, [f"training.seed={seed}", "tracking.enabled=false", "training.cache_mb=0", *OURS[name]])
    seed_everything(seed)
    targets = labels.encode(train.labels)
    rates = np.bincount(targets, minlength=labels.n_outputs) / len(targets)
    classifier = build_classifier(config.model, labels.n_outputs, rates, labels.task)
    tokenizer = load_tokenizer(config.model.backbone)
    start, unread = time.perf_counter(), 0.0
    data = build_datamodule(train, scored, labels, tokenizer, config.model.max_length, config.training)
    if config.model.adapter == "frozen":

        def read(part: TokenDataset) -> Tensor:
            nonlocal unread
            began, vectors = time.perf_counter(), read_vectors(whole, part, tokens)
            unread += time.perf_counter() - began if part is tokens.validation_set else 0.0
            return vectors

        whole, tokens = classifier, data
        classifier, data = store_vectors(whole, tokens, read)
    else:
        use_training_attention(classifier.backbone)
    use_byte_dropout(classifier.train())
    steps = config.training.epochs * data.batches_per_epoch
    module = Timed(
        classifier, build_loss("auto", labels.task), labels.task, config.training, steps, config.model.adapter
    )
    module.tell, module.limit, module.spent = tell, limit, time.perf_counter() - start - unread
    build_trainer(config, [Limit()], classifier.backbone).fit(module, datamodule=data)


def run_one(name: str, shots: int, limit: float, seed: int) -> None:
    """Trains one system in this process, a line of JSON for each point."""
    splits, labels = open_task("banking77", load_config(None, []), seed=42)
    train = draw(splits.train, labels, shots, seed)
    rows = np.random.default_rng(0).permutation(len(splits.validation))[:SCORED]
    scored = Examples("validation", splits.validation.frame[sorted(rows.tolist())])

    def tell(seconds: float, accuracy: float) -> None:
        print(json.dumps({"seconds": round(seconds, 2), "accuracy": accuracy, "n_train": len(train)}), flush=True)

    if name in OURS:
        return train_ours(name, train, scored, labels, limit, seed, tell)
    both: list[tuple[Sequence[str], Ids]] = [(part.texts, labels.encode(part.labels)) for part in (train, scored)]
    return PEERS[name](resolve_backbone("minilm"), both[0], both[1], limit, seed, tell)


def measure(names: Sequence[str], shots: int, limit: float, seed: int, out: Path) -> None:
    """Runs each system in a process of its own and keeps its points as they come."""
    known = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    same = {key: known.get(key) for key in ("shots", "limit", "seed")} == {"shots": shots, "limit": limit, "seed": seed}
    found: dict[str, Any] = (
        known if same else {"shots": shots, "limit": limit, "seed": seed, "scored": SCORED, "points": {}}
    )
    for name in names:
        options = ["--one", name, "--shots", str(shots), "--limit", str(limit), "--seed", str(seed)]
        process = subprocess.Popen([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True)
        found["points"][name], end = [], time.monotonic() + 3 * limit + 300
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith('{"seconds"'):
                point = json.loads(line)
                found["n_train"] = point.pop("n_train")
                found["points"][name].append(point)
                print(name, point, flush=True)
                write_json(out, found)
            if time.monotonic() > end:
                process.kill()
        if process.wait():
            print(f"{name} ended with code {process.returncode}", flush=True)


def reached(points: Sequence[dict[str, float]], accuracy: float) -> float | None:
    """Gives the seconds at which an accuracy was first there."""
    return next((point["seconds"] for point in points if point["accuracy"] >= accuracy), None)


def render(found: dict[str, Any]) -> str:
    points = {name: rows for name, rows in found["points"].items() if rows}
    own = [name for name in OURS if name in points]
    lines = ["| | best accuracy | after, s | " + " | ".join(f"{name} has it after, s" for name in own) + " |"]
    lines.append("|---" * (3 + len(own)) + "|")
    for name, rows in points.items():
        best = max(row["accuracy"] for row in rows)
        times = [reached(points[other], best) for other in own]
        cells = [
            f"{100 * best:.1f}%",
            f"{reached(rows, best):.0f}",
            *("never" if s is None else f"{s:.0f}" for s in times),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"{found['n_train']:,} examples of 77 intents ({found['shots']} each), at most {found['limit']:.0f} s of training, accuracy "
        f"on {found['scored']:,} others, seed {found['seed']}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=int, default=50)
    parser.add_argument("--limit", type=float, default=240.0, help="seconds of training of each system")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    parser.add_argument("--one", choices=[*OURS, *PEERS], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(given.one, given.shots, given.limit, given.seed)
        return
    if not given.render:
        measure(given.only, given.shots, given.limit, given.seed, given.out)
    if given.out == RESULTS:
        write_section("banking77_peers", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)
    else:
        print(render(json.loads(given.out.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
