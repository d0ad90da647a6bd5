"""A raw table into a file of the format that its source has. In: a frame. Out: a CSV, TSV, JSON Lines or Parquet file.

Label names that its source gives for ids go into a file beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from smallprint.core.files import write_text
from smallprint.data.read import LABELS_FILE, Source

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


def write_label_names(source: Source, labels: Sequence[str], folder: Path) -> None:
    """Writes `labels.txt` where the source has names for the ids in its label column, and else nothing."""
    if (names := source.names_of(labels)) is not None:
        write_text(folder / LABELS_FILE, "".join(f"{name}\n" for name in names))


__all__ = ["suffix_of", "write_label_names", "write_table"]
