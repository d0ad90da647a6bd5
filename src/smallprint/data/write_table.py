"""A raw table into a file of the format that its source has. In: a frame. Out: a CSV, TSV, JSON Lines or Parquet file."""

from __future__ import annotations

from pathlib import Path

import polars as pl

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


__all__ = ["suffix_of", "write_table"]
