"""Tables from single files. In: a path. Out: a Polars frame, and the place of any of its rows for a message.

CSV, TSV and Excel are read with every column as strings, so that a label such as '007' survives. It does not guess
what the columns mean.
"""

from __future__ import annotations

import difflib
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import polars as pl

from smallprint.core.data_config import UTF_8
from smallprint.core.errors import DataError
from smallprint.core.naming import quoted
from smallprint.data.batches import BATCH_ROWS, csv_batches, damaged, json_batches, parquet_batches
from smallprint.data.json_frames import join_json
from smallprint.data.lines import csv_rows, decode_lines, empty_file, json_objects

SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx")


def read_table(path: Path, columns: Sequence[str] | None = None, *, encoding: str = UTF_8) -> pl.DataFrame:
    """The table in a file, rows in the file's order, or only some of its columns.

    Raises:
        DataError: The file is missing, empty, damaged or of an unknown format, or lacks one of the columns.
    """
    check_file(path)
    try:
        frame = _read(path, columns, encoding)
    except OSError as error:
        raise unreadable(path, error) from error
    if frame.is_empty():
        raise empty_file(str(path))
    return select_columns(frame, columns, str(path))


def read_batches(path: Path, columns: Sequence[str] | None = None, *, encoding: str = UTF_8) -> Iterator[pl.DataFrame]:
    """The same rows, some megabytes at a time; a column of JSON Lines may have another type in another batch.

    Raises:
        DataError: As `read_table`.
    """
    check_file(path)
    suffix, empty = path.suffix.lower(), True
    try:
        if suffix in SEPARATORS:
            batches = csv_batches(path, SEPARATORS[suffix], columns, encoding)
        elif suffix in JSON_LINES:
            batches = json_batches(path, columns, encoding)
        elif suffix == ".parquet":
            batches = parquet_batches(path, _columns_of_parquet(path, columns))
        else:
            batches = read_table(path, columns).iter_slices(BATCH_ROWS)
        for batch in batches:
            empty = False
            yield select_columns(batch, columns, str(path))
    except OSError as error:
        raise unreadable(path, error) from error
    if empty:
        raise empty_file(str(path))


def select_columns(frame: pl.DataFrame, columns: Sequence[str] | None, where: str) -> pl.DataFrame:
    """The frame, or only the named columns of it.

    Raises:
        DataError: A column is not there.
    """
    if columns is None:
        return frame
    there = set(frame.columns)
    missing = [name for name in columns if name not in there]
    if missing:
        raise DataError(
            f"{where} has no column {missing[0]!r}; it has {quoted(frame.columns)}.",
            "the same columns in every split",
            "Rename the column, or name the right one in the settings (data.text, data.labels, data.group).",
        )
    if frame.columns == list(columns):
        return frame
    return pl.DataFrame([frame[name] for name in columns])  # `select` would plan a query: half a millisecond a batch


