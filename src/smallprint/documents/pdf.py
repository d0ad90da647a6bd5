"""PDF files. In: bytes. Out: a document with pages: lines joined to paragraphs, hyphens at their ends undone, no running heads.

It reads the text layer; pictures of text need optical character recognition, which is for others.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from smallprint.core.errors import DocumentError
from smallprint.core.extras import import_extra
from smallprint.documents.document import Builder, Document, Limits
from smallprint.documents.plain import looks_like_heading

NUMBERS = re.compile(r"\d+")
HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010\ufffe\x02]$")
ITEM = re.compile(r"^(?:[•●▪◦*–-]|\(?(?:[a-z]|[ivx]{1,4}|\d{1,2})[.)]|\d+(?:\.\d+)+\.?)\s")
ENDS = '.!?:;"\u201d\u2019)'
WIDER, FULL = 1.25, 0.85  # times the usual step between lines; share of the width
LARGER = 1.05  # times the usual height: a heading of two lines
KERNED = re.compile(r"[^\W\d_](?=[ATVWY])|[ATVWY](?=[^\W\d_])")
NARROW = 0.08  # of the height: a gap within a word is none
EDGE_LINES = 2  # of a page's top and bottom that may be running heads
_COMPOUND = "self non third sub co pre re e on opt up user end well"
WORD_OF_COMPOUND = frozenset(_COMPOUND.split())


def read_pdf(content: bytes, name: str, limits: Limits) -> Document:
    """Gives the document of a PDF file.

    Raises:
        DocumentError: It is encrypted, damaged, has too many pages, or no text layer.
        MissingExtraError: pypdfium2 is not installed.
    """
    pypdfium2 = import_extra("pypdfium2", "PDF files need", "documents")
    try:
        pdf = pypdfium2.PdfDocument(content)
        count = len(pdf)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise DocumentError(
                f"{name} is encrypted and asks for a password.",
                "a PDF that opens without one",
                "Save it without a password.",
            ) from None
        raise DocumentError(f"{name} is no whole PDF ({error}).", "a PDF", "Print or save it as PDF again.") from None
    if count > limits.pages:
        raise DocumentError(
            f"{name} has {count:,} pages.", f"at most {limits.pages:,}", "Split it, or raise the limit."
        )
    pages, size = [], 0
    for number in range(count):
        lines = _lines(pdf, number, pypdfium2)
        size += sum(len(line.text) for line in lines)
        if size > limits.characters:
            raise DocumentError(
                f"{name} has more than {limits.characters:,} characters.", "a document of usual size", "Split it."
            )
        pages.append(lines)
    if not size:
        raise DocumentError(
            f"{name} has {count:,} pages and no text layer: they are pictures.",
            "a PDF whose text can be marked and copied",
            "Run optical character recognition over it first (ocrmypdf, for instance).",
        )
    blank = sum(not lines for lines in pages)
    builder = Builder()
    if blank:
        builder.notes.append(f"{blank:,} of {count:,} pages have no text layer; nothing was read of them.")
    heads = _running_heads(pages)
    _join(
        builder,
        [[line for i, line in enumerate(lines) if (_key(line), _edge(i, lines)) not in heads] for lines in pages],
    )
    return builder.build(name)


@dataclass(frozen=True)
class Line:
    """One line of a page, or two that pdfium has joined at a hyphen: its text, and where it stands, in points from the lower left.

    Attributes:
        text: Without white space around it.
        top: Of its first character.
        last_top: Of its last; lower where there are two lines.
        left: Of its first character.
        right: Of its last.
        height: Of its first character's font.
    """

    text: str
    top: float
    last_top: float
    left: float
    right: float
    height: float


def _lines(pdf: Any, number: int, pypdfium2: Any) -> list[Line]:
    try:
        text = pdf[number].get_textpage()
        content = text.get_text_range()
        lines, start = [], 0
        for part in content.splitlines(keepends=True):
            kept = [i for i, character in enumerate(part, start) if not character.isspace()]
            start += len(part)
            if kept:
                first, last = text.get_charbox(kept[0], loose=True), text.get_charbox(kept[-1], loose=True)
                whole = _spaced(part, start - len(part), text)
                height = first[3] - first[1]
                joined = first[3] - last[3] > height / 2
                tops = (first[3], last[3]) if joined else (max(first[3], last[3]),) * 2
                lines.append(Line(_unbroken(whole), *tops, first[0], last[2], height))
        return lines
    except pypdfium2.PdfiumError:
        return []


def _spaced(part: str, start: int, text: Any) -> str:
    """Puts spaces where pdfium dropped them because kerning had made them narrow: beside A, T, V, W, Y."""
    cuts = []
    for match in KERNED.finditer(part):
        one, other = (text.get_charbox(start + match.start() + i, loose=True) for i in (0, 1))
        if NARROW * (one[3] - one[1]) < other[0] - one[2] < one[3] - one[1]:
            before = text.get_charbox(start + match.start() - 1, loose=True) if match.start() else one
            if match.start() == 0 or one[0] - before[2] < NARROW / 4 * (one[3] - one[1]):  # no text with wide letters
                cuts.append(match.start() + 1)
    return " ".join(part[a:b] for a, b in pairwise([0, *cuts, len(part)]))


def _unbroken(part: str) -> str:
    """Undoes hyphens at ends of lines where pdfium has joined the lines and left a mark for them."""
    pieces = part.strip().split("\ufffe")
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = _glued(f"{joined}-", piece) if piece else f"{joined}-"
    return joined


def _key(line: Line) -> str:
    return NUMBERS.sub("#", line.text)


def _edge(i: int, lines: list[Line]) -> str:
    return "top" if i < EDGE_LINES else "bottom" if i >= len(lines) - EDGE_LINES else ""


def _running_heads(pages: list[list[Line]]) -> set[tuple[str, str]]:
    """Lines that stand at the same edge of most pages, numbers not counted."""
    seen: Counter[tuple[str, str]] = Counter()
    full = [lines for lines in pages if lines]
    for lines in full:
        seen.update({(_key(line), edge) for i, line in enumerate(lines) if (edge := _edge(i, lines))})
    least = max(2, 0.6 * len(full))
    numbers = {("#", "top"), ("#", "bottom")} if len(full) > 1 else set()
    return {key for key, times in seen.items() if times >= least} | numbers


def _join(builder: Builder, pages: list[list[Line]]) -> None:
    """Joins lines to paragraphs.

    One ends where the gap to the next line is wider than usual; where no gap is, at a line that stops short after a full stop;
    and before an item's mark.
    """
    steps = [one.last_top - other.top for lines in pages for one, other in pairwise(lines) if one.last_top > other.top]
    usual = median(steps) if steps else 0.0
    apart = sum(step > WIDER * usual for step in steps) >= 0.05 * len(steps)  # paragraphs stand apart here
    height = median([line.height for lines in pages for line in lines] or [0.0])
    edge = max((line.right for lines in pages for line in lines), default=0.0)
    waiting = ""

    def flush() -> None:
        nonlocal waiting
        builder.add(waiting, heading=looks_like_heading(waiting))
        waiting = ""

    ended = None  # the last line of the page before
    for lines in pages:
        if waiting and lines and not _goes_on(ended, lines[0], waiting, edge):
            flush()
        builder.pages.append(builder.length + (len(waiting) + 1 if waiting else 0))
        for i, line in enumerate(lines):
            waiting = _glued(waiting, line.text)
            following = lines[i + 1] if i + 1 < len(lines) else None
            if following is None:  # the next page may go on with it
                ended = line
                continue
            step = line.last_top - following.top
            if min(line.height, following.height) > LARGER * height and abs(line.height - following.height) < 0.5:
                step *= height / line.height  # lines of a large heading stand further apart
            short = not apart and line.right < FULL * edge and (line.text[-1] in ENDS or looks_like_heading(line.text))
            item = not apart and ITEM.match(following.text)
            if step > WIDER * usual or step < 0 or short or item:
                flush()
    flush()


def _goes_on(line: Line | None, following: Line, waiting: str, edge: float) -> bool:
    """Says whether the first line of a page goes on with the last of the page before.

    It does if that has no end and it begins small, or if one word more had no room there.
    """
    if line is None or (waiting[-1] not in ENDS and following.text[0].islower()):
        return True
    if (
        looks_like_heading(waiting)
        or (waiting[-1] in ENDS and not following.text[0].islower())
        or ITEM.match(following.text)
    ):
        return False
    word = following.text.split(" ", 1)[0]
    return line.right + (len(word) + 1) * (line.right - line.left) / max(len(line.text), 1) > 0.97 * edge


def _glued(before: str, line: str) -> str:
    if not before:
        return line
    if HYPHEN.search(before) and line[0].islower():
        word = before[:-1].rsplit(" ", 1)[-1].lower()
        return before + line if word in WORD_OF_COMPOUND else before[:-1] + line
    return f"{before} {line}"


__all__ = ["read_pdf"]
