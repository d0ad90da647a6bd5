"""Text files and Markdown. In: bytes. Out: a document, its characters those of the file, but for marks of Markdown."""

from __future__ import annotations

import codecs
import re
from itertools import pairwise

from smallprint.core.errors import DocumentError
from smallprint.documents.document import Builder, Document

BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*)")
LINK = r"\[([^\[\]\n]*+)\]\((?:[^()\n]++|\([^()\n]*+\))*+\)"
# each is linear in its text, whatever that holds: none looks past a mark like the one that it begins with
MARKS = (
    (re.compile(rf"!{LINK}"), r"\1"),  # pictures, which may stand in links: what is read of them
    (re.compile(LINK), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)((?:(?!\1).)++)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])[*_](?=\S)([^*_\n]++)(?<=\S)[*_](?![\w*])"), r"\1"),
    (re.compile(r"`([^`\n]++)`"), r"\1"),
)
ITEM = re.compile(r"^\s*(?:[-*+]|>)\s+")
NUMBERED = re.compile(r"^\s*\d{1,3}[.)]\s")
NARROWEST, WIDEST = 40, 100  # characters of a line at which a text is broken
BROKEN_LINES, BROKEN_SHARE = 3, 0.8  # how many lines, and which share of those without a stop, must be full
RULE = re.compile(r"\s*+(?:(?:[-*_=]\s*+){3,}+|\|?\s*+(?::?-++:?\s*+\|\s*+)++:?-*+:?\s*+)")


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Gives the characters of bytes that are no UTF-8, for `bytes.decode`."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


FALLBACK = "smallprint.windows-1252"
codecs.register_error(FALLBACK, _as_windows_1252)


def decode(content: bytes, name: str) -> tuple[str, list[str]]:
    """Gives text from bytes, and notes on how: UTF-8, UTF-16 with its mark, else Windows-1252, where it is mixed for what is no UTF-8.

    Raises:
        DocumentError: It is no text.
    """
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if content.startswith(mark):
            try:
                return content.decode(encoding), []
            except UnicodeDecodeError:
                break
    if BINARY.search(content[:65_536]) or b"\x00" in content:
        raise DocumentError(
            f"{name} is no text: it holds bytes that no text has.", "txt, md, html, docx or pdf", "Convert it."
        )
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as error:
        text = content.decode("utf-8", FALLBACK)
        whole = text == content.decode("cp1252", "replace")
        how = "and was read as Windows-1252" if whole else "throughout; the rest was read as Windows-1252"
        return text, [f"It is not UTF-8 {how} (first at byte {error.start:,}): letters with accents may be wrong."]


def read_text(content: bytes, name: str) -> Document:
    """Gives a document of a text file; a short line in capitals, or one with a number and no stop, counts as heading.

    Lines that were broken at a width are joined to paragraphs again.

    Raises:
        DocumentError: It is no text.
    """
    text, notes = decode(content, name)
    builder = Builder(notes)
    lines = text.splitlines()
    width = _broken_at(lines)
    if width:
        builder.notes.append(f"Its lines are broken at {width} characters, and were joined to paragraphs.")
        lines = _joined(lines, width)
    for line in lines:
        builder.add(line, looks_like_heading(line))
    return builder.build(name)


def _broken_at(lines: list[str]) -> int:
    """Gives the width at which a text's lines are broken, or 0.

    They are if no line is longer than usual for that, and lines that end without a stop end where the next word had no room.
    """
    width = max((len(line.rstrip()) for line in lines), default=0)
    if not NARROWEST <= width <= WIDEST:
        return 0
    open_ends = [(line, after) for line, after in pairwise(lines) if after.strip() and line.rstrip()[-1:].isalnum()]
    full = sum(_no_room(line, after, width) for line, after in open_ends)
    return width if full >= max(BROKEN_LINES, BROKEN_SHARE * len(open_ends)) else 0


def _no_room(line: str, after: str, width: int) -> bool:
    return len(line.rstrip()) + 1 + len(after.split(maxsplit=1)[0]) > width


def _joined(lines: list[str], width: int) -> list[str]:
    """Gives paragraphs of lines that were broken at a width; items and blank lines part them."""
    joined: list[list[str]] = []
    before = ""
    for line in lines:
        goes_on = before.strip() and line.strip() and _no_room(before, line, width)
        if goes_on and not ITEM.match(line) and not NUMBERED.match(line):
            joined[-1] += [line.strip()] if before.rstrip().endswith("-") else [" ", line.strip()]
        else:
            joined.append([line.rstrip()])
        before = line
    return ["".join(parts) for parts in joined]


def read_markdown(content: bytes, name: str) -> Document:
    """Gives the same of Markdown, without its marks; lines that follow each other are one paragraph.

    Raises:
        DocumentError: It is no text.
    """
    text, notes = decode(content, name)
    builder = Builder(notes, marked=True)
    waiting: list[str] = []

    def flush() -> None:
        builder.add(_plain(" ".join(waiting)))
        waiting.clear()

    for line in text.splitlines():
        if heading := HEADING.match(line):
            flush()
            builder.add(_plain(heading[1].rstrip().rstrip("#")), heading=True)
        elif not line.strip() or RULE.fullmatch(line) or line.lstrip().startswith("```"):
            flush()
        else:
            if ITEM.match(line) or NUMBERED.match(line):
                flush()
            waiting.append(ITEM.sub("", line).strip("| ").replace(" | ", " "))
            if line.endswith("  "):
                flush()
    flush()
    return builder.build(name)


def looks_like_heading(line: str) -> bool:
    """Says whether a line of a plain text is likely a heading: short, no stop at its end, in capitals or numbered."""
    line = line.strip()
    if not 2 <= len(line) <= 90 or line[-1] in ".;,:!?" or not any(c.isalpha() for c in line):
        return False
    words = [word for word in line.split() if word[0].isalpha() and len(word) > 3]
    return (
        line.isupper()
        or bool(re.match(r"^(\d+(\.\d+)*\.?|[IVX]+\.|Article|Section)\s", line))
        or (bool(words) and all(word[0].isupper() for word in words) and len(line) <= 60)
    )


def _plain(text: str) -> str:
    for pattern, instead in MARKS:
        text = pattern.sub(instead, text)
    return text


__all__ = ["decode", "looks_like_heading", "read_markdown", "read_text"]
