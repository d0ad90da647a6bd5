"""How labels are written in a table. In: raw label columns. Out: one list of label names a row.

Five forms are known: real or JSON-like lists, delimited strings, several 0/1 columns, one name, one id. It does not
decide the task or which names are allowed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.errors import DataError
from smallprint.core.naming import quoted

Form = Literal["list", "delimited", "onehot", "name", "ids"]
Place = Callable[[int], str]

ON, OFF = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no", ""})
_ID = re.compile(r"-?\d+")
_QUOTED = re.compile(r"""(?:'[^']*'|"[^"]*")""")
_QUOTED_LIST = re.compile(rf"{_QUOTED.pattern}(?:[\s,]+{_QUOTED.pattern})*[\s,]*")
_NUMBERS = re.compile(r"-?\d+(?:\.0*)?(?:[\s,]+-?\d+(?:\.0*)?)*[\s,]*")


def detect_form(
    frame: pl.DataFrame, columns: Sequence[str], delimiter: str, ids: Sequence[str] | None
) -> tuple[Form, str]:
    """The form of the label columns and the delimiter that joins labels in it.

    A semicolon is taken for a delimiter only where most of the parts it gives stand in several different values.

    Args:
        frame: Table with the label columns.
        columns: One label column, or several 0/1 columns.
        delimiter: The configured delimiter.
        ids: Label names in id order, where the source gives them.
    """
    if len(columns) > 1:
        return "onehot", delimiter
    values = frame[columns[0]]
    if isinstance(values.dtype, pl.List | pl.Array):
        return "list", delimiter
    distinct = [text for text in label_texts(values).unique(maintain_order=True).to_list() if text]
    if distinct and all(text.startswith("[") and text.endswith("]") for text in distinct):
        return "list", delimiter
    if any(delimiter in text for text in distinct):
        return "delimited", delimiter
    if _semicolons_join(distinct):
        return "delimited", ";"
    if ids is not None and distinct and all(_ID.fullmatch(text) for text in distinct) and not set(distinct) <= set(ids):
        return "ids", delimiter
    return "name", delimiter


def read_label_lists(
    frame: pl.DataFrame, columns: Sequence[str], form: Form, delimiter: str, ids: Sequence[str] | None, place: Place
) -> list[list[str]]:
    """Label names of every row, stripped, each once, in the order written; [] for a row without a label.

    Args:
        frame: Table with the label columns.
        columns: Names of the label columns.
        form: How labels are written, from `detect_form`.
        delimiter: Joins labels in form 'delimited'.
        ids: Label names in id order, from `known_ids`; whole numbers are turned into these names.
        place: A row's place in words, by its position in `frame`.

    Raises:
        DataError: A list that cannot be parsed, an id out of range, a flag that is not 0 or 1.
    """
    if form == "onehot":
        return _read_onehot(frame, columns, place)
    values = frame[columns[0]]
    raw: list[list[str]]
    if isinstance(values.dtype, pl.List | pl.Array):
        raw = [[] if row is None else [_name(item) for item in row] for row in values.to_list()]
    else:
        texts = label_texts(values).to_list()
        parts = {text: _parse(text, form, delimiter) for text in dict.fromkeys(texts)}
        bad = [row for row, text in enumerate(texts) if parts[text] is None]
        if bad:
            raise DataError(
                f"Column {columns[0]!r} has a list that cannot be read, {place(bad[0])}: {texts[bad[0]][:80]!r}"
                + (f" ({len(bad):,} such rows)." if len(bad) > 1 else "."),
                """a list such as ["a", "b"] or [0, 3]""",
                "Write the lists as JSON, or join the names by '|'.",
            )
        raw = [list(parts[text] or []) for text in texts]
    lists = [list(dict.fromkeys(label for item in row if (label := item.strip()))) for row in raw]
    return lists if ids is None else names_of_ids(lists, columns[0], ids, place)


def known_ids(lists: Sequence[Sequence[str]], names: Sequence[str] | None) -> Sequence[str] | None:
    """The names that whole numbers stand for, in id order; None where numbers are names themselves.

    To be asked once, of all labels of train: what a number means must not hang on which rows it stands among.

    Args:
        lists: Labels of rows as they are written, with `ids=None`.
        names: Label names in id order, where the source gives them.
    """
    used = {label for row in lists for label in row}
    if names is None or used <= set(names):
        return None if any(_ID.fullmatch(name) for name in names or ()) else names
    return names if all(_ID.fullmatch(label) for label in used) else None


