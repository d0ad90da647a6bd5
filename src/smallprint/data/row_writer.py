"""Frames to a file, chunk by chunk. In: frames with the same columns. Out: a CSV, TSV, JSON Lines or Parquet file.

The file appears under its name when all is written and not before; after any failure nothing is left behind. Memory
holds one chunk (Parquet: some tens of megabytes).
"""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import polars as pl

from smallprint.core.errors import ConfigError, DataError
from smallprint.core.files import pipe_errors
from smallprint.data.json_frames import json_series, objects_as_strings

OutputFormat = Literal["csv", "tsv", "jsonl", "parquet"]
FORMATS: dict[str, OutputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
DECIMALS = 6
GROUP_ROWS, GROUP_BYTES = 65_536, 2**25


def find_output_format(path: str | Path) -> OutputFormat:
    """The format that a path's suffix stands for.

    Raises:
        ConfigError: It stands for none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(
            f"The output {path} has the suffix {suffix!r}.",
            f"one of {', '.join(FORMATS)}",
            "Name it with one of these.",
        )
    return FORMATS[suffix]


class RowWriter:
    """Writes frames to a file that is whole or not there; use with `with`.

    Args:
        path_or_dash: The file, replaced if it is there; '-' for standard output (CSV, TSV, JSON Lines).
        format: What to write.
        exact: Columns whose floats are written in full; others get 6 decimals in CSV, TSV and JSON Lines.
        separator: Between the fields of a CSV.

    Raises:
        ConfigError: Parquet to standard output.
        DataError: The file cannot be written, the disk is full, or a later chunk has other columns or types.
    """

    def __init__(
        self, path_or_dash: str | Path, format: OutputFormat, *, exact: Sequence[str] = (), separator: str = ","
    ) -> None:
        self.path = None if str(path_or_dash) == "-" else Path(path_or_dash).expanduser()
        if self.path is None and format == "parquet":
            raise ConfigError("Parquet cannot go to standard output.", "a file name", "Use -o FILE.parquet, or CSV.")
        self.format, self.exact, self.separator = format, frozenset(exact), "\t" if format == "tsv" else separator
        self._temporary: Path | None = None
        self._file: IO[bytes] | None = None
        self._write: Callable[[pl.DataFrame], None] | None = None
        self._finish: Callable[[], None] = lambda: None

    def __enter__(self) -> RowWriter:
        with self._disk():
            if self.path is None:
                self._file = sys.stdout.buffer
            else:
                if self.path.is_symlink():  # what it leads to is written, and the link stays
                    self.path = self.path.resolve()
                if self.path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, "it is a folder")
                self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
                self._file = self._temporary.open("wb")
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Write the rows of a frame."""
        if self._file is None:
            raise ValueError("RowWriter is used outside of its 'with' block")
        with self._disk():
            if self._write is None:
                self._write = self._start(frame, self._file)
            self._write(frame)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        try:
            with self._disk():
                if kind is None and file is not None:
                    self._finish()
                    file.flush()
                if self.path is None or file is None:
                    return
                if kind is None:
                    os.fsync(file.fileno())
                file.close()
                if kind is None and self._temporary is not None:
                    self._temporary.replace(self.path)
        except DataError:
            if kind is None:
                raise
        finally:
            if self.path is not None and file is not None and self._temporary is not None:
                _close_quietly(file)
                self._temporary.unlink(missing_ok=True)

    def _start(self, frame: pl.DataFrame, file: IO[bytes]) -> Callable[[pl.DataFrame], None]:
        if self.format == "jsonl":
            return lambda chunk: self._write_json(chunk, file)
        if self.format == "parquet":
            parquet = _ParquetRows(file, self._name())
            self._finish = parquet.finish
            return parquet.write
        columns = frame.columns
        self._write_csv_rows([columns], file)
        return lambda chunk: self._write_csv(chunk, columns, file)

    def _write_csv(self, frame: pl.DataFrame, columns: list[str], file: IO[bytes]) -> None:
        _check_columns(frame, columns, self._name())
        exact = [name in self.exact for name in columns]
        rows = ([_cell(v, e) for v, e in zip(row, exact, strict=True)] for row in frame.select(columns).iter_rows())
        self._write_csv_rows(rows, file)

    def _write_csv_rows(self, rows: Any, file: IO[bytes]) -> None:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=self.separator, lineterminator="\n").writerows(rows)
        file.write(buffer.getvalue().encode())

    def _write_json(self, frame: pl.DataFrame, file: IO[bytes]) -> None:
        names = frame.columns
        for row in frame.iter_rows():
            values = {n: _json_value(v, n in self.exact) for n, v in zip(names, row, strict=True)}
            file.write(json.dumps(values, ensure_ascii=False, default=str).encode() + b"\n")

    def _name(self) -> str:
        return "standard output" if self.path is None else str(self.path)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Turn an OSError of writing into a DataError that names the file; a closed pipe goes on as it is."""
        try:
            with pipe_errors() if self.path is None else nullcontext():
                yield
        except BrokenPipeError:
            raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            missing = error.errno == errno.ENOENT
            why = "the disk is full" if full else error.strerror or str(error)
            raise DataError(
                f"{self._name()} cannot be written ({why}); nothing was left behind.",
                "a folder that is there, may be written to and has room",
                "Make room, or write elsewhere." if full else "Make the folder." if missing else "Check the path.",
            ) from error


class _ParquetRows:
    """Parquet by row groups: chunks are gathered until they make a group worth writing."""

    def __init__(self, file: IO[bytes], where: str) -> None:
        self.file, self.where = file, where
        self.schema: pl.Schema | None = None
        self.waiting: list[pl.DataFrame] = []
        self.writer: Any = None

    def write(self, frame: pl.DataFrame) -> None:
        """Take a chunk; write a row group when there is enough."""
        frame = _parquet_ready(frame)
        if self.schema is None:
            self.schema = frame.schema
        self.waiting.append(_fit_schema(frame, self.schema, self.where))
        rows, size = sum(f.height for f in self.waiting), sum(f.estimated_size() for f in self.waiting)
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            self._write_group()

    def finish(self) -> None:
        """Write what is left, and the file's footer."""
        self._write_group()
        if self.writer is not None:
            self.writer.close()

    def _write_group(self) -> None:
        if not self.waiting:
            return
        import pyarrow.parquet

        table = pl.concat(self.waiting).to_arrow(compat_level=pl.CompatLevel.oldest())
        self.waiting = []
        if self.writer is None:
            self.writer = pyarrow.parquet.ParquetWriter(self.file, table.schema, compression="zstd")
        self.writer.write_table(table)


