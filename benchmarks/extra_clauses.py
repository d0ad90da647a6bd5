"""What 285 invented clauses (extra_clauses.csv) add to TF-IDF and a linear SVM on UNFAIR-ToS.

    python benchmarks/extra_clauses.py [--extra FILE]

Train alone against train with the extra rows: scored on validation, and on train itself with every document judged by
models that saw none of its clauses (six folds). Test is not opened. Some five minutes; needs SMALLPRINT_DATA (default
../shared).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from readme import ROOT
from smallprint import load_config
from smallprint.core.results import Array
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.evaluation.lexglue import lexglue_f1
from smallprint.evaluation.ranking import average_precision, average_precision_macro
from smallprint.modeling.linear import fit_linear
from task import open_task

FOLDS = 6


def fit_and_score(train: list[Examples], texts: list[str], labels: LabelSet) -> Array:
    """Gives scores of texts by a model of all rows of `train`."""
    rows = [text for part in train for text in part.texts]
    targets = np.vstack([labels.encode(part.labels) for part in train])
    return fit_linear(rows, targets, labels.task, labels.n_outputs).score(texts)


def score_by_document(train: Examples, extra: list[Examples], labels: LabelSet) -> Array:
    """Gives scores of train's rows, each by a model that saw no row of its document, but all extra rows."""
    documents = np.random.default_rng(0).permutation(sorted({str(group) for group in train.groups}))
    fold_of = {str(document): i % FOLDS for i, document in enumerate(documents)}
    folds = np.array([fold_of[str(group)] for group in train.groups])
    scores = np.zeros((len(train), labels.n_outputs), dtype=np.float32)
    for fold in range(FOLDS):
        inside, outside = (Examples("train", train.frame.filter(mask)) for mask in (folds != fold, folds == fold))
        scores[folds == fold] = fit_and_score([inside, *extra], outside.texts, labels)
    return scores


def show(name: str, targets: Array, scores: Array, labels: LabelSet) -> None:
    """Prints a row: macro average precision, LexGLUE's micro and macro F1, average precision of each label."""
    micro, macro = lexglue_f1(targets, scores)
    each = zip(labels.names, average_precision(targets, scores), strict=True)
    numbers = f"AP {average_precision_macro(targets, scores):.4f}  nine columns at 0.5 {micro:.4f} {macro:.4f}"
    print(f"{name:<27}{numbers}  " + ", ".join(f"{label} {value:.3f}" for label, value in each), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", type=Path, default=ROOT / "benchmarks" / "extra_clauses.csv")
    extra_file = json.dumps(str(parser.parse_args().extra))
    splits, labels = open_task("unfair-tos", load_config())
    added, _ = open_task("unfair-tos", load_config(None, [f"data.extra={extra_file}"]))
    print(added.made)
    validation = splits.validation
    assert added.extra is not None
    for name, extra in (("train", []), ("train + extra", [added.extra])):
        scores = fit_and_score([splits.train, *extra], validation.texts, labels)
        show(f"{name}, validation", labels.encode(validation.labels), scores, labels)
    for name, extra in (("train", []), ("train + extra", [added.extra])):
        scores = score_by_document(splits.train, extra, labels)
        show(f"{name}, folds", labels.encode(splits.train.labels), scores, labels)


if __name__ == "__main__":
    main()
