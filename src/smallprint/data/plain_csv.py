"""CSV files read by Polars, piece by piece. In: a path. Out: the frames that `csv_rows` would give, or `NotPlainError`.

Polars lets pass what `csv_rows` reports (short rows, quotes inside of a field). So each piece is looked at: every quote must stand where
the rules of CSV want one, and what was read must account for every byte, which it does not where a row lacks fields. `NotPlainError` says
that it is not certain: then `csv_rows` reads the file row by row and tells what is wrong where.
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
    kept = list(columns) if columns is not None and set(columns) <= set(header) else header
    if known is not None:
        for piece, rows in read_ahead(_known(path, start, known)):
            frame = _parse(piece, header, kept, separator)
            if frame.height != rows:
                raise NotPlainError
            yield frame
        return
    borders = []
    for piece, more in read_ahead(_looked_at(path, start, ord(separator), len(header) == 1)):
        frame = _parse(piece, header, header, separator)
        _account(piece, frame, more)
        borders.append((len(piece), frame.height))
        yield frame.select(kept)
    while len(_BORDERS) >= MOST_KNOWN:
        _BORDERS.pop(next(iter(_BORDERS)))
    _BORDERS[key] = borders


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


def _looked_at(path: Path, start: int, separator: int, alone: bool) -> Iterator[tuple[bytes, int]]:
    """Yields pieces of whole rows, and how many bytes of each are quotes that are part of no value.

    Raises:
        NotPlainError: A quote is not well placed, a row is too long, or (where a column is `alone`) blank.
    """
    with path.open("rb") as file:
        file.seek(start)
        rest, raw = b"", b"more"
        while raw:
            raw = file.read(CHUNK)
            piece = rest + raw
            if not raw and not piece.endswith(b"\n"):
                piece += b"\n" if piece else b""
            if b"\x00" in piece or piece.startswith(BYTE_ORDER_MARK) or len(piece) > MAX_FIELD_CHARS:
                raise NotPlainError
            if b"\r" in piece and piece.count(b"\r", 0, -1) != piece.count(b"\r\n"):
                raise NotPlainError
            edged = np.frombuffer(b"\n" + piece + b"\n\n", dtype=np.uint8)  # so that each byte has those beside it
            quotes = np.flatnonzero(edged[1:-2] == QUOTE)
            if not _well_placed(edged, quotes, separator):
                raise NotPlainError
            end = _last_end(piece, quotes)
            if alone and _has_blank(edged[: end + 1], quotes):
                raise NotPlainError
            quotes = quotes[: np.searchsorted(quotes, end)]
            if end:
                yield piece[:end], len(quotes) - int((quotes[1:-1:2] + 1 == quotes[2::2]).sum())
            rest = piece[end:]
            if rest and not raw:
                raise NotPlainError


def _last_end(piece: bytes, quotes: NDArray[np.int64]) -> int:
    """Gives where the last whole row ends: after a line feed with an even number of quotes before it."""
    place = len(piece)
    while place := piece.rfind(b"\n", 0, place) + 1:
        before = int(np.searchsorted(quotes, place))
        if before % 2 == 0:
            break
        place = int(quotes[before - 1])  # inside of a field, which begins here
    return place


def _has_blank(edged: NDArray[np.uint8], quotes: NDArray[np.int64]) -> bool:
    """Says whether a row has no byte, besides a return; `edged` begins with the line feed before the first row and ends with the last's."""
    starts = np.flatnonzero(edged[:-1] == LINE_FEED)
    starts = starts[np.searchsorted(quotes, starts) % 2 == 0]
    first = edged[starts + 1]
    blank = first == LINE_FEED
    blank |= (first == RETURN) & (edged[np.minimum(starts + 2, len(edged) - 1)] == LINE_FEED)
    return bool(blank.any())


def _well_placed(edged: NDArray[np.uint8], quotes: NDArray[np.int64], separator: int) -> bool:
    """Says whether each quote opens or closes a field, or is one of two; `edged` has one byte more before the first, and line feeds after
    the last, so that what goes on in the next piece is not blamed here."""
    opening, closing = quotes[::2], quotes[1::2]
    left, right = edged[opening], edged[closing + 2]
    opens = (left == separator) | (left == LINE_FEED) | (left == QUOTE)
    closes = (right == separator) | (right == LINE_FEED) | (right == QUOTE)
    if not closes.all():
        closes |= (right == RETURN) & (edged[closing + 3] == LINE_FEED)
    return bool(opens.all() and closes.all())


def _parse(piece: bytes, header: list[str], kept: list[str], separator: str) -> pl.DataFrame:
    """Gives some columns of the rows of some lines."""
    try:
        return (
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


def _account(piece: bytes, frame: pl.DataFrame, quotes: int) -> None:
    """Holds that values, quotes around them, separators and line ends are all that the bytes have: Polars itself refuses a row that
    is too long, and gives one that is too short the separators that it lacks.

    Raises:
        NotPlainError: They are not.
    """
    held = sum(frame.select(pl.all().str.len_bytes().cast(pl.UInt64).sum()).row(0))
    if returns := piece.count(b"\r"):
        returns -= sum(frame.select(pl.all().str.count_matches("\r", literal=True).cast(pl.UInt64).sum()).row(0))
    if held + frame.height * frame.width + quotes + returns != len(piece):
        raise NotPlainError


__all__ = ["NotPlainError", "plain_pieces"]
