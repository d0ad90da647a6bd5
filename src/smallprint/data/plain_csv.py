"""CSV files read by Arrow, piece by piece. In: a path. Out: the frames that `csv_rows` would give, or `NotPlainError`.

Arrow refuses rows that lack fields or have too many, and lets pass what else `csv_rows` reports: blank lines, quotes inside of a field. So
the bytes of each piece are looked at first: quotes must stand where the rules of CSV want them. `NotPlainError` says that it is not
certain: then `csv_rows` reads the file row by row and tells what is wrong where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from smallprint.core.ahead import map_ahead
from smallprint.core.errors import DataError
from smallprint.data.lines import MAX_FIELD_CHARS, csv_rows, decode_lines, separator_of

# bytes; a small file is read in smaller pieces: memory is to follow its size
CHUNK, LEAST_CHUNK, PARTS = 2**22, 2**20, 40
QUOTE, LINE_FEED, RETURN = (np.uint8(byte) for byte in b'"\n\r')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_KNOWN = 16
_BORDERS: dict[tuple[str | int, ...], list[tuple[int, int]]] = {}  # a training reads its table several times


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
    chunk = min(CHUNK, max(LEAST_CHUNK, stamp.st_size // PARTS))
    # tells one state of a file from another, whoever sets its time of change back
    state = stamp.st_ino, stamp.st_size, stamp.st_mtime_ns, stamp.st_ctime_ns
    key = (str(path), *state, separator, chunk)
    known = _BORDERS.get(key)
    kept = list(columns) if columns is not None and set(columns) <= set(header) else header
    if known is not None:
        yield from map_ahead(lambda piece: _parse_again(*piece, header, kept, separator), _known(path, start, known))
        return
    borders = []

    def parse(lines: memoryview) -> pl.DataFrame:
        frame = _parse(lines, header, kept, separator)
        borders.append((len(lines), frame.height))
        return frame

    yield from map_ahead(parse, _looked_at(path, start, ord(separator), chunk))
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
    """Yields the pieces of a file that was looked at before, and how many rows each has."""
    with path.open("rb") as file:
        file.seek(start)
        for size, rows in borders:
            yield file.read(size), rows


def _looked_at(path: Path, start: int, separator: int, chunk: int) -> Iterator[memoryview]:
    """Yields pieces of whole rows; nothing is copied, and what can be is used again: fresh memory costs more than the looking.

    Raises:
        NotPlainError: A quote is not well placed, or a row is blank or too long.
    """
    with path.open("rb") as file:
        file.seek(start)
        rest, given, mask = b"", 1, np.empty(0, dtype=np.bool_)
        size = min(chunk, LEAST_CHUNK)  # of the first: it may be all that is wanted
        while given:
            piece = bytearray(len(rest) + size)
            piece[: len(rest)] = rest
            with memoryview(piece) as view:
                given = file.readinto(view[len(rest) :])
            del piece[len(rest) + given :]
            size = chunk
            if not given and piece and not piece.endswith(b"\n"):
                piece += b"\n"
            if b"\x00" in piece or piece.startswith(BYTE_ORDER_MARK) or len(piece) > MAX_FIELD_CHARS:
                raise NotPlainError
            if b"\r" in piece and piece.count(b"\r", 0, -1) != piece.count(b"\r\n"):
                raise NotPlainError
            if len(mask) < len(piece):
                mask = np.empty(len(piece) + chunk, dtype=np.bool_)
            numbers = np.frombuffer(piece, dtype=np.uint8)
            quotes = np.flatnonzero(np.equal(numbers, QUOTE, out=mask[: len(piece)]))
            if not _well_placed(numbers, quotes, separator):
                raise NotPlainError
            end = _last_end(piece, quotes)
            if end:
                yield memoryview(piece)[:end]
            rest = bytes(memoryview(piece)[end:])
            if rest and not given:
                raise NotPlainError


def _last_end(piece: bytearray, quotes: NDArray[np.int64]) -> int:
    """Gives where the last whole row ends: after a line feed with an even number of quotes before it."""
    place = len(piece)
    while place := piece.rfind(b"\n", 0, place) + 1:
        before = int(np.searchsorted(quotes, place))
        if before % 2 == 0:
            break
        place = int(quotes[before - 1])  # inside of a field, which begins here
    return place


def _has_blank(piece: memoryview) -> bool:
    """Says whether a row has no byte, besides a return."""
    edged = np.frombuffer(b"\n" + piece, dtype=np.uint8)
    starts = np.flatnonzero(edged[:-1] == LINE_FEED)
    starts = starts[np.searchsorted(np.flatnonzero(edged == QUOTE), starts) % 2 == 0]
    first = edged[starts + 1]
    blank = first == LINE_FEED
    blank |= (first == RETURN) & (edged[np.minimum(starts + 2, len(edged) - 1)] == LINE_FEED)
    return bool(blank.any())


def _well_placed(piece: NDArray[np.uint8], quotes: NDArray[np.int64], separator: int) -> bool:
    """Says whether each quote opens or closes a field, or is one of two; before the first byte and after the last a line feed is thought,
    so that what goes on in the next piece is not blamed here."""

    def at(places: NDArray[np.int64]) -> NDArray[np.uint8]:
        inside = (places >= 0) & (places < len(piece))
        return np.where(inside, piece[np.where(inside, places, 0)], LINE_FEED)

    if not len(quotes):
        return True
    left, right = at(quotes[::2] - 1), at(quotes[1::2] + 1)
    opens = (left == separator) | (left == LINE_FEED) | (left == QUOTE)
    closes = (right == separator) | (right == LINE_FEED) | (right == QUOTE)
    if not closes.all():
        closes |= (right == RETURN) & (at(quotes[1::2] + 2) == LINE_FEED)
    return bool(opens.all() and closes.all())


def _parse(piece: memoryview, header: list[str], kept: list[str], separator: str) -> pl.DataFrame:
    """Gives some columns of the rows of some lines."""
    try:
        import pyarrow
        from pyarrow import csv
    except ModuleNotFoundError as error:  # what reads exported models alone does not have it
        raise NotPlainError from error
    text = pyarrow.large_string()
    try:
        table = csv.read_csv(
            pyarrow.py_buffer(piece),
            csv.ReadOptions(column_names=header, use_threads=False, block_size=len(piece) + 1),
            csv.ParseOptions(delimiter=separator, newlines_in_values=True, ignore_empty_lines=False),
            csv.ConvertOptions(
                include_columns=kept, column_types=dict.fromkeys(header, text), strings_can_be_null=False
            ),
        )
    except pyarrow.ArrowInvalid as error:
        raise NotPlainError from error
    frame = cast(pl.DataFrame, pl.from_arrow(table))
    frame.columns = kept  # Polars gives one without a name another
    if (frame[kept[0]] == "").any() and _has_blank(piece):  # Arrow gives a blank line as a row
        raise NotPlainError
    return frame


def _parse_again(piece: bytes, rows: int, header: list[str], kept: list[str], separator: str) -> pl.DataFrame:
    """Gives the same of a piece in which Arrow found nothing wrong: Polars is faster, and less strict."""
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
            .select(selectors.by_name(*kept))  # a plain name could be a pattern
            .collect()
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise NotPlainError from error
    if frame.height != rows:
        raise NotPlainError
    return frame


__all__ = ["NotPlainError", "plain_pieces"]
