"""A file's rows, some megabytes at a time. In: a path. Out: frames in order, with the columns as `read_table` gives them.

Memory holds one batch, whatever the file's size; Excel alone is read whole. A column of JSON Lines may have another type in another
batch: `join_json` gives the type of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

import polars as pl

from smallprint.core.data_config import UTF_8
from smallprint.core.errors import DataError
from smallprint.data.json_frames import frame_from_objects, objects_as_strings
from smallprint.data.lines import csv_rows, decode_lines, json_objects
from smallprint.data.plain_csv import NotPlainError, plain_pieces

BATCH_ROWS, BATCH_BYTES = 65_536, 2**20
LEAST_BYTES, PARTS = 2**18, 64  # a small file is read in smaller batches: memory is to follow its size
Row = TypeVar("Row")


def csv_batches(
    path: Path, separator: str, columns: Sequence[str] | None = None, encoding: str = UTF_8
) -> Iterator[pl.DataFrame]:
    """Yields all rows of a CSV or TSV as strings: by Polars as far as that is certain, then row by row.

    Args:
        path: The file.
        separator: Between fields.
        columns: Those wanted, where all of them are there; else all are given.
        encoding: Of lines that are not UTF-8.

    Raises:
        DataError: The file is empty, or a row is not what the rules of CSV want.
    """
    given = 0
    try:
        for piece in plain_pieces(path, separator, columns):
            given += piece.height
            yield piece
    except NotPlainError:
        with path.open("rb") as file:
            rows = csv_rows(decode_lines(file, str(path), encoding), str(path), separator)
            schema = dict.fromkeys(next(rows)[1], pl.String)
            kept = list(columns) if columns is not None and set(columns) <= set(schema) else list(schema)
            for _ in range(given):
                next(rows, None)  # there are fewer where the file shrinks meanwhile
            for part in in_parts((row for _, row in rows), lambda row: sum(map(len, row))):
                yield pl.DataFrame(part, schema=schema, orient="row")[kept]


def json_batches(path: Path, columns: Sequence[str] | None = None, encoding: str = UTF_8) -> Iterator[pl.DataFrame]:
    """Yields all rows of a JSON Lines file, or some keys of them; a key that an object lacks is null.

    Raises:
        DataError: A line is no JSON object.
    """
    size = 0

    def measured(lines: Iterable[str]) -> Iterator[str]:
        nonlocal size
        for line in lines:
            size = len(line)
            yield line

    known = dict.fromkeys(columns or ())
    with path.open("rb") as file:
        objects = (value for _, value in json_objects(measured(decode_lines(file, str(path), encoding)), str(path)))
        for part in in_parts(objects, lambda _: size):
            if columns is None:
                known |= dict.fromkeys(name for value in part for name in value)
            yield objects_as_strings(frame_from_objects(part, list(known)))


def parquet_batches(
    path: Path, columns: Sequence[str] | None = None, rows: int | None = None
) -> Iterator[pl.DataFrame]:
    """Yields rows page by page, so that a file with one large row group takes no more memory than one with many.

    Raises:
        DataError: The file is damaged.
    """
    import pyarrow.parquet

    part = _part_of(path.stat().st_size)
    with damaged(path, "a complete Parquet file"), _plain_memory():
        file = pyarrow.parquet.ParquetFile(path, buffer_size=part, pre_buffer=False)
    with file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        each = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=1.0)
        most = rows or max(1, min(BATCH_ROWS, int(part / max(each, 1.0))))
        batches = file.iter_batches(batch_size=most, use_threads=False, columns=columns)
        while True:
            with damaged(path, "a complete Parquet file"), _plain_memory():
                batch = next(batches, None)
                frame = None if batch is None else cast(pl.DataFrame, pl.from_arrow(batch))
            if frame is None:
                pyarrow.default_memory_pool().release_unused()
                return
            del batch
            if frame.height:
                yield frame


def in_parts(rows: Iterable[Row], size: Callable[[Row], int], most: int = BATCH_ROWS) -> Iterator[list[Row]]:
    """Yields lists of rows of about `BATCH_BYTES` together, by `size`, and of `most` rows at most."""
    part: list[Row] = []
    held = 0
    for row in rows:
        part.append(row)
        held += size(row)
        if held >= BATCH_BYTES or len(part) >= most:
            yield part
            part, held = [], 0
    if part:
        yield part


@contextmanager
def _plain_memory() -> Iterator[None]:
    """Lets Arrow take memory from the C library: its own pool keeps several times a batch."""
    import pyarrow

    usual = pyarrow.default_memory_pool()
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    try:
        yield
    finally:
        pyarrow.set_memory_pool(usual)


def _part_of(size: int) -> int:
    """Gives how many bytes of a file make a batch."""
    return max(min(size // PARTS, BATCH_BYTES), min(LEAST_BYTES, BATCH_BYTES))


@contextmanager
def damaged(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a reader of binary files raises into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        reason = str(error).strip().splitlines()
        raise DataError(
            f"{path} cannot be read ({reason[0] if reason else type(error).__name__}).",
            expected,
            "Write or copy the file again; it may be cut short or be of another format than its suffix says.",
        ) from error


__all__ = ["BATCH_ROWS", "csv_batches", "damaged", "in_parts", "json_batches", "parquet_batches"]
