"""Clean examples of one split. In: a raw table and its schema. Out: `Examples`: row, text, labels, group.

It encodes nothing and splits nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from smallprint.core.errors import DataError
from smallprint.core.progress import counted
from smallprint.data.columns import not_text
from smallprint.data.formats import select_columns
from smallprint.data.label_forms import distinct_rows, label_texts, read_label_lists
from smallprint.data.read import Source
from smallprint.data.schema import Schema, check_known
from smallprint.data.split_column import ROW

FIELDS = {"row": pl.UInt32, "text": pl.String, "labels": pl.List(pl.String), "group": pl.String}
SHOWN_PLACES = 5
HASHED_ROWS = 65_536


@dataclass(frozen=True)
class Examples:
    """The examples of one split.

    Attributes:
        split: 'train', 'validation' or 'test'.
        frame: Columns `row` (number in its file from 0), `text`, `labels` (a list of names), `group` (may be null).
        dropped: Rows of its file that were left out, having no text (or no label, where that was asked for).
    """

    split: str
    frame: pl.DataFrame
    dropped: int = 0

    @cached_property
    def texts(self) -> list[str]:
        """The texts, in order."""
        return self.frame["text"].to_list()

    @cached_property
    def labels(self) -> list[list[str]]:
        """The label names of each example, in order."""
        return self.frame["labels"].to_list()

    @cached_property
    def groups(self) -> list[str | None]:
        """The group of each example, in order."""
        return self.frame["group"].to_list()

    def __len__(self) -> int:
        return self.frame.height


def to_examples(
    frame: pl.DataFrame, schema: Schema, split: str, source: Source, *, may_be_empty: bool = False
) -> Examples:
    """The examples in a raw table.

    Args:
        frame: Raw rows; a column `ROW`, where there is one, has their numbers in the file.
        schema: What the columns mean.
        split: Name of the split.
        source: Where the rows come from, for places in messages.
        may_be_empty: These are some of the rows: that none of them has a text is no error.

    Raises:
        DataError: A text is missing or blank (unless `data.empty_text=drop`), or a label is missing (unless
            `data.empty_label=drop`) or not known.
    """
    rows = frame[ROW] if ROW in frame.columns else pl.int_range(frame.height, dtype=pl.UInt32, eager=True)
    columns = [schema.text, *schema.labels, *([schema.group] if schema.group else [])]
    frame = select_columns(frame, list(dict.fromkeys(columns)), f"{source.name} ({split})").hstack([rows.alias(ROW)])
    if frame.schema[schema.text].is_nested():  # here, where in training it was a text
        raise not_text(frame, schema.text, f"{source.name} ({split})")
    blank = _blank(frame[schema.text].cast(pl.String))
    if blank.any():
        if schema.empty_text == "error":
            raise _blank_texts(frame.filter(blank)[ROW], split, source, schema.text)
        frame = frame.filter(~blank)
        if frame.is_empty() and not may_be_empty:
            raise DataError(f"The {split} split has no row with text.", "texts", f"Check the column {schema.text!r}.")
    bare = bare_rows(frame, schema)
    if bare.any():
        frame = frame.filter(~bare)
        if frame.is_empty() and not may_be_empty:
            raise DataError(f"The {split} split has no row with a label.", "labels", f"Check {schema.labels[0]!r}.")

    def place(position: int) -> str:
        return source.place(split, int(frame[ROW][position]))

    labels = _label_column(frame, schema, split, place)
    made = pl.DataFrame(
        {
            "row": frame[ROW].cast(pl.UInt32),
            "text": frame[schema.text].cast(pl.String),
            "labels": labels,
            "group": _groups(frame, schema),
        }
    )
    return Examples(split, made, int(blank.sum()) + int(bare.sum()))


def _blank(texts: pl.Series) -> pl.Series:
    """Which texts are none, or white space alone."""
    looked_at = ~((texts >= "!") & (texts <= "~")).fill_null(False)  # the others begin with a byte that can be seen
    blank = _same(False, pl.Boolean, len(texts))
    if looked_at.any():  # not by stripping: that would copy every text
        places = looked_at.arg_true()
        blank = blank.scatter(places, ~texts.gather(places).str.contains(r"\S").fill_null(False))
    return blank


def _groups(frame: pl.DataFrame, schema: Schema) -> pl.Series:
    """The group of each row; null for a blank one, as a CSV has no other way to say none."""
    if schema.group is None:
        return _same(None, pl.String, frame.height)
    groups = frame[schema.group].cast(pl.String)
    blank = _blank(groups)
    return groups.scatter(blank.arg_true(), None) if blank.any() else groups


def _same(value: bool | None, kind: type[pl.DataType], n: int) -> pl.Series:
    return pl.Series([value], dtype=kind).new_from_index(0, n)


def bare_rows(frame: pl.DataFrame, schema: Schema) -> pl.Series:
    """Which rows have no label and are to be left out for it."""
    if schema.empty_label == "error" or schema.task == "multilabel" or schema.any_label:
        return _same(False, pl.Boolean, frame.height)
    if schema.form in ("name", "ids"):
        return label_texts(frame[schema.labels[0]]) == ""
    rows = distinct_rows(frame, list(schema.labels))
    try:
        lists = read_label_lists(rows.frame, schema.labels, schema.form, schema.delimiter, schema.ids, str)
    except DataError:  # told with the places of all rows when they are read
        return _same(False, pl.Boolean, frame.height)
    return pl.Series([not labels for labels in lists], dtype=pl.Boolean).gather(rows.codes)


def _label_column(frame: pl.DataFrame, schema: Schema, split: str, place: Callable[[int], str]) -> pl.Series:
    """The label names of each row as a column: every different way to write labels is read once."""
    if _stand_as_they_are(frame, schema):
        return frame[schema.labels[0]].reshape((frame.height, 1)).cast(pl.List(pl.String)).alias("labels")
    rows = distinct_rows(frame, list(schema.labels))
    try:
        lists = read_labels(rows.frame, schema, split, lambda position: place(int(rows.first[position])))
    except DataError:  # told anew with the places of all rows that are wrong
        read_labels(frame, schema, split, place)
        raise
    return pl.Series("labels", lists, dtype=pl.List(pl.String)).gather(rows.codes)


def _stand_as_they_are(frame: pl.DataFrame, schema: Schema) -> bool:
    """Whether each row has one label, written as its name: then nothing needs to be read."""
    values = frame[schema.labels[0]]
    if schema.form != "name" or schema.any_label or schema.task == "multilabel" or values.dtype != pl.String:
        return False
    names = {name for name in schema.names if name and name == name.strip()}
    return bool(frame.height) and names.issuperset(values.unique().to_list())


def check_label_columns(frame: pl.DataFrame, schema: Schema, split: str, source: Source) -> None:
    """Raise a DataError unless every row of the label columns, with `ROW`, can be read."""
    read_labels(frame, schema, split, lambda position: source.place(split, int(frame[ROW][position])))


def read_labels(frame: pl.DataFrame, schema: Schema, split: str, place: Callable[[int], str]) -> list[list[str]]:
    """The label names of each row as the task has them: exactly one for binary and multiclass, in the schema's order.

    Raises:
        DataError: A label is missing, is one too many, or is not known.
    """
    lists = read_label_lists(frame, schema.labels, schema.form, schema.delimiter, schema.ids, place)
    if schema.any_label:
        negative, positive = schema.names
        return [[positive] if labels else [negative] for labels in lists]
    check_known(lists, schema.names, split, place)
    if schema.task == "multilabel":
        rank = {name: i for i, name in enumerate(schema.names)}
        return [sorted(labels, key=rank.__getitem__) if len(labels) > 1 else labels for labels in lists]
    odd = [row for row, labels in enumerate(lists) if len(labels) != 1]
    if odd:
        several = any(len(lists[row]) > 1 for row in odd)
        raise DataError(
            f"The {split} split has {counted(len(odd), 'row')} without exactly one label in {', '.join(schema.labels)!r}: "
            f"{places(odd, place)}.",
            f"one label in every row, as the task is {schema.task}",
            "Give each row one label, or use --task multilabel."
            if several
            else "Fill them in, or leave out rows without a label with --set data.empty_label=drop; use --task multilabel if an "
            "empty label means 'none'.",
        )
    return lists


class Fingerprint:
    """SHA-256 of texts, labels and groups, in order, as they come; memory holds some thousand rows."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256(b"smallprint examples 2\n")
        self._waiting: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Adds the next examples: the columns of `Examples.frame`."""
        self._waiting.append(frame.select("text", "labels", "group"))
        if sum(part.height for part in self._waiting) >= HASHED_ROWS:
            self._hash(last=False)

    def value(self) -> str:
        """The fingerprint, in hexadecimal; nothing can be added after."""
        self._hash(last=True)
        return self._digest.hexdigest()

    def _hash(self, last: bool) -> None:
        frame = pl.concat(self._waiting) if self._waiting else pl.DataFrame()
        whole = frame.height if last else frame.height - frame.height % HASHED_ROWS
        for part in frame.head(whole).iter_slices(HASHED_ROWS):
            sizes = part.select(pl.col("labels").list.len(), *(_lengths(name) for name in ("text", "group")))
            lengths = sizes["labels"].to_numpy()
            self._digest.update(_numbers(sizes["labels"]))
            self._add(part["text"], sizes["text"])
            # sorting lists is slow, and few have what could be sorted: these come after the others
            labels = part["labels"]
            for column in (
                labels.explode() if (lengths == 1).all() else labels.filter(lengths == 1).explode(),
                labels.filter(lengths > 1).list.sort().explode() if (lengths > 1).any() else labels.clear().explode(),
            ):
                self._add(column, pl.DataFrame([column]).select(_lengths("labels"))["labels"])
            self._add(part["group"], sizes["group"])
        self._waiting = [frame.tail(frame.height - whole)] if whole < frame.height else []

    def _add(self, column: pl.Series, lengths: pl.Series) -> None:
        self._digest.update(_numbers(lengths))
        if len(lengths):
            self._digest.update(_bytes_of(column))


def _lengths(name: str) -> pl.Expr:
    """Bytes of each string, -1 for none."""
    return pl.col(name).str.len_bytes().cast(pl.Int64).fill_null(-1)


def fingerprint(examples: Examples) -> str:
    """SHA-256 (hex) of texts, labels and groups, in order; row numbers and the order within labels do not count."""
    print_ = Fingerprint()
    print_.add(examples.frame)
    return print_.value()


def _numbers(column: pl.Series) -> memoryview:
    """Lengths before their contents, so that no two contents give the same bytes."""
    return column.cast(pl.Int64).to_numpy().astype("<i8", copy=False).data


def _bytes_of(column: pl.Series) -> memoryview:
    """All strings one after the other, as UTF-8."""
    if column.null_count() == len(column):
        return memoryview(b"")
    array = column.drop_nulls().rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = array.buffers()
    if content is None or not len(array):
        return memoryview(b"")
    bounds = memoryview(offsets).cast("q")
    return memoryview(content)[bounds[array.offset] : bounds[array.offset + len(array)]]


def _blank_texts(rows: pl.Series, split: str, source: Source, column: str) -> DataError:
    where = places([int(row) for row in rows.head(SHOWN_PLACES + 1)], lambda row: source.place(split, row), len(rows))
    return DataError(
        f"The {split} split has {counted(len(rows), 'row')} without text in {column!r}: {where}.",
        "text in every row",
        "Fill them in, or leave them out with --set data.empty_text=drop.",
    )


def places(rows: Sequence[int], place: Callable[[int], str], count: int | None = None) -> str:
    """The places of the first rows in words, and how many more there are."""
    more = (count or len(rows)) - SHOWN_PLACES
    return ", ".join(place(row) for row in rows[:SHOWN_PLACES]) + (f" and {more:,} more" if more > 0 else "")
