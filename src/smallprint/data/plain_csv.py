"""CSV files read by Polars, many rows at once. In: a path. Out: the frame that `csv_rows` would give, or None.

Polars lets pass what `csv_rows` reports (short rows, quotes inside of a field). So the bytes are looked at first: only a file in which
every quote, separator and line end stands where the rules of CSV want it is read this way. None says that it is not certain: then
`csv_rows` reads the file row by row and tells what is wrong where.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.errors import DataError
from smallprint.data.lines import MAX_FIELD_CHARS, csv_rows, decode_lines, separator_of

CHUNK = 2**23  # bytes
QUOTE, LINE_FEED, RETURN = (np.uint8(byte) for byte in b'"\n\r')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_plain_csv(path: Path, separator: str, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Gives all columns, or those named where all of them are there, as strings; None where another reader must say more.

    Args:
        path: A CSV or TSV.
        separator: Between fields.
        columns: Those wanted.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
                return None
            file.seek(0)
            first = next(iter(decode_lines(file, str(path))), "")
            separator = separator_of(first, separator)
            header = next(csv_rows([first], str(path), separator))[1]
    except DataError:
        return None
    stamp = path.stat()
    n_rows = _count_rows(path, stamp.st_size, stamp.st_mtime_ns, separator, len(header))
    if n_rows is None:
        return None
    some = columns is not None and set(columns) <= set(header)
    try:
        frame = pl.read_csv(
            path,
            separator=separator,
            infer_schema=False,
            empty_string_is_null=False,
            columns=[i for i, name in enumerate(header) if name in (columns or ())] if some else None,
            glob=False,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    kept = [name for name in header if not some or name in (columns or ())]
    if frame.height != n_rows - 1 or frame.width != len(kept):
        return None
    frame.columns = kept
    return frame


@lru_cache(maxsize=16)
def _count_rows(path: Path, size: int, changed: int, separator: str, n_columns: int) -> int | None:
    """Gives the number of rows, header and all, of a file in which every row has `n_columns` fields; else None.

    Size and time of change tell one state of a file from another, as a training reads its table several times.
    """
    rows, row_start, inside = 0, 0, False
    waiting = np.zeros(0, dtype=np.int64)
    with path.open("rb") as file:
        for start in range(0, size, CHUNK):
            before = 1 if start else 0
            file.seek(start - before)
            raw = file.read(CHUNK + before + 2)
            # a line feed stands for what comes before the first byte, and after the last
            edged = np.frombuffer((b"" if before else b"\n") + raw + b"\n\n", dtype=np.uint8)
            length = min(CHUNK, size - start)
            if b"\x00" in raw or (b"\r" in raw and not _returns_end_lines(edged[1 : length + 2])):
                return None
            part = edged[1 : length + 1]
            marks = np.flatnonzero((part == ord(separator)) | (part == LINE_FEED) | (part == QUOTE))
            kinds = part[marks]
            quotes = kinds == QUOTE
            passed = np.cumsum(quotes) + inside  # quotes up to here: an odd number is inside of some
            if not _well_placed(edged, marks[quotes], inside, ord(separator)):
                return None
            outside = (passed & 1) == 0
            inside = bool(passed[-1] & 1) if len(passed) else inside
            separators = marks[outside & (kinds == ord(separator))] + start
            ends = marks[outside & (kinds == LINE_FEED)] + start
            if start + length == size and part[-1] != LINE_FEED:
                ends = np.append(ends, size)
            waiting = np.concatenate([waiting, separators])
            if not _fit(waiting, ends, n_columns - 1, row_start):
                return None
            rows, waiting = rows + len(ends), waiting[len(ends) * (n_columns - 1) :]
            row_start = int(ends[-1]) + 1 if len(ends) else row_start
    return rows if not inside and not len(waiting) else None


def _returns_end_lines(part: NDArray[np.uint8]) -> bool:
    """Says whether each return stands before a line feed; the last byte is only looked at as what follows."""
    return bool((part[1:][part[:-1] == RETURN] == LINE_FEED).all())


def _well_placed(edged: NDArray[np.uint8], quotes: NDArray[np.int64], inside: bool, separator: int) -> bool:
    """Says whether each quote opens or closes a field, or is one of two; `edged` has one byte more before the first."""
    opening, closing = (quotes[1::2], quotes[::2]) if inside else (quotes[::2], quotes[1::2])
    left, right, second = edged[opening], edged[closing + 2], edged[closing + 3]
    opens = (left == separator) | (left == LINE_FEED) | (left == QUOTE)
    closes = (right == separator) | (right == LINE_FEED) | (right == QUOTE)
    closes |= (right == RETURN) & (second == LINE_FEED)
    return bool(opens.all() and closes.all())


def _fit(separators: NDArray[np.int64], ends: NDArray[np.int64], each: int, row_start: int) -> bool:
    """Says whether every row has `each` separators, none is blank, and none is longer than a field may be."""
    if not len(ends):
        return len(separators) <= each
    starts = np.append(row_start, ends[:-1] + 1)
    sizes = ends - starts
    if bool((sizes < 2).any()) or int(sizes.max()) > MAX_FIELD_CHARS:  # blank, or a single return: rarely a row
        return False
    if each == 0:
        return not len(separators)
    whole = len(ends) * each
    if not whole <= len(separators) <= whole + each:
        return False
    table = separators[:whole].reshape(len(ends), each)
    if not bool((table[:, 0] >= starts).all() and (table[:, -1] < ends).all()):
        return False
    return not len(separators[whole:]) or int(separators[whole]) > int(ends[-1])


__all__ = ["read_plain_csv"]
