"""One pass over the rows: validated, counted, fingerprinted. In: a source and its schema. Out: numbers by split.

Memory holds a few batches, whatever the file's size. What is wrong with the rows beyond a missing text or label is `check`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from smallprint.core.ahead import read_ahead
from smallprint.data.examples import ROW, Examples, Fingerprint, to_examples
from smallprint.data.read import SPLITS, Source
from smallprint.data.schema import Schema
from smallprint.data.split_column import split_values


@dataclass(frozen=True)
class Survey:
    """What one split holds.

    Attributes:
        rows: Examples that have a text.
        without_text: Rows that have none.
        fingerprint: SHA-256 of texts, labels and groups; as `summarize` gives it of the same rows in memory.
    """

    rows: int
    without_text: int
    fingerprint: str


def survey_source(source: Source, schema: Schema, splits: Sequence[str] = SPLITS) -> dict[str, Survey]:
    """Gives what each split holds; rows without text are counted and left out.

    Raises:
        DataError: The table is damaged, or a label is missing or not known.
    """
    prints: dict[str, Fingerprint] = {}
    rows: dict[str, int] = {}
    blank: dict[str, int] = {}
    for examples in read_ahead(example_batches(source, schema, splits)):
        split = examples.split
        prints.setdefault(split, Fingerprint()).add(examples.frame)
        rows[split] = rows.get(split, 0) + len(examples)
        blank[split] = blank.get(split, 0) + examples.dropped
    return {split: Survey(rows[split], blank[split], prints[split].value()) for split in rows}


def example_batches(source: Source, schema: Schema, splits: Sequence[str] = SPLITS) -> Iterator[Examples]:
    """Yields the examples of the splits some thousand at a time, in the order of the files; rows without text are left out."""
    kept = replace(schema, empty_text="drop")
    for split, batch in raw_batches(source, schema, splits):
        yield to_examples(batch, kept, split, source, may_be_empty=True)


def raw_batches(source: Source, schema: Schema, splits: Sequence[str] = SPLITS) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yields splits with some of their raw rows: the schema's columns and `ROW`, the number in the file."""
    columns = [schema.text, *schema.labels, *([schema.group] if schema.group else [])]
    if schema.split_column:
        columns.append(schema.split_column)
    columns = list(dict.fromkeys(columns))
    for file in [split for split in splits if split in source.splits] if source.splits else [None]:
        row = 0
        for batch in source.batches(file, columns):
            numbers = pl.int_range(row, row + batch.height, dtype=pl.UInt32, eager=True)
            row += batch.height
            batch = batch.with_columns(numbers.alias(ROW))
            if file is not None or schema.split_column is None:
                yield file or "train", batch
                continue
            values = split_values(batch[schema.split_column], schema.split_column, source)
            for split in splits:
                part = batch.filter(values == split)
                if part.height:
                    yield split, part


__all__ = ["Survey", "example_batches", "raw_batches", "survey_source"]
