"""A raw table into a file of the format that its source has. In: a frame. Out: a CSV, TSV, JSON Lines or Parquet file.

Label names that its source gives for ids go into a file beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from smallprint.core.files import write_text
from smallprint.data.read import LABELS_FILE, Source
from smallprint.data.split_column import Parts

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def suffix_of(name: str) -> str:
    """Gives the suffix of a data file, or of a folder's train file; '.parquet' where it is none that can be written."""
    path = Path(name).expanduser()
    found = [entry.suffix.lower() for entry in sorted(path.glob("train*"))] if path.is_dir() else [path.suffix.lower()]
    return next((suffix for suffix in found if suffix in SUFFIXES), ".parquet")


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Writes the rows; lists are joined by '|' where the format has none."""
    if path.suffix in (".csv", ".tsv"):
        flat = frame.with_columns(
            pl.col(name).list.eval(pl.element().cast(pl.String)).list.join("|")
            for name, kind in frame.schema.items()
            if isinstance(kind, pl.List)
        )
        flat.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_parquet(path)


def write_lines(lines: Iterable[str], path: Path, changed: Mapping[int, dict[str, Any]] | None = None) -> None:
    """Writes rows of JSON Lines as they were written, so that every value of every key stays what it is.

    Args:
        lines: A JSON object each.
        path: The file.
        changed: New values of some keys, by the place among `lines`.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for place, line in enumerate(lines):
            new = (changed or {}).get(place)
            file.write(json.dumps(json.loads(line) | new, ensure_ascii=False) if new else line.strip())
            file.write("\n")


def lines_of(source: Source, parts: Parts) -> dict[str, list[str]] | None:
    """The rows of each part as they are written, without the split that a key named; None where the source is not JSON Lines throughout."""
    found, key = {}, parts.split_column
    for split, numbers in parts.rows.items():
        lines = source.lines(split if source.splits else None)
        if lines is None:
            return None
        whole = list(lines)
        found[split] = [whole[number] if key is None else _without(whole[number], key) for number in numbers.to_list()]
    return found


def _without(line: str, key: str) -> str:
    return json.dumps({name: value for name, value in json.loads(line).items() if name != key}, ensure_ascii=False)


def write_label_names(source: Source, labels: Sequence[str], folder: Path) -> None:
    """Writes `labels.txt` where the source has names for the ids in its label column, and else nothing."""
    if (names := source.names_of(labels)) is not None:
        write_text(folder / LABELS_FILE, "".join(f"{name}\n" for name in names))


__all__ = ["lines_of", "suffix_of", "write_label_names", "write_lines", "write_table"]
