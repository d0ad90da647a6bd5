"""Few labels: 8, 16 and 64 examples a label, a stack over a frozen encoder against SetFit on the same encoder, in one run.

    pip install setfit   # the peer; no dependency of the project
    python benchmarks/few_labels.py [--data banking77|unfair-tos] [--shots 8 16 64] [--seeds 3] [--peer none]

Ours is a stack of TF-IDF and a kernel SVM over the frozen encoder, its weights from folds of the few examples.
Examples are drawn from train alone (SMALLPRINT_DATA, default ../shared); both see the same ones and are scored on the
same 1,500 examples of validation, or of train where there is no validation. Test is not opened. Writes
benchmarks/results/few_labels.json, a line a training, and the guide's table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from readme import RESULTS_PAGE, ROOT, write_section
from smallprint import load_config
from smallprint.core.files import write_json
from smallprint.core.parts import Parts
from smallprint.core.results import Array
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits, fold_examples
from smallprint.evaluation.ranking import average_precision_macro, one_hot
from smallprint.families import build_fit
from smallprint.modeling.sources import resolve_backbone
from smallprint.training.fit import seed_everything
from smallprint.training.tracking import Tracker
from task import FOLDERS, open_task

RESULTS = ROOT / "benchmarks" / "results" / "few_labels.json"
MEMBERS = {
    "linear": ["model.backbone=tfidf"],
    "kernel": ["model.adapter=frozen", "model.layers=[2,4,6]", "model.head=svm"],
}
SETTINGS = ["model.backbone=stack", f"stack.members={json.dumps(MEMBERS)}", "stack.folds=4"]
SCORED = 1500
NAMES = {"smallprint": "smallprint", "setfit": "SetFit"}


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
    """Gives scores of a stack that pools and folds the few examples; nothing is chosen on those that are scored."""
    config = load_config(None, [*SETTINGS, f"training.seed={seed}", "tracking.enabled=false"])
    part = fold_examples(train, labels.names, 4, seed) == 0
    few = [Examples(split, train.frame.filter(mask)) for split, mask in (("train", ~part), ("validation", part))]
    splits = Splits(few[0], few[1], lambda: scored, "")
    seed_everything(seed)
    with tempfile.TemporaryDirectory() as folder:
        fit = build_fit(splits, labels, config, Parts(), Path(folder), str)
        return fit(Tracker(config, "few", str, None)).scorer.score(scored.texts)


def setfit(train: Examples, scored: Examples, labels: LabelSet, seed: int) -> Array:
    """Gives scores of SetFit (Tunstall et al. 2022) with its defaults, one epoch over 20 pairs an example."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    several = labels.task == "multilabel"
    targets = labels.encode(train.labels).tolist()
    model = SetFitModel.from_pretrained(
        resolve_backbone("minilm"), multi_target_strategy="one-vs-rest" if several else None
    )
    table = Dataset.from_dict({"text": train.texts, "label": targets})
    with tempfile.TemporaryDirectory() as folder:  # it writes checkpoints where it stands
        arguments = TrainingArguments(
            folder, num_iterations=20, num_epochs=1, seed=seed, report_to="none", show_progress_bar=False
        )
        Trainer(model=model, args=arguments, train_dataset=table).train()
    return np.asarray(model.predict_proba(scored.texts, as_numpy=True))


def measure(system: str, data: str, shots: int, seed: int) -> dict[str, Any]:
    """Gives one training's score and seconds."""
    splits, labels = open_task(data, load_config(None, []), seed=42)
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


def render(rows: list[dict[str, Any]]) -> str:
    """Gives the table: the mean of every seed that was measured, the seeds' own scores, and the mean seconds."""
    lines = [
        "| data | examples a label | system | AP, mean | AP of each seed | seconds |",
        "|---" * 6 + "|",
    ]
    for data, shots, system in sorted({(row["data"], row["shots"], row["system"]) for row in rows}):
        found = [row for row in rows if (row["data"], row["shots"], row["system"]) == (data, shots, system)]
        found.sort(key=lambda row: row["seed"])
        scores = [100 * row["average_precision"] for row in found]
        each = ", ".join(f"{score:.1f}" for score in scores)
        spent = np.mean([row["seconds"] for row in found])
        lines.append(f"| {data} | {shots} | {NAMES[system]} | {np.mean(scores):.1f} | {each} | {spent:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(FOLDERS), default="banking77")
    parser.add_argument("--shots", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer", choices=["setfit", "none"], default="setfit")
    parser.add_argument("--again", action="store_true", help="measure anew what is in the results file")
    parser.add_argument("--render", action="store_true", help="only write the guide's table from the results file")
    given = parser.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for shots in [] if given.render else given.shots:
        for seed in range(1, given.seeds + 1):
            for system in ["smallprint", *([] if given.peer == "none" else [given.peer])]:
                key = {"system": system, "data": given.data, "shots": shots, "seed": seed}
                others = [row for row in rows if any(row[name] != value for name, value in key.items())]
                if len(others) < len(rows) and not given.again:
                    continue
                row = measure(**key)
                print(row, flush=True)
                rows = [*others, row]
                write_json(RESULTS, rows)
    write_section("few_labels", render(rows), RESULTS_PAGE)


if __name__ == "__main__":
    main()