def check_file(path: Path, known: Sequence[str] = SUFFIXES) -> None:
    """Raise a DataError unless the path is a file of a known format that is not empty."""
    if not path.exists():
        raise DataError(f"{path} does not exist.", "a file or folder that is there", near_paths(path))
    if path.suffix.lower() not in known:
        raise DataError(
            f"{path} has the suffix {path.suffix!r}.",
            f"one of {', '.join(known)}",
            "Save the table in one of these formats.",
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes).", "a table with one example a row", "Check that the export ended.")


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that the system does not let us read."""
    return DataError(
        f"{path} cannot be read ({error.strerror or error}).", "a readable file", "Check the file's permissions."
    )


def near_paths(path: Path) -> str:
    """What to do about a missing path: names in its folder that are near, or that folder is missing too."""
    folder = path.parent
    if not folder.is_dir():
        return f"Check the path: the folder {folder} does not exist either."
    names = {entry.name.lower(): entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    near = [names[name] for name in difflib.get_close_matches(path.name.lower(), names, n=3, cutoff=0.5)]
    return f"Did you mean {', '.join(near)} in {folder}?" if near else f"Check the path; {folder} has nothing like it."


def place_in_file(path: Path, row: int, *, encoding: str = UTF_8) -> str:
    """A row's place in words, such as 'train.csv, line 14'; the second place of a file that is asked for
    reads all its line numbers, which are kept.

    Args:
        path: The file.
        row: Row number from 0.
        encoding: Of lines that are not UTF-8.
    """
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        stamp = path.stat()
        above = _rows_above_header(str(path), stamp.st_size, stamp.st_mtime_ns)
        return f"{path.name}, row {row + 2 + above} of the sheet"
    if suffix not in SEPARATORS and suffix not in JSON_LINES:
        return f"{path.name}, row {row + 1}"
    stamp = path.stat()
    key = (str(path), stamp.st_size, stamp.st_mtime_ns)
    if key in _ASKED:
        known = _line_numbers(*key, encoding)
        return f"{path.name}, line {known[row]}" if row < len(known) else f"{path.name}, row {row + 1}"
    _ASKED.clear()
    _ASKED.add(key)  # who asks once more will ask often
    found = next(islice(_numbered(path, encoding), row, None), None)
    return f"{path.name}, line {found}" if found else f"{path.name}, row {row + 1}"


_ASKED: set[tuple[str, int, int]] = set()


@lru_cache(maxsize=3)
def _line_numbers(path: str, size: int, changed: int, encoding: str) -> array[int]:
    """The line in which each row of a text file begins; size and time of change tell one state of it from another."""
    return array("Q", _numbered(Path(path), encoding))


@lru_cache(maxsize=3)
def _rows_above_header(path: str, size: int, changed: int) -> int:
    """How many blank rows of the first sheet are passed over before its header."""
    import fastexcel

    with damaged(Path(path), "an Excel workbook (.xlsx)"):
        book = fastexcel.read_excel(path)
        whole, told = (book.load_sheet(0, header_row=None, **more).height for more in ({"skip_rows": 0}, {}))
    return int(whole - told)


def _numbered(path: Path, encoding: str) -> Iterator[int]:
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        lines = decode_lines(file, str(path), encoding)
        if suffix in SEPARATORS:
            yield from (number for number, _ in islice(csv_rows(lines, str(path), SEPARATORS[suffix]), 1, None))
        else:
            yield from (number for number, line in enumerate(lines, start=1) if line.strip())


def _read(path: Path, columns: Sequence[str] | None, encoding: str) -> pl.DataFrame:
    suffix = path.suffix.lower()
    if suffix in SEPARATORS:
        return _read_csv(path, SEPARATORS[suffix], columns, encoding)
    if suffix in JSON_LINES:
        return _read_json(path, columns, encoding)
    if suffix == ".parquet":
        return _read_parquet(path, columns)
    return _read_excel(path)


def _read_csv(path: Path, separator: str, columns: Sequence[str] | None, encoding: str) -> pl.DataFrame:
    parts = list(csv_batches(path, separator, columns, encoding))
    return pl.concat(parts, rechunk=True) if parts else pl.DataFrame()


def _read_json(path: Path, columns: Sequence[str] | None, encoding: str) -> pl.DataFrame:
    whole = join_json(list(json_batches(path, columns, encoding)))
    lacking = [name for name in columns or () if name not in whole.columns or whole[name].is_null().all()]
    if not lacking:
        return whole
    with path.open("rb") as file:  # no object may have such a key, and then those that are there are told
        keys = dict.fromkeys(
            name for _, value in json_objects(decode_lines(file, str(path), encoding), str(path)) for name in value
        )
    return whole if set(lacking) <= set(keys) else whole.select(pl.lit(None).alias(name) for name in keys)


def _read_parquet(path: Path, columns: Sequence[str] | None) -> pl.DataFrame:
    with damaged(path, "a complete Parquet file"):
        return pl.read_parquet(path, columns=_columns_of_parquet(path, columns), glob=False)


def _columns_of_parquet(path: Path, columns: Sequence[str] | None) -> list[str] | None:
    """The columns where all are there; else None, for all."""
    with damaged(path, "a complete Parquet file"):
        present = pl.scan_parquet(path, glob=False).collect_schema()
    return list(columns) if columns is not None and set(columns) <= set(present) else None


def _read_excel(path: Path) -> pl.DataFrame:
    with damaged(path, "an Excel workbook (.xlsx) whose first sheet has a header and one example a row"):
        frame = pl.read_excel(path, infer_schema_length=0, drop_empty_rows=False, raise_if_empty=False)
    while frame.height and all(value is None for value in frame.row(-1)):
        frame = frame[:-1]
    return frame
