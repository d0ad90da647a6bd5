"""Facts of the data that the guide tells: rows, rare labels, copies, what flagging nothing scores, and what a random split flatters.

    python benchmarks/data_facts.py

Data is found at SMALLPRINT_DATA (default ../shared). Of UNFAIR-ToS's test rows only labels and exact copies are counted. The split is tried
on train and validation alone: TF-IDF + linear SVM, five seeds, once with whole documents held out and once with rows drawn at random.
Writes benchmarks/results/data_facts.json; `python benchmarks/pages.py` puts it into the pages.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from readme import ROOT
from smallprint import api
from smallprint.core.files import write_json
from smallprint.core.settings import build_config
from smallprint.data.read import open_source
from smallprint.evaluation.lexglue import lexglue_f1_of_decisions

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "data_facts.json"
SPLITS = ("train", "validation", "test")
SEEDS = 5


def unfair_tos() -> dict[str, Any]:
    """Gives rows, documents, rows with a label and positives of each label, split by split."""
    names = (DATA / "unfair_tos" / "labels.txt").read_text(encoding="utf-8").split("\n")
    names = [name.strip() for name in names if name.strip()]
    frames = {split: pl.read_parquet(DATA / "unfair_tos" / f"{split}.parquet") for split in SPLITS}
    found: dict[str, Any] = {"labels": names, "splits": {}}
    for split, frame in frames.items():
        counts = [int(frame["labels"].list.contains(k).sum()) for k in range(len(names))]
        found["splits"][split] = {
            "rows": len(frame),
            "documents": frame["document"].n_unique(),
            "with_a_label": int((frame["labels"].list.len() > 0).sum()),
            "positives": counts,
        }
    truth = np.array([[k in row for k in range(len(names))] for row in frames["test"]["labels"].to_list()])
    micro, macro = lexglue_f1_of_decisions(truth, np.zeros_like(truth))
    found["flags_nothing"] = {"nine_micro": micro, "nine_macro": macro, "eight_micro": 0.0, "eight_macro": 0.0,
                              "accuracy_fair_or_not": float((~truth.any(axis=1)).mean())}  # fmt: skip
    found["test_rows_in_train"] = int(frames["test"]["text"].is_in(frames["train"]["text"].implode()).sum())
    return found


def split_matters() -> dict[str, Any]:
    """Gives test scores of the same model and rows, split by document and at random."""
    frame = pl.concat([pl.read_parquet(DATA / "unfair_tos" / f"{split}.parquet") for split in SPLITS[:2]])
    tables = {"by_document": frame, "at_random": frame.drop("document")}
    found: dict[str, Any] = {"rows": len(frame), "seeds": SEEDS, "model": "TF-IDF + linear SVM"}
    for name, table in tables.items():
        scores = []
        for seed in range(1, SEEDS + 1):
            with tempfile.TemporaryDirectory() as folder:
                config = build_config(
                    {"model": {"backbone": "tfidf"}, "training": {"seed": seed}, "tracking": {"enabled": False}}
                )
                result = api.train(table, config=config, out=Path(folder) / "run")
            scores.append({key: result.test.values[key] for key in ("f1_macro", "average_precision_macro")})
            print(name, seed, scores[-1], flush=True)
        found[name] = {
            key: {"mean": float(np.mean(values)), "spread": float(np.std(values, ddof=1))}
            for key in scores[0]
            for values in [[row[key] for row in scores]]
        }
    return found


def banking77() -> dict[str, Any]:
    """Gives rows, labels and the rarest and commonest label's rows of Banking77."""
    train, test = (pl.read_csv(DATA / "banking77" / f"{split}.csv") for split in ("train", "test"))
    counts = train["category"].value_counts()["count"]
    return {
        "train": len(train),
        "test": len(test),
        "labels": len(counts),
        "rarest": counts.min(),
        "commonest": counts.max(),
    }


def sample() -> dict[str, Any]:
    """Gives the size of the sample corpus."""
    frame = open_source("sample").read(None)
    return {
        "rows": len(frame),
        "companies": frame["company"].n_unique(),
        "with_a_label": int((frame["labels"].list.len() > 0).sum()),
    }


def main() -> None:
    write_json(
        RESULTS, {"unfair_tos": unfair_tos(), "split": split_matters(), "banking77": banking77(), "sample": sample()}
    )


if __name__ == "__main__":
    main()
