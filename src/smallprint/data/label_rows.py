"""The label columns of train and validation, each different way to write labels once. In: a source. Out: `LabelRows`.

Where names tell which column is which, no texts are read and memory holds what differs; else the whole table must tell. Test is not
opened. It does not say what the labels mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.data.columns import LOOKED_AT_ROWS, find_columns, find_named_labels
from smallprint.data.formats import select_columns
from smallprint.data.json_frames import join_json
from smallprint.data.label_forms import distinct_rows
from smallprint.data.read import Source
from smallprint.data.split_column import ROW, Parts, part_batches, read_parts, split_column

READ = ("train", "validation")
TIMES = "__smallprint_times__"


@dataclass(frozen=True)
class Counted:
    """The different rows of some columns, in the order in which they first stand.

    Attributes:
        frame: These rows.
        first: Number in the file of the first of each, int64 `[n_distinct]`.
        counts: How often each stands in the split, int64 `[n_distinct]`.
    """

    frame: pl.DataFrame
    first: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class LabelRows:
    """What the label columns hold.

    Attributes:
        text: The text column.
        labels: The label columns.
        group: Column whose rows stay in one split, or None.
        split_column: Column that names each row's split, or None.
        rows: By split.
    """

    text: str
    labels: tuple[str, ...]
    group: str | None
    split_column: str | None
    rows: dict[str, Counted]


def read_label_rows(source: Source, config: DataConfig) -> LabelRows:
    """Which column is which, and what stands in the label columns.

    Raises:
        DataError: A column is missing or cannot be told.
    """
    where, named = source.name, _find_by_name(source, config)
    if named is not None:
        text, labels, group, split = named
        columns = [*labels, *([split] if split else [])]
        by_split: dict[str, list[pl.DataFrame]] = {}
        for part, batch in part_batches(source, split, READ, columns):
            by_split.setdefault(part, []).append(_differing(batch, labels))
        if "train" in by_split:
            return LabelRows(text, labels, group, split, {part: _merged(by_split[part], labels) for part in by_split})
    parts = read_parts(source, config, READ)
    text, labels, group = find_columns(parts.frames["train"], config, where)
    rows = {}
    for part, frame in parts.frames.items():
        chosen = select_columns(frame, labels, f"{where} ({part})").with_columns(parts.rows[part].alias(ROW))
        rows[part] = _merged([_differing(chosen, labels)], labels)
    return LabelRows(text, labels, group, parts.split_column, rows)


def read_label_parts(source: Source, config: DataConfig, found: LabelRows) -> Parts:
    """All rows of the label columns, for a message that counts them."""
    split = [found.split_column] if found.split_column else []
    return read_parts(source, config, READ, [*found.labels, *split])


def _find_by_name(source: Source, config: DataConfig) -> tuple[str, tuple[str, ...], str | None, str | None] | None:
    """The text, label, group and split columns where names tell the labels; None where the whole table must tell."""
    first = source.head("train" if source.splits else None)
    if first is None:
        return None
    head = first.head(LOOKED_AT_ROWS)
    try:
        split = None if source.splits else split_column(head.columns, config, source.name)
        looked = head.drop(split) if split else head
        if not find_named_labels(looked, config, source.name):
            return None
        return (*find_columns(looked, config, source.name), split)
    except DataError:
        return None


def _differing(batch: pl.DataFrame, labels: Sequence[str]) -> pl.DataFrame:
    """The different rows with `ROW` of the first and `TIMES`."""
    if len(labels) == 1 and batch.schema[labels[0]] == pl.String:
        values = batch[labels[0]]
        firsts, counts = values.arg_unique(), values.unique_counts().cast(pl.Int64)
    else:
        rows = distinct_rows(batch, labels)
        firsts, counts = pl.Series(rows.first), pl.Series(rows.counts)
    return pl.DataFrame([*(batch[name].gather(firsts) for name in (*labels, ROW)), counts.alias(TIMES)])


def _merged(parts: Sequence[pl.DataFrame], labels: Sequence[str]) -> Counted:
    same = len({tuple(part.schema.items()) for part in parts}) == 1
    whole = pl.concat(parts) if same else join_json(parts)
    rows = distinct_rows(whole, labels)
    counts = np.zeros(len(rows.first), dtype=np.int64)
    np.add.at(counts, rows.codes, whole[TIMES].to_numpy())
    return Counted(
        whole[rows.first.tolist()].select(labels), whole[ROW].to_numpy()[rows.first].astype(np.int64), counts
    )


__all__ = ["Counted", "LabelRows", "read_label_parts", "read_label_rows"]
