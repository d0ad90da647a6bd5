"""CSV files read by Polars, piece by piece. In: a path. Out: the frames that `csv_rows` would give, or `NotPlainError`.

Polars lets pass what `csv_rows` reports (short rows, quotes inside of a field). So the bytes of each piece are looked at first: only one
in which every quote and line end stands where the rules of CSV want it, and every row has its fields, is read this way. `NotPlainError`
says that it is not certain: then `csv_rows` reads the file row by row and tells what is wrong where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.ahead import read_ahead
from smallprint.core.errors import DataError
from smallprint.data.lines import MAX_FIELD_CHARS, csv_rows, decode_lines, separator_of

CHUNK = 2**21  # bytes
QUOTE, LINE_FEED, RETURN = (np.uint8(byte) for byte in b'"\n\r')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_KNOWN = 16
_BORDERS: dict[tuple[str, int, int, str, int], list[tuple[int, int]]] = {}  # a training reads its table several times


class NotPlainError(Exception):
    """Another reader must say more."""


def plain_pieces(path: Path, separator: str, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yields the rows in order, some megabytes at a time, as strings; memory holds a few pieces.

    Args:
        path: A CSV or TSV.
        separator: Between fields.
        columns: Those wanted, where all of them are there; else all are given.

    Raises:
        NotPlainError: What follows is not certain; what was given is.
    """
    header, start, separator = _header(path, separator)
    stamp = path.stat()
    key = (
        str(path),
        stamp.st_size,
        stamp.st_mtime_ns,
        separator,
        CHUNK,
    )  # size and time tell one state of a file from another
    known = _BORDERS.get(key)
    pieces = _known(path, start, known) if known else _looked_at(path, start, ord(separator), len(header) - 1, key)
    kept = list(columns) if columns is not None and set(columns) <= set(header) else header
    for piece, rows in read_ahead(pieces):
        yield _parse(piece, header, kept, separator, rows)


def _header(path: Path, separator: str) -> tuple[list[str], int, str]:
    """Gives the column names, the bytes of the header line, and the separator."""
    with path.open("rb") as file:
        if file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
            raise NotPlainError
        file.seek(0)
        try:
            first = next(iter(decode_lines(file, str(path))), "")
            separator = separator_of(first, separator)
            header = next(csv_rows([first], str(path), separator))[1]
        except DataError as error:
            raise NotPlainError from error
    if "\x00" in first or "\r" in first.removesuffix("\n").removesuffix("\r"):
        raise NotPlainError
    return header, len(first.encode()), separator


def _known(path: Path, start: int, borders: list[tuple[int, int]]) -> Iterator[tuple[bytes, int]]:
    """Yields the pieces of a file that was looked at before."""
    with path.open("rb") as file:
        file.seek(start)
        for size, rows in borders:
            yield file.read(size), rows


def _looked_at(
    path: Path, start: int, separator: int, each: int, key: tuple[str, int, int, str, int]
) -> Iterator[tuple[bytes, int]]:
    """Yields pieces of whole rows, and how many rows each has."""
    borders: list[tuple[int, int]] = []
    with path.open("rb") as file:
        file.seek(start)
        rest = b""
        while True:
            raw = file.read(CHUNK)
            piece = rest + raw
            if not raw and not piece.endswith(b"\n"):
                piece += b"\n" if piece else b""
            if b"\x00" in piece or (b"\r" in piece and piece.count(b"\r", 0, -1) != piece.count(b"\r\n")):
                raise NotPlainError
            end, rows = _whole_rows(piece, separator, each)
            if rows:
                borders.append((end, rows))
                yield piece[:end], rows
            rest = piece[end:]
            if len(rest) > MAX_FIELD_CHARS or (rest and not raw):
                raise NotPlainError
            if not raw:
                break
    while len(_BORDERS) >= MOST_KNOWN:
        _BORDERS.pop(next(iter(_BORDERS)))
    _BORDERS[key] = borders


def _whole_rows(piece: bytes, separator: int, each: int) -> tuple[int, int]:
    """Gives where the last whole row ends, and how many rows end up to there.

    Raises:
        NotPlainError: A quote is not well placed, or a row is blank, too long, or has not `each` separators.
    """
    # a line feed stands for what comes before the first byte, and after the last
    edged = np.frombuffer(b"\n" + piece + b"\n\n", dtype=np.uint8)
    part = edged[1:-2]
    found = part == separator
    found |= part == LINE_FEED
    found |= part == QUOTE
    marks = np.flatnonzero(found)
    kinds = part[marks]
    quoting = kinds == QUOTE
    plain = ~quoting
    if quoting.any():
        plain &= np.cumsum(quoting, dtype=np.int32) & 1 == 0  # after an odd number of quotes all is part of a field
    between = marks[plain]
    last = np.flatnonzero(kinds[plain] == LINE_FEED)
    if not len(last):
        return 0, 0
    ends = between[last]
    end, sizes = int(ends[-1]) + 1, np.diff(ends, prepend=-1)
    quotes = marks[quoting]
    if not _well_placed(edged, quotes[: np.searchsorted(quotes, end)], separator):
        raise NotPlainError
    if not (np.diff(last, prepend=-1) == each + 1).all() or int(sizes.max()) > MAX_FIELD_CHARS:
        raise NotPlainError
    if not each and int(sizes.min()) <= 2:  # blank, or a return alone: rarely a row
        raise NotPlainError
    return end, len(ends)


def _well_placed(edged: NDArray[np.uint8], quotes: NDArray[np.int64], separator: int) -> bool:
    """Says whether each quote opens or closes a field, or is one of two; `edged` has one byte more before the first."""
    opening, closing = quotes[::2], quotes[1::2]
    left, right = edged[opening], edged[closing + 2]
    opens = (left == separator) | (left == LINE_FEED) | (left == QUOTE)
    closes = (right == separator) | (right == LINE_FEED) | (right == QUOTE)
    if not closes.all():
        closes |= (right == RETURN) & (edged[closing + 3] == LINE_FEED)
    return bool(opens.all() and closes.all())


def _parse(piece: bytes, header: list[str], kept: list[str], separator: str, rows: int) -> pl.DataFrame:
    """Gives some columns of the rows of some lines, each of which has its fields."""
    try:
        frame = (
            pl.scan_csv(
                piece,
                separator=separator,
                has_header=False,
                schema=dict.fromkeys(header, pl.String),
                empty_string_is_null=False,
                glob=False,
            )
            .select(kept)
            .collect()
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise NotPlainError from error
    if frame.height != rows:
        raise NotPlainError
    return frame


__all__ = ["NotPlainError", "plain_pieces"]