def _parquet_ready(frame: pl.DataFrame) -> pl.DataFrame:
    mixed = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
    for name in mixed:
        values = list(frame[name])
        if all(value is None or type(value) in (int, float) for value in values):
            frame = frame.with_columns(json_series(name, [None if v is None else float(v) for v in values]))
    null = [name for name, dtype in frame.schema.items() if dtype == pl.Null]
    return objects_as_strings(frame).with_columns(pl.col(null).cast(pl.String))


def _fit_schema(frame: pl.DataFrame, schema: pl.Schema, where: str) -> pl.DataFrame:
    _check_columns(frame, list(schema), where)
    for name, dtype in schema.items():
        found = frame.schema[name]
        same = found == dtype or frame[name].null_count() == frame.height
        if not same and not (found.is_integer() and dtype == pl.Float64):
            raise DataError(
                f"Column {name!r} changes from {dtype} to {found} within the input; {where} was not written.",
                "values of one type in a column, for Parquet",
                "Write JSON Lines instead (-o FILE.jsonl).",
            )
    return frame.select(list(schema)).cast(dict(schema))  # type: ignore[arg-type]


def _check_columns(frame: pl.DataFrame, columns: list[str], where: str) -> None:
    if other := sorted(set(frame.columns) ^ set(columns)):
        raise DataError(
            f"Column {other[0]!r} is not in all rows of the input; {where} was not written.",
            "the same columns in all rows, for CSV and Parquet",
            "Write JSON Lines instead (-o FILE.jsonl).",
        )


def _cell(value: Any, exact: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if exact else f"{value:.{DECIMALS}f}"
    if isinstance(value, list):
        return "|".join(_cell(item, exact) for item in value)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict) else str(value)


def _json_value(value: Any, exact: bool) -> Any:
    if isinstance(value, float):
        return None if not math.isfinite(value) else value if exact else round(value, DECIMALS)
    if isinstance(value, list):
        return [_json_value(item, exact) for item in value]
    return value


def _close_quietly(file: IO[bytes]) -> None:
    try:
        file.close()
    except OSError:
        return
