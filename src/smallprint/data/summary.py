"""What is in the data, in numbers. In: `Splits`. Out: a JSON-ready dict for the run folder and the report.

Train and validation alone; test stays closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from smallprint.data.examples import Examples, fingerprint
from smallprint.data.schema import Schema
from smallprint.data.split import Splits

QUANTILES = {"min": 0.0, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}


def summarize(splits: Splits, schema: Schema) -> dict[str, Any]:
    """Numbers of train and validation.

    Returns:
        `task`, `label_names`, `made`, and by split: `rows`, `labels` (examples of each label), `without_label` (share,
        0 to 1), `text_characters` (quantiles), `groups` (number, or None), `fingerprints` (SHA-256). `duplicates` has
        `train` (rows whose text stands in an earlier row of train) and `validation_in_train` (rows of validation whose
        text is in train); `groups_in_both` counts groups that are in both splits. `extra` is the number of extra rows
        in train, where there are any; the fingerprint of train leaves them out and they have one of their own, so that
        a model knows the data that it was trained on without them.
    """
    both = {"train": splits.train, "validation": splits.validation}
    train, validation = splits.train.frame, splits.validation.frame
    extra = splits.extra
    return {
        "task": schema.task,
        "label_names": list(schema.names),
        "made": splits.made,
        "rows": {split: len(examples) for split, examples in both.items()},
        **({"extra": len(extra)} if extra is not None else {}),
        "labels": {split: support(examples, schema.names) for split, examples in both.items()},
        "without_label": {split: _share_without(examples, schema) for split, examples in both.items()},
        "text_characters": {split: _lengths(examples) for split, examples in both.items()},
        "groups": {split: _groups(examples) if schema.group else None for split, examples in both.items()},
        "groups_in_both": _shared(train, validation, "group"),
        "duplicates": {
            "train": train.height - train["text"].n_unique(),
            "validation_in_train": int(validation["text"].is_in(train["text"].implode()).sum()),
        },
        "fingerprints": {
            "train": fingerprint(splits.own_train),
            "validation": fingerprint(splits.validation),
            **({"extra": fingerprint(extra)} if extra is not None else {}),
        },
    }


def support(examples: Examples, names: Sequence[str]) -> dict[str, int]:
    """Gives the examples of each label, in the order of `names`."""
    counts = dict(examples.frame["labels"].explode().drop_nulls().value_counts().iter_rows())
    return {name: int(counts.get(name, 0)) for name in names}


def _share_without(examples: Examples, schema: Schema) -> float:
    if schema.any_label:
        return support(examples, schema.names)[schema.names[0]] / len(examples)
    return int((examples.frame["labels"].list.len() == 0).sum()) / len(examples)


def _lengths(examples: Examples) -> dict[str, int]:
    lengths = examples.frame["text"].str.len_chars()
    return {name: int(lengths.quantile(q, "nearest") or 0) for name, q in QUANTILES.items()}


def _groups(examples: Examples) -> int:
    return examples.frame["group"].drop_nulls().n_unique()


def _shared(train: pl.DataFrame, validation: pl.DataFrame, column: str) -> int:
    return len(set(train[column].drop_nulls().unique()) & set(validation[column].drop_nulls().unique()))
