"""CSV files read by Polars, piece by piece. In: a path. Out: the frames that `csv_rows` would give, or `NotPlainError`.

Polars lets pass what `csv_rows` reports (short rows, quotes inside of a field). So the bytes of each piece are looked at first: only one
in which every quote and line end stands where the rules of CSV want it, and every row has its fields, is read this way. `NotPlainError`
says that it is not certain: then `csv_rows` reads the file row by row and tells what is wrong where.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.errors import DataError
from smallprint.data.lines import MAX_FIELD_CHARS, csv_rows, decode_lines, separator_of

CHUNK = 2**22  # bytes
QUOTE, LINE_FEED, RETURN = (np.uint8(byte) for byte in b'"\n\r')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class NotPlainError(Exception):
    """Another reader must say more."""


def plain_pieces(path: Path, separator: str) -> Iterator[pl.DataFrame]:
    """Yields the rows in order, some megabytes at a time, all columns as strings; memory holds one piece.

    Raises:
        NotPlainError: What follows is not certain; what was given is.
    """
    header, start, separator = _header(path, separator)
    with path.open("rb") as file:
        file.seek(start)
        rest = b""
        while True:
            raw = file.read(CHUNK)
            piece = rest + raw
            if not raw and not piece.endswith(b"\n"):
                piece += b"\n" if piece else b""
            if b"\x00" in piece or piece.count(b"\r", 0, -1) != piece.count(b"\r\n"):
                raise NotPlainError
            end, rows = _whole_rows(piece, separator)
            if rows:
                yield _parse(piece[:end], header, separator, rows)
            rest = piece[end:]
            if len(rest) > MAX_FIELD_CHARS or (rest and not raw):
                raise NotPlainError
            if not raw:
                return


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


def _whole_rows(piece: bytes, separator: str) -> tuple[int, int]:
    """Gives where the last whole row ends, and how many rows end up to there; every quote is well placed."""
    # a line feed stands for what comes before the first byte, and after the last
    edged = np.frombuffer(b"\n" + piece + b"\n\n", dtype=np.uint8)
    part = edged[1:-2]
    marks = np.flatnonzero((part == QUOTE) | (part == LINE_FEED))
    quoting = part[marks] == QUOTE
    ends = marks[
        ~quoting & (np.cumsum(quoting) & 1 == 0)
    ]  # after an odd number of quotes a line feed is part of a field
    if not len(ends):
        return 0, 0
    end = int(ends[-1]) + 1
    quotes = marks[quoting]
    if not _well_placed(edged, quotes[: np.searchsorted(quotes, end)], ord(separator)):
        raise NotPlainError
    if int(np.diff(ends, prepend=-1).max()) > MAX_FIELD_CHARS:
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


def _parse(piece: bytes, header: list[str], separator: str, rows: int) -> pl.DataFrame:
    """Gives the rows of some lines, each of which has its fields."""
    try:
        frame = pl.read_csv(
            piece, separator=separator, has_header=False, schema=dict.fromkeys(header, pl.String), glob=False
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise NotPlainError from error
    if frame.height != rows:
        raise NotPlainError
    empty = [name for name, count in zip(header, frame.null_count().row(0), strict=True) if count]
    # a field that is not there reads like one that is empty, and only a row's last fields can lack
    if header[-1] in empty and not _complete(piece, separator, len(header) - 1):
        raise NotPlainError
    return frame.with_columns(pl.col(empty).fill_null("")) if empty else frame


def _complete(piece: bytes, separator: str, each: int) -> bool:
    """Says whether every row has `each` separators, and none is blank."""
    part = np.frombuffer(piece, dtype=np.uint8)
    marks = np.flatnonzero((part == ord(separator)) | (part == LINE_FEED) | (part == QUOTE))
    kinds = part[marks]
    marks = marks[(np.cumsum(kinds == QUOTE) & 1 == 0) & (kinds != QUOTE)]
    ends = np.flatnonzero(part[marks] == LINE_FEED)
    sizes = np.diff(marks[ends], prepend=-1)  # 1 is a line feed alone, 2 may be a return before it
    return bool((np.diff(ends, prepend=-1) == each + 1).all() and (sizes > 2).all())


__all__ = ["NotPlainError", "plain_pieces"]
