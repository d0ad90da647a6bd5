"""Labelled rows for train alone (`data.extra`). In: splits and the path of one more table. Out: splits with its rows in train.

Validation and test never get a row of it. Rows that stand in validation too are refused; test stays closed, so what
stands in test too is counted once test has been opened.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from smallprint.core.data_config import UTF_8
from smallprint.core.errors import DataError
from smallprint.core.progress import counted
from smallprint.data.examples import Examples, places, to_examples
from smallprint.data.label_forms import Form, detect_form, known_ids, read_label_lists
from smallprint.data.read import ALIASES, Source, open_source
from smallprint.data.schema import Schema
from smallprint.data.split import Splits

ONE_LABEL: tuple[Form, ...] = ("onehot", "name", "ids")
WRITTEN = "|"  # joins labels in what `suggest` and `scan --review` write


def add_extra(splits: Splits, source: Source, schema: Schema, path: str | Path, encoding: str = UTF_8) -> Splits:
    """The splits with the table's rows at the end of train; test is not opened.

    Rows whose text stands in train, or in an earlier row of the table, are left out and counted in `made`.

    Args:
        splits: Of the data.
        source: The data, whose own split files are refused.
        schema: Of the data. The table has the same text and label columns, or those that `suggest` and `scan --review`
            write (text, labels or label); names may stand for ids, and any form of several labels for another.
        path: A single table.
        encoding: Of its text that is not UTF-8.

    Raises:
        DataError: The file cannot be read, is one of the data's own, lacks a column, has labels that the data does not
            know, or has texts of validation.
    """
    path = Path(path).expanduser()
    _check_path(path, source)
    table = open_source(path, encoding)
    extra = _read(table, schema)
    held = set(_keys(splits.validation))
    keys = _keys(extra)
    if leaked := [row for row, key in enumerate(keys) if key in held]:
        numbers = extra.frame["row"]
        where = places(leaked, lambda row: table.place(None, int(numbers[row])))
        raise DataError(
            f"{counted(len(leaked), 'row')} of {path.name} with a text that validation has too: {where}.",
            "texts that validation does not have, for by validation the model is chosen",
            f"Take these rows out of {path.name}.",
        )
    seen = set(_keys(splits.train))
    kept = []
    for key in keys:
        kept.append(key not in seen)
        seen.add(key)
    added = Examples("extra", extra.frame.filter(pl.Series(kept, dtype=pl.Boolean)))
    train = Examples("train", pl.concat([splits.train.frame, added.frame]), splits.train.dropped)
    made = f"{splits.made} {_say(len(added), len(keys) - len(added), extra.dropped, path.name, schema.left_out)}"
    return replace(splits, train=train, extra=added, made=made)


def count_shared(examples: Examples, extra: Examples) -> int:
    """How many examples have a text of the extra rows, but for capitals and spaces."""
    held = set(_keys(extra))
    return sum(key in held for key in _keys(examples))


def _check_path(path: Path, source: Source) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder.", "one table with extra rows for train", "Name a file in it.")
    if path.stem.lower() in ALIASES and source.splits and path.resolve().parent == Path(source.name).resolve():
        raise DataError(
            f"{path} is the {ALIASES[path.stem.lower()]} file of the data itself.",
            "a table that is no split of the data",
            "Name another file.",
        )


def _read(table: Source, schema: Schema) -> Examples:
    own = _columns(table, schema)
    frame = table.read(None, list(dict.fromkeys([own.text, *own.labels])))
    if own.any_label and frame.schema[own.labels[0]] == pl.String:  # `suggest` writes the negative label out
        column = pl.col(own.labels[0])
        frame = frame.with_columns(pl.when(column.str.strip_chars() != own.names[0]).then(column))
    if own.form not in ONE_LABEL or own.labels != schema.labels:
        found = [detect_form(frame, own.labels, by, own.ids) for by in (own.delimiter, WRITTEN)]
        form, delimiter = next((pair for pair in found if pair[0] != "name"), found[0])
        own = replace(own, form=form, delimiter=delimiter)
    written = read_label_lists(frame, own.labels, own.form, own.delimiter, None, lambda row: table.place(None, row))
    ids = known_ids(written, own.ids)  # `suggest` writes names, be they numbers, where the data has ids
    own = replace(own, ids=None if ids is None else tuple(ids))
    return to_examples(frame, replace(own, group=None), "extra", table)


def _columns(table: Source, schema: Schema) -> Schema:
    """Where the data's columns are missing, those of `suggest` and of `scan --review` stand in: text, labels or label."""
    head = table.head(None)
    names = set(table.read(None).columns if head is None else head.columns)
    text = schema.text if schema.text in names or "text" not in names else "text"
    labels = schema.labels
    if not names & set(labels):
        labels = next(((name,) for name in ("labels", "label") if name in names), labels)
    return replace(schema, text=text, labels=labels)


def _keys(examples: Examples) -> list[str]:
    return [" ".join(text.lower().split()) for text in examples.texts]


def _say(added: int, repeated: int, blank: int, name: str, lacking: str) -> str:
    said = f"{counted(added, 'extra row')} from {name} added to train"
    said += f", {repeated:,} left out that stand there already" if repeated else ""
    return said + (f", {blank:,} without {lacking} left out." if blank else ".")
