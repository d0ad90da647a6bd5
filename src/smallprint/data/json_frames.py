"""Frames of JSON objects. In: objects as Python reads them. Out: typed columns that lose nothing.

It reads no files and does not guess what the columns mean.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl


def frame_from_objects(objects: Sequence[dict[str, Any]], names: Sequence[str] | None = None) -> pl.DataFrame:
    """A frame of JSON objects that loses nothing: mixed or nested values become a column of Python objects.

    Columns are those named, or all in order of first appearance; a key that an object lacks is null.
    """
    if names is None:
        names = list(dict.fromkeys(name for value in objects for name in value))
    columns = [json_series(name, [value.get(name) for value in objects]) for name in names]
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=len(objects))


def json_series(name: str, values: list[Any]) -> pl.Series:
    """A typed series where all values are of one plain type, or lists of one; else one of Python objects."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series(name, values, dtype=pl.String)
    if kinds == {list}:
        inner = {type(item) for value in values if value is not None for item in value}
        plain = _PLAIN.get(next(iter(inner), str)) if len(inner) <= 1 else None
        items = [item for value in values if value is not None for item in value]
        if plain is not None and _fits(items):
            return pl.Series(name, values, dtype=pl.List(plain))
    elif len(kinds) == 1 and (plain := _PLAIN.get(next(iter(kinds)))) is not None and _fits(values):
        return pl.Series(name, values, dtype=plain)
    return pl.Series(name, values, dtype=pl.Object)


def objects_as_strings(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with columns of Python objects as strings: a string stays, anything else is written as JSON."""

    mixed = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
    return frame.with_columns(_strings(frame[name]) for name in mixed)


def join_json(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One frame of several that follow each other, typed as if all their objects had been read at once."""
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    joined = []
    for name in names:
        columns = [part[name] if name in part.columns else _nulls(name, part.height) for part in parts]
        told = [column for column in columns if column.null_count() < len(column)]
        # a list without items takes any type of items
        full = [c for c in told if not isinstance(c.dtype, pl.List) or bool((c.list.len() > 0).any())] or told
        kinds = {column.dtype for column in full}
        lists = {isinstance(column.dtype, pl.List) for column in told}
        dtype = kinds.pop() if len(kinds) == 1 and len(lists) == 1 else pl.String()
        same = all(column.dtype == dtype for column in told)
        typed = [c.cast(dtype) if same or isinstance(dtype, pl.List) else _strings(c) for c in columns]
        joined.append(pl.concat(typed) if typed else pl.Series(name, dtype=pl.String))
    return pl.DataFrame(joined) if joined else pl.DataFrame(height=sum(part.height for part in parts))


def _nulls(name: str, height: int) -> pl.Series:
    return pl.Series(name, [None] * height, dtype=pl.String)


def _strings(column: pl.Series) -> pl.Series:
    """A string stays, anything else is written as JSON."""

    def text(value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value.to_list() if isinstance(value, pl.Series) else value, ensure_ascii=False, default=str)

    if column.dtype == pl.String:
        return column
    return pl.Series(column.name, [text(value) for value in column], dtype=pl.String)


_PLAIN: dict[type, Any] = {str: pl.String, bool: pl.Boolean, int: pl.Int64, float: pl.Float64}


def _fits(values: Sequence[Any]) -> bool:
    return all(not isinstance(v, int) or -(2**63) <= v < 2**63 for v in values)


__all__ = ["frame_from_objects", "join_json", "json_series", "objects_as_strings"]
