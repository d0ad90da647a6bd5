"""Parts of a source before any split is made. In: a source with files per split, or one table with a split column.
Out: the raw frames asked for, with each row's number in its file.

It makes no split and looks at no label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.core.naming import quoted
from smallprint.data.columns import require_column
from smallprint.data.read import ALIASES, SPLITS, Source

ROW = "__smallprint_row__"


@dataclass(frozen=True)
class Parts:
    """Raw frames by split, and the rows' numbers in their files.

    Attributes:
        frames: Raw tables by split; an undivided table without a split column is all under 'train'.
        rows: For each split, the rows' numbers in their file from 0 (UInt32).
        present: All splits that are there, read or not.
        split_column: Column that names each row's split, or None.
    """

    frames: dict[str, pl.DataFrame]
    rows: dict[str, pl.Series]
    present: tuple[str, ...]
    split_column: str | None

    def place(self, source: Source, split: str) -> Callable[[int], str]:
        """A function from a position in `frames[split]` to the row's place in words."""
        rows = self.rows[split]
        return lambda position: source.place(split, int(rows[position]))


def read_parts(
    source: Source, config: DataConfig, splits: Sequence[str], columns: Sequence[str] | None = None
) -> Parts:
    """The raw frames of the named splits, as far as they are there; other splits' files are not opened.

    Args:
        source: Where the rows come from.
        config: Names the split column.
        splits: Splits to read, of 'train', 'validation', 'test'.
        columns: Those wanted, with the split column where there is one; all when left out.

    Raises:
        DataError: The split column is missing though it was set, or has a value that names no split, or none for train.
    """
    wanted = None if columns is None else list(columns)
    if source.splits:
        frames = {split: source.read(split, wanted) for split in splits if split in source.splits}
        return Parts(frames, {s: _numbers(frame.height) for s, frame in frames.items()}, source.splits, None)
    whole = source.read(None, wanted)
    column = split_column(whole.columns, config, source.name)
    if column is None:
        return Parts({"train": whole}, {"train": _numbers(whole.height)}, (), None)
    values = split_values(whole[column], column, source)
    present = tuple(split for split in SPLITS if (values == split).any())
    if "train" not in present:
        raise DataError(
            f"{source.name}: column {column!r} names {quoted(present)} and no train rows.",
            "rows of the train split",
            "Mark the rows to learn from with 'train', or use --set data.split=null.",
        )
    numbers = _numbers(whole.height)
    frames = {split: whole.filter(values == split).drop(column) for split in splits if split in present}
    return Parts(frames, {split: numbers.filter(values == split) for split in frames}, present, column)


def part_batches(
    source: Source, column: str | None, splits: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yields splits with some of their raw rows, in the order of the files; memory holds one batch.

    Args:
        source: Where the rows come from.
        column: That names each row's split in an undivided table, or None.
        splits: Those wanted, as far as they are there.
        columns: Those wanted, the split column among them; `ROW`, the number in the file, comes last.

    Raises:
        DataError: The table is damaged or lacks a column, or a value names no split.
    """
    wanted = list(dict.fromkeys(columns))
    for file in [split for split in splits if split in source.splits] if source.splits else [None]:
        row = 0
        for batch in source.batches(file, wanted):
            numbers = pl.int_range(row, row + batch.height, dtype=pl.UInt32, eager=True)
            row += batch.height
            batch = batch.hstack([numbers.alias(ROW)])
            if file is not None or column is None:
                yield file or "train", batch
                continue
            values = split_values(batch[column], column, source, row - batch.height)
            for split in splits:
                part = batch.filter(values == split)
                if part.height:
                    yield split, part


def split_values(values: pl.Series, column: str, source: Source, first: int = 0) -> pl.Series:
    """The split of each row of an undivided table, from its split column; `first` is the number of the first row.

    Raises:
        DataError: A value names no split.
    """
    text = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    known = text.replace_strict(ALIASES, default=None, return_dtype=pl.String)
    bad = known.is_null().arg_true()
    if len(bad):
        raise DataError(
            f"{source.name}: column {column!r} has the value {values[int(bad[0])]!r}, {source.place(None, first + int(bad[0]))}"
            f" ({len(bad):,} rows name no split).",
            "train, validation or test in every row",
            "Correct the values, name another column (data.split), or switch it off with --set data.split=null.",
        )
    return known


def _numbers(height: int) -> pl.Series:
    return pl.int_range(height, dtype=pl.UInt32, eager=True).alias("row")


def split_column(columns: Sequence[str], config: DataConfig, where: str) -> str | None:
    """The column of an undivided table that names each row's split, or None.

    Raises:
        DataError: It is missing though it was set.
    """
    default = DataConfig.model_fields["split"].default
    if config.split is None or (config.split == default and config.split not in columns):
        return None
    return require_column(columns, config.split, "data.split", where)
