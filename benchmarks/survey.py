"""One pass over the rows: validated, counted, fingerprinted. In: a source and its schema. Out: numbers by split.

Memory holds a few batches, whatever the file's size. It puts together the parts that the commands use (the readers by batches, the check
of labels row by row, the fingerprint of a split), so that they can be timed on a million rows; no command does this pass alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from smallprint.core.ahead import read_ahead
from smallprint.data.examples import Examples, Fingerprint, to_examples
from smallprint.data.read import SPLITS, Source
from smallprint.data.schema import Schema
from smallprint.data.split_column import part_batches


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
    # some are held: the fingerprint takes several batches at once
    for examples in read_ahead(example_batches(source, schema, splits), held=4):
        split = examples.split
        prints.setdefault(split, Fingerprint()).add(examples.frame)
        rows[split] = rows.get(split, 0) + len(examples)
        blank[split] = blank.get(split, 0) + examples.dropped
    return {split: Survey(rows[split], blank[split], prints[split].value()) for split in rows}


def example_batches(source: Source, schema: Schema, splits: Sequence[str] = SPLITS) -> Iterator[Examples]:
    """Yields the examples of the splits some thousand at a time, in the order of the files; rows without text are left out."""
    kept = replace(schema, empty_text="drop")
    columns = [schema.text, *schema.labels, *(name for name in (schema.group, schema.split_column) if name)]
    for split, batch in part_batches(source, schema.split_column, splits, columns):
        yield to_examples(batch, kept, split, source, may_be_empty=True)


__all__ = ["Survey", "example_batches", "survey_source"]
