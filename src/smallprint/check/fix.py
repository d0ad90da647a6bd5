"""A cleaned copy of the data, and a line for every change. In: a source. Out: a folder with a file a split; the source stays as it is.

It changes train and validation, and of test nothing: what is measured on must not be chosen by what was found. Only what is safe
without a person is done; contradictions, labels in doubt and near-copies are left for one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import polars as pl

from smallprint.check.duplicates import SAID, with_form
from smallprint.check.findings import Rows
from smallprint.check.rows import cleaned_text
from smallprint.core.files import atomic_folder, check_new, write_text
from smallprint.data.read import Source
from smallprint.data.schema import Schema
from smallprint.data.split_column import Parts
from smallprint.data.write_table import lines_of, suffix_of, write_label_names, write_lines, write_table

LOG = "changes.jsonl"


def fix_data(source: Source, parts: Parts, rows: Rows, schema: Schema, out: str | Path) -> dict[str, int]:
    """Writes the cleaned splits and `changes.jsonl`, whole or not at all, and gives how many changes of each kind there were.

    Args:
        source: The data.
        parts: Its raw frames, by split.
        rows: The same as `check` reads them.
        schema: What the columns mean.
        out: A new folder.

    Raises:
        ConfigError: The folder is there already.
    """
    folder = check_new(out)
    suffix = suffix_of(source.name)
    dropped = {(split, row): why for why, split, row in _drops(rows)}
    counts: dict[str, int] = {}
    changes: list[dict[str, Any]] = []

    def note(change: str, split: str, row: int) -> None:
        counts[change] = counts.get(change, 0) + 1
        changes.append({"change": change, "split": split, "row": row, "where": rows.place(split, row)})

    written = lines_of(source, parts) if suffix == ".jsonl" else None
    with atomic_folder(folder) as temporary:
        for split, frame in parts.frames.items():
            numbers, lines = parts.rows[split].to_list(), written[split] if written else []
            new: dict[int, str] = {}
            if split != "test":
                gone = [(split, row) in dropped for row in numbers]
                for row, out_of in zip(numbers, gone, strict=True):
                    if out_of:
                        note(dropped[split, row], split, row)
                kept = ~pl.Series(gone, dtype=pl.Boolean)
                frame, numbers, lines = frame.filter(kept), list(compress(numbers, kept)), list(compress(lines, kept))
                frame, new = _strip(frame, schema.text)
                for place in new:
                    note("unseen characters removed", split, numbers[place])
            if written:
                changed = {place: {schema.text: text} for place, text in new.items()}
                write_lines(lines, temporary / f"{split}{suffix}", changed)
            else:
                write_table(frame, temporary / f"{split}{suffix}")
        write_label_names(source, schema.labels, temporary)
        log = "".join(json.dumps(change, ensure_ascii=False) + "\n" for change in changes)
        write_text(temporary / LOG, log)
    return counts


def _drops(rows: Rows) -> Iterator[tuple[str, str, int]]:
    """Yields (why, split, row) of rows to take out of train and validation; each once, for the first reason."""
    seen: set[tuple[str, int]] = set()

    def once(why: str, frame: pl.DataFrame) -> Iterator[tuple[str, str, int]]:
        for split, row in frame.select("split", "row").iter_rows():
            if split != "test" and (split, row) not in seen:
                seen.add((split, row))
                yield why, split, row

    blank = cleaned_text(pl.col("text")).str.strip_chars().fill_null("") == ""
    yield from once("empty text removed", rows.frame.filter(blank))
    formed = with_form(rows)
    for split, later in (("train", ["validation", "test"]), ("validation", ["test"])):
        known = formed.filter(pl.col("split").is_in(later))["form"]
        copies = formed.filter((pl.col("split") == split) & pl.col("form").is_in(known.implode()))
        yield from once(f"copy of a text of {' or '.join(later)} removed", copies)
    train = formed.filter((pl.col("split") == "train") & pl.col("labels").is_not_null()).with_columns(SAID)
    alike = train.filter((pl.col("said").n_unique() == 1).over("form"))
    yield from once("repeat with equal labels removed", alike.filter(~pl.col("form").is_first_distinct()))


def _strip(frame: pl.DataFrame, text: str) -> tuple[pl.DataFrame, dict[int, str]]:
    """Takes out characters that nobody sees, and gives the texts that were changed by their places."""
    column = frame[text].cast(pl.String, strict=False)
    cleaned = pl.DataFrame([column]).select(cleaned_text(pl.col(text))).to_series()
    changed = (column != cleaned).fill_null(False)
    new = {place: cleaned[place] for place in changed.arg_true().to_list()}
    return (frame.with_columns(cleaned) if new else frame), new


__all__ = ["fix_data"]