def names_of_ids(lists: list[list[str]], column: str, ids: Sequence[str], place: Place) -> list[list[str]]:
    """The lists with a name for each whole number.

    Raises:
        DataError: A number is none of the ids.
    """
    for row, labels in enumerate(lists):
        for label in labels:
            if _ID.fullmatch(label) and not 0 <= int(label) < len(ids):
                raise DataError(
                    f"Column {column!r} has the label id {label}, {place(row)}.",
                    f"an id from 0 to {len(ids) - 1}, for the label names {quoted(ids)}",
                    "Correct the id, or add the missing name where the names are listed (labels.txt).",
                )
    return [list(dict.fromkeys(ids[int(label)] if _ID.fullmatch(label) else label for label in row)) for row in lists]


@dataclass(frozen=True)
class Distinct:
    """The different rows of some columns, in the order in which they first stand.

    Attributes:
        frame: These rows.
        first: Position of each in the whole table, int64 `[n_distinct]`.
        codes: Which of them each row of the whole table is, int64 `[n]`.
    """

    frame: pl.DataFrame
    first: NDArray[np.int64]
    codes: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each stands in the whole table."""
        return np.bincount(self.codes, minlength=len(self.first))


def distinct_rows(frame: pl.DataFrame, columns: Sequence[str]) -> Distinct:
    """The different rows of label columns: what is read once need not be read a million times."""
    key = pl.struct(columns).hash(3)
    looked = frame.select(key.alias("key"), key.is_first_distinct().alias("first"))
    keys = looked["key"].to_numpy()
    first = np.flatnonzero(looked["first"].to_numpy())
    order = np.argsort(keys[first], kind="stable")
    codes = order[np.searchsorted(keys[first][order], keys)]
    return Distinct(frame[first.tolist()], first.astype(np.int64), codes.astype(np.int64))


def is_flag_column(values: pl.Series) -> bool:
    """Whether a column has nothing but 0/1 (also true/false), and not only nulls."""
    if (
        isinstance(values.dtype, pl.List | pl.Array | pl.Struct)
        or values.dtype == pl.Object
        or values.dtype.is_temporal()
    ):
        return False
    if values.dtype == pl.String and (values.head(50).str.len_chars() > 5).any():
        return False
    distinct = set(label_texts(values).str.to_lowercase().unique().to_list())
    return distinct <= ON | OFF and bool(distinct - {""})


def label_texts(values: pl.Series) -> pl.Series:
    """A label column as strings, stripped; '' for null; whole floats without their '.0'."""
    if values.dtype.is_float():
        whole = values.drop_nulls()
        if bool((whole == whole.round()).all()):
            values = values.cast(pl.Int64, strict=False)
    return values.cast(pl.String, strict=False).fill_null("").str.strip_chars()


def _name(item: Any) -> str:
    if item is None:
        return ""
    if isinstance(item, float) and item.is_integer():
        return str(int(item))
    return item if isinstance(item, str) else str(item)


def _parse(text: str, form: Form, delimiter: str) -> list[str] | None:
    if not text:
        return []
    if form == "delimited":
        return text.split(delimiter)
    if form == "list":
        return _parse_list(text)
    return [text]


def _parse_list(text: str) -> list[str] | None:
    """Items of a JSON, Python or NumPy list written as a string; None where it is none of them."""
    if not text.startswith("["):
        if text.startswith('"'):
            try:
                return [_name(json.loads(text))]
            except json.JSONDecodeError:
                return None
        return [text]
    try:
        items = json.loads(text)
    except json.JSONDecodeError:
        items = None
    if items is not None:
        return None if any(isinstance(item, list | dict) for item in items) else [_name(item) for item in items]
    inner = text[1:-1].strip() if text.endswith("]") else None
    if inner is None:
        return None
    if _QUOTED_LIST.fullmatch(inner):
        return [item[1:-1] for item in _QUOTED.findall(inner)]
    if _NUMBERS.fullmatch(inner):
        return [number.split(".")[0] for number in re.split(r"[\s,]+", inner) if number]
    return None if any(mark in inner for mark in "'\"[]{}") else inner.split(",")


def _semicolons_join(distinct: Sequence[str]) -> bool:
    joined = [text for text in distinct if ";" in text]
    if len(joined) < 2:
        return False
    seen = Counter(part.strip() for text in distinct for part in set(text.split(";")))
    return sum(count > 1 for count in seen.values()) * 2 >= len(seen)


def _read_onehot(frame: pl.DataFrame, columns: Sequence[str], place: Place) -> list[list[str]]:
    lists: list[list[str]] = [[] for _ in range(frame.height)]
    for column in columns:
        values = label_texts(frame[column]).to_list()
        for row, text in enumerate(values):
            flag = text.lower()
            if flag in ON:
                lists[row].append(column.strip())
            elif flag not in OFF:
                raise DataError(
                    f"Column {column!r} has the value {text!r}, {place(row)}.",
                    "0 or 1 in each of several label columns",
                    "Correct the value, or name one label column (--labels COLUMN).",
                )
    return lists
