"""Rows of files larger than memory. In: a path or standard input. Out: frames of some thousand rows, in order.

Memory holds one chunk; columns keep their values exactly. `RowWriter` (in `row_writer`) writes such frames again. It
needs no labels and checks no texts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Literal

import polars as pl

from smallprint.core.data_config import UTF_8
from smallprint.core.errors import DataError
from smallprint.data.batches import parquet_batches
from smallprint.data.columns import find_text
from smallprint.data.formats import JSON_LINES, SEPARATORS, check_file
from smallprint.data.json_frames import frame_from_objects
from smallprint.data.lines import csv_rows, decode_lines, empty_file, json_objects, separator_of
from smallprint.data.row_writer import RowWriter, find_output_format

Format = Literal["csv", "tsv", "jsonl", "parquet", "text"]
STANDARD_INPUT = "standard input"
SUFFIXES = (*SEPARATORS, *JSON_LINES, ".parquet", ".txt")


class RowStream:
    """Rows of a file in chunks; iterate once, or use `with` to close the file early.

    Attributes:
        format: 'csv', 'tsv', 'jsonl', 'parquet', or 'text' (one text a line; a blank line stays a row, without text).
        separator: Between the fields of a CSV or TSV, else None.
        columns: Column names of the first chunk; JSON Lines may add more later.
        text: The text column.
    """

    def __init__(
        self,
        format: Format,
        chunks: Iterator[pl.DataFrame],
        where: str,
        text: str | None,
        separator: str | None = None,
    ) -> None:
        self.format, self._source, self.separator = format, chunks, separator
        first = next(chunks, None)
        if first is None:
            raise empty_file(where)
        self.columns = first.columns
        self.text = find_text(first, text, where)
        self._chunks = chain([first], chunks)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        return self._chunks

    def __enter__(self) -> RowStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; no chunk comes after."""
        if close := getattr(self._source, "close", None):
            close()


def open_rows(
    path_or_dash: str | Path, *, text: str | None = None, chunk_rows: int = 2048, encoding: str = UTF_8
) -> RowStream:
    """A stream of a table's rows.

    Args:
        path_or_dash: A CSV, TSV, JSON Lines or Parquet file, a .txt file with one text a line, or '-' for standard
            input: JSON Lines where the first character is '{', else one text a line.
        text: The text column; found by name when left out.
        chunk_rows: Rows in a chunk.
        encoding: Of lines that are not UTF-8.

    Raises:
        DataError: The file is missing, empty, damaged or of an unknown format, or the text column cannot be told. A
            damaged row is reported when its chunk is read.
    """
    if str(path_or_dash) == "-":
        lines = decode_lines(sys.stdin.buffer, STANDARD_INPUT, encoding)
        blank: list[str] = []
        first = ""
        for first in lines:
            if first.strip():
                break
            blank.append(first)
        whole = chain(blank, [first], lines) if first.strip() else iter(())
        if first.lstrip().startswith("{"):
            return RowStream("jsonl", _json_chunks(whole, STANDARD_INPUT, chunk_rows), STANDARD_INPUT, text)
        return RowStream("text", _text_chunks(whole, chunk_rows), STANDARD_INPUT, text)
    path = Path(path_or_dash).expanduser()
    if path.is_dir():
        raise DataError(f"{path} is a folder.", "one file", "Name a file in it.")
    check_file(path, SUFFIXES)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return RowStream("parquet", parquet_batches(path, rows=chunk_rows), str(path), text)
    file = _open(path)
    lines = decode_lines(file, str(path), encoding)
    chunks: Iterator[pl.DataFrame]
    separator = None
    if suffix in SEPARATORS:
        format: Format = "csv" if suffix == ".csv" else "tsv"
        header = next(lines, "")
        separator = separator_of(header, SEPARATORS[suffix])
        chunks = _csv_chunks(chain([header], lines), str(path), separator, chunk_rows)
    elif suffix in JSON_LINES:
        format, chunks = "jsonl", _json_chunks(lines, str(path), chunk_rows)
    else:
        format, chunks = "text", _text_chunks(lines, chunk_rows)
    return RowStream(format, _closing(file, chunks), str(path), text, separator)


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}).", "a readable file", "Check its permissions."
        ) from error


def _closing(file: IO[bytes], chunks: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    with closing(file):
        yield from chunks


def _csv_chunks(lines: Iterable[str], where: str, separator: str, chunk_rows: int) -> Iterator[pl.DataFrame]:
    rows = csv_rows(lines, where, separator)
    header = next(rows)[1]
    schema = dict.fromkeys(header, pl.String)
    while chunk := [row for _, row in islice(rows, chunk_rows)]:
        yield pl.DataFrame(chunk, schema=schema, orient="row")


def _json_chunks(lines: Iterable[str], where: str, chunk_rows: int) -> Iterator[pl.DataFrame]:
    objects = json_objects(lines, where)
    known: dict[str, None] = {}
    while chunk := [value for _, value in islice(objects, chunk_rows)]:
        known |= dict.fromkeys(name for value in chunk for name in value)
        blank: dict[str, Any] = dict.fromkeys(known)
        yield frame_from_objects([blank | chunk[0], *chunk[1:]])


def _text_chunks(lines: Iterable[str], chunk_rows: int) -> Iterator[pl.DataFrame]:
    texts = (line.rstrip("\r\n") for line in lines)
    while chunk := list(islice(texts, chunk_rows)):
        yield pl.DataFrame({"text": chunk}, schema={"text": pl.String})


__all__ = ["Format", "RowStream", "RowWriter", "find_output_format", "open_rows"]
