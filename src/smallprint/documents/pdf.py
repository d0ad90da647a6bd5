"""PDF files. In: bytes. Out: a document with pages: lines joined to paragraphs, hyphens at their ends undone, no running heads.

It reads the text layer; pictures of text need optical character recognition, which is for others.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from statistics import median
from typing import Any

from smallprint.core.errors import DocumentError, MissingExtraError
from smallprint.documents.document import Builder, Document, Limits
from smallprint.documents.plain import looks_like_heading

NUMBERS = re.compile(r"\d+")
HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010\ufffe\x02]$")
ITEM = re.compile(r"^(?:[•●▪◦*–-]|\(?(?:[a-z]|[ivx]{1,4}|\d{1,2})[.)]|\d+(?:\.\d+)+\.?)\s")
EDGE_LINES = 2  # of a page's top and bottom that may be running heads
WORD_OF_COMPOUND = (
    "self",
    "non",
    "third",
    "sub",
    "co",
    "pre",
    "re",
    "e",
    "on",
    "opt",
    "up",
    "user",
    "end",
    "well",
    "non",
)


def read_pdf(content: bytes, name: str, limits: Limits) -> Document:
    """Gives the document of a PDF file.

    Raises:
        DocumentError: It is encrypted, damaged, has too many pages, or no text layer.
        MissingExtraError: pypdfium2 is not installed.
    """
    try:
        import pypdfium2
    except ImportError:
        raise MissingExtraError(
            "PDF files are read by the package 'pypdfium2', which is not installed.",
            "pypdfium2",
            "pip install 'smallprint[documents]'",
        ) from None
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
        size += sum(map(len, lines))
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


def _lines(pdf: Any, number: int, pypdfium2: Any) -> list[str]:
    try:
        page = pdf[number]
        text = page.get_textpage().get_text_bounded()
    except pypdfium2.PdfiumError:
        return []
    return [line.strip() for line in text.replace("\r", "").split("\n") if line.strip()]


def _key(line: str) -> str:
    return NUMBERS.sub("#", line)


def _edge(i: int, lines: list[str]) -> str:
    return "top" if i < EDGE_LINES else "bottom" if i >= len(lines) - EDGE_LINES else ""


def _running_heads(pages: list[list[str]]) -> set[tuple[str, str]]:
    """Lines that stand at the same edge of most pages, numbers not counted."""
    seen: Counter[tuple[str, str]] = Counter()
    full = [lines for lines in pages if lines]
    for lines in full:
        seen.update({(_key(line), edge) for i, line in enumerate(lines) if (edge := _edge(i, lines))})
    least = max(2, 0.6 * len(full))
    numbers = {("#", "top"), ("#", "bottom")} if len(full) > 1 else set()
    return {key for key, times in seen.items() if times >= least} | numbers


def _join(builder: Builder, pages: list[list[str]]) -> None:
    """Joins lines to paragraphs: one ends where a line is short, or the next begins with an item's mark or a heading."""
    lengths = [len(line) for lines in pages for line in lines]
    usual = median(sorted(lengths)[len(lengths) // 2 :]) if lengths else 0
    waiting = ""
    for lines in pages:
        builder.page() if not waiting else None
        if waiting:
            builder.pages.append(builder.length + len(waiting) + 1)  # the paragraph goes on here
        for line, following in pairwise([*lines, ""]):
            waiting = _glued(waiting, line)
            ended = len(line) < 0.75 * usual and (
                line[-1] in '.!?:;"”)' or looks_like_heading(line) or len(line) < 0.5 * usual
            )
            if ended or ITEM.match(following) or (following and looks_like_heading(following) and line[-1] in ".!?:;"):
                builder.add(waiting, heading=looks_like_heading(waiting))
                waiting = ""
    builder.add(waiting, heading=looks_like_heading(waiting))


def _glued(before: str, line: str) -> str:
    if not before:
        return line
    if HYPHEN.search(before) and line[0].islower():
        word = before[:-1].rsplit(" ", 1)[-1].lower()
        return before + line if word in WORD_OF_COMPOUND else before[:-1] + line
    return f"{before} {line}"


__all__ = ["read_pdf"]
