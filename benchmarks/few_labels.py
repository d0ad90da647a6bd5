"""Few labels: 8, 16 and 64 examples a label, smallprint's frozen encoder against SetFit on the same encoder, in one run.

    pip install setfit   # the peer; no dependency of the project
    python benchmarks/few_labels.py [--data banking77|unfair-tos] [--shots 8 16 64] [--seeds 3] [--peer none]

Examples are drawn from train alone (SMALLPRINT_DATA, default ../shared); both see the same ones and are scored on the
same 1,500 examples of validation, or of train where there is no validation. Test is not opened. Writes
benchmarks/results/few_labels.json, a line a training.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from readme import ROOT
from smallprint import load_config
from smallprint.core.files import write_json
from smallprint.core.parts import Parts
from smallprint.core.results import Array
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import Splits, split_source
from smallprint.evaluation.ranking import average_precision_macro, one_hot
from smallprint.families import build_fit
from smallprint.modeling.backbone import resolve_backbone
from smallprint.training.fit import seed_everything
from smallprint.training.tracking import Tracker

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "few_labels.json"
FOLDERS = {"banking77": "banking77", "unfair-tos": "unfair_tos"}
SETTINGS = ["model.adapter=frozen", "training.epochs=60", "training.patience=20", "training.head_learning_rate=1e-2"]
SCORED = 1500


def draw(examples: Examples, labels: LabelSet, shots: int, seed: int) -> Examples:
    """Gives `shots` examples of each label, and for multi-label as many without any as have one."""
    truth = one_hot(labels.encode(examples.labels), labels.n_outputs)
    rng = np.random.default_rng(seed)
    chosen: set[int] = set()
    for column in truth.T:
        rows = rng.permutation(np.flatnonzero(column))
        chosen |= set(rows[:shots].tolist())
    if labels.task == "multilabel":
        chosen |= set(rng.permutation(np.flatnonzero(truth.sum(axis=1) == 0))[: len(chosen)].tolist())
    return Examples("train", examples.frame[sorted(chosen)])


def ours(train: Examples, scored: Examples, labels: LabelSet, seed: int) -> Array:
    """Gives scores of a frozen encoder with a linear head; it chooses its epoch on the examples that it was given."""
    config = load_config(None, [*SETTINGS, f"training.seed={seed}", "tracking.enabled=false"])
    splits = Splits(train, Examples("validation", train.frame), lambda: scored, "")
    seed_everything(seed)
    fit = build_fit(splits, labels, config, Parts(), Path(os.environ.get("TMPDIR", "/tmp")) / f"few{os.getpid()}", str)
    scorer, _ = fit(Tracker(config, "few", str, None))
    return scorer.score(scored.texts)


def setfit(train: Examples, scored: Examples, labels: LabelSet, seed: int) -> Array:
    """Gives scores of SetFit (Tunstall et al. 2022) with its defaults, one epoch over 20 pairs an example."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    several = labels.task == "multilabel"
    targets = labels.encode(train.labels).tolist()
    model = SetFitModel.from_pretrained(
        resolve_backbone("minilm"), multi_target_strategy="one-vs-rest" if several else None
    )
    arguments = TrainingArguments(num_iterations=20, num_epochs=1, seed=seed, report_to="none", show_progress_bar=False)
    table = Dataset.from_dict({"text": train.texts, "label": targets})
    Trainer(model=model, args=arguments, train_dataset=table).train()
    return np.asarray(model.predict_proba(scored.texts, as_numpy=True))


def measure(system: str, data: str, shots: int, seed: int) -> dict[str, Any]:
    """Gives one training's score and seconds."""
    config = load_config(None, []).data
    source = open_source(DATA / FOLDERS[data])
    schema = detect_schema(source, config)
    splits = split_source(source, schema, config, 42)
    labels = LabelSet(schema.task, schema.names)
    train = draw(splits.train, labels, shots, seed)
    rows = np.random.default_rng(0).permutation(len(splits.validation))[:SCORED]
    scored = Examples("validation", splits.validation.frame[sorted(rows.tolist())])
    start = time.monotonic()
    scores = {"smallprint": ours, "setfit": setfit}[system](train, scored, labels, seed)
    truth = labels.encode(scored.labels)
    row = {"system": system, "data": data, "shots": shots, "seed": seed, "n_train": len(train), "n": len(scored)}
    row |= {"seconds": round(time.monotonic() - start, 1), "average_precision": average_precision_macro(truth, scores)}
    if labels.task == "multiclass":
        row["accuracy"] = float((scores.argmax(axis=1) == truth).mean())
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(FOLDERS), default="banking77")
    parser.add_argument("--shots", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer", choices=["setfit", "none"], default="setfit")
    given = parser.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for shots in given.shots:
        for seed in range(1, given.seeds + 1):
            for system in ["smallprint", *([] if given.peer == "none" else [given.peer])]:
                row = measure(system, given.data, shots, seed)
                print(row, flush=True)
                key = ("system", "data", "shots", "seed")
                rows = [old for old in rows if any(old[name] != row[name] for name in key)] + [row]
                write_json(RESULTS, rows)


if __name__ == "__main__":
    main()
