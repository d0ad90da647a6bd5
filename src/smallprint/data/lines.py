"""Text files, line by line. In: bytes of a CSV, TSV or JSON Lines file. Out: rows or objects with their line numbers.

Memory stays at one row. It knows nothing of labels or frames; readers and the row stream are built on it.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from smallprint.core.data_config import UTF_8
from smallprint.core.errors import DataError

MAX_FIELD_CHARS = 2**26
MAX_LINE_BYTES = 2**28  # a longer one is a file that has no lines
LOOKED_AT_FURTHER, TOLD = 1_000_000, 8  # rows after a wrong one, and how many lines of these are told


def decode_lines(raw: Iterable[bytes], where: str, encoding: str = UTF_8) -> Iterator[str]:
    """Lines of text, line ends kept, a byte order mark dropped.

    Args:
        raw: Lines, or a file.
        where: What it is called, for messages.
        encoding: Of lines that are not UTF-8; one that holds ASCII as it is.

    Raises:
        DataError: A line is neither UTF-8 nor of the encoding, or too long to be one; the message has its number.
    """
    for number, line in enumerate(_bounded(raw), start=1):
        if len(line) > MAX_LINE_BYTES:
            raise DataError(
                f"{where}, line {number}: the line is longer than {MAX_LINE_BYTES / 1e6:,.0f} MB.",
                "one example a line",
                "Write the table as JSON Lines, CSV or Parquet: one example a line or row.",
            )
        try:
            text = _decoded(line, number, encoding)
        except UnicodeDecodeError as error:
            if number == 1 and (other := _no_text(line)):
                raise DataError(f"{where} is no text: {other[0]}.", "a table as text", other[1]) from None
            utf16 = _is_utf_16(line, number)
            named = f" nor {encoding}" if encoding != UTF_8 else ""
            what = f"has byte 0x{line[error.start]:02x} that is not UTF-8{named}, line {number}"
            save = "Save the file as UTF-8: in Excel 'CSV UTF-8'; elsewhere `iconv -f ENCODING -t UTF-8 FILE > NEW`."
            raise DataError(
                f"{where} {'is UTF-16' if utf16 else what}.",
                "text in UTF-8" + ("" if utf16 else ", or its encoding named"),
                save
                if utf16
                else "Name the encoding: --encoding windows-1252 (data.encoding) is mostly that of Excel's plain 'CSV'. "
                + save,
            ) from error
        yield text.removeprefix("\ufeff") if number == 1 else text


def _decoded(line: bytes, number: int, encoding: str) -> str:
    try:
        return line.decode(UTF_8)
    except UnicodeDecodeError:
        if encoding == UTF_8 or _is_utf_16(line, number):
            raise
        return line.decode(encoding)


def _no_text(line: bytes) -> tuple[str, str] | None:
    """What a file is by its first bytes, and what to do; None for what may be text in some encoding."""
    if line.startswith(b"PK\x03\x04"):
        return (
            "by its first bytes it is an Excel workbook or a zip archive",
            "Name an Excel workbook .xlsx; unpack an archive.",
        )
    if b"\x00" in line and not _is_utf_16(line, 1):
        return "it holds bytes of 0", "See whether it is the right file, or its suffix the right one."
    return None


def _is_utf_16(line: bytes, number: int) -> bool:
    return number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff")


def _bounded(raw: Iterable[bytes]) -> Iterable[bytes]:
    """Lines of a file of which none takes more memory than it may; what is no file comes as it is."""
    readline = getattr(raw, "readline", None)
    return raw if readline is None else iter(lambda: readline(MAX_LINE_BYTES + 1), b"")


def csv_rows(lines: Iterable[str], where: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV, the header first, each with the number of its first line; blank lines are passed over.

    A comma-separated file whose header has semicolons (or tabs) and no comma is read with these.

    Raises:
        DataError: The file is empty, a column name stands twice, or a row has more or fewer fields than the header.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    source = iter(lines)
    first = next(source, "")
    reader = csv.reader(_chain(first, source), delimiter=separator_of(first, separator), strict=True)
    header: list[str] | None = None
    start = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if "new-line character" in str(error):
                raise DataError(
                    f"{where}, line {start}: lines end in CR alone, or one stands in a field without quotes.",
                    "lines that end in LF or CRLF",
                    "Save the table with such line ends.",
                ) from error
            raise DataError(
                f"{where}, line {start}: the row that starts here cannot be read ({error}).",
                'fields with quotes, separators or line ends inside stand in double quotes, and a quote is written ""',
                "Correct the quotes on that line, or write the table again with a CSV library.",
            ) from error
        if row:
            if header is None:
                header = row
                _check_header(header, where)
            elif len(row) != len(header):
                raise DataError(
                    f"{where}, line {start}: {len(row)} fields{_further(reader, len(header))}.",
                    f"{len(header)} fields, as in the header ({', '.join(map(repr, header[:8]))})",
                    "Put text that holds the separator in double quotes, or remove the row.",
                )
            yield start, row
        start = reader.line_num + 1
    if header is None:
        raise empty_file(where)


def _further(reader: Any, width: int) -> str:
    """Tells where else rows are as wrong, so that all can be mended at once."""
    found, start = [], reader.line_num + 1
    with suppress(StopIteration, csv.Error, DataError):
        for _ in range(LOOKED_AT_FURTHER):
            row = next(reader)
            if row and len(row) != width:
                found.append(start)
            start = reader.line_num + 1
    if not found:
        return ""
    more = f" and {len(found) - TOLD:,} more" if len(found) > TOLD else ""
    return f"; {'line' if len(found) == 1 else 'lines'} {', '.join(map(str, found[:TOLD]))}{more} too"


def separator_of(header: str, separator: str) -> str:
    """The separator of a CSV, by its first line: a semicolon or a tab where a comma was expected and none stands there."""
    if separator != "," or "," in header:
        return separator
    return next((other for other in (";", "\t") if other in header), separator)


def json_objects(lines: Iterable[str], where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of a JSON Lines file, each with its line number; blank lines are passed over.

    Raises:
        DataError: A line is no JSON object.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _not_an_object(where, number, f"is not JSON ({error})") from error
        if not isinstance(value, dict):
            raise _not_an_object(where, number, f"is a JSON {_json_type(value)}")
        if "\\ud" in line.lower() and not _encodes(value):
            raise _not_an_object(where, number, "has one half of a surrogate pair, which is no character")
        yield number, value


def empty_file(where: str) -> DataError:
    """The error for a file that has no rows."""
    return DataError(f"{where} has no rows.", "a table with one example a row", "Check that the export wrote its rows.")


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _check_header(header: list[str], where: str) -> None:
    twice = sorted(name for name, n in Counter(header).items() if n > 1)
    if twice:
        raise DataError(
            f"{where}: the header names {', '.join(map(repr, twice))} more than once.",
            "a first line with a name for each column, each once",
            "Give every column its own name.",
        )


def _encodes(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_type(value: Any) -> str:
    return {list: "list", str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")


def _not_an_object(where: str, number: int, what: str) -> DataError:
    return DataError(
        f"{where}, line {number}: the line {what}.",
        'one JSON object a line, such as {"text": "...", "labels": ["..."]}',
        "Correct the line; a file that holds one big JSON list must be written as JSON Lines.",
    )
