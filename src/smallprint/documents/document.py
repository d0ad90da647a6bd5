"""What a file becomes: its text, and where pages and headings are in it. Plain frozen values; a paragraph is a line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What a file may cost. What is larger is refused, not cut.

    Attributes:
        file_mb: Of a file, in megabytes.
        characters: Of its text.
        pages: Of a PDF.
        seconds: For reading one.
        memory_mb: Of the process that reads a PDF, a DOCX or an archive.
        archive_files: In an archive.
        archive_mb: Of an archive, unpacked.
    """

    file_mb: float = 50
    characters: int = 20_000_000
    pages: int = 2_000
    seconds: float = 60
    memory_mb: int = 1_500
    archive_files: int = 1_000
    archive_mb: float = 200


@dataclass(frozen=True)
class Document:
    """One file that was read.

    Attributes:
        name: Its path, in an archive ARCHIVE/PATH.
        text: All of it; a line is a paragraph, heading, item or cell.
        pages: Where each page of a PDF begins in `text`; empty where there are none.
        headings: Where headings stand, `(start, end)`, in order.
        notes: What a reader should know of how it was read.
        marked: Whether the file itself marks headings (HTML, DOCX, Markdown); else they are told by their form.
    """

    name: str
    text: str
    pages: list[int] = field(default_factory=list)
    headings: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    marked: bool = False

    def page_of(self, position: int) -> int | None:
        """The page at a position, from 1; None where there are no pages."""
        return bisect_right(self.pages, position) or 1 if self.pages else None

    def heading_of(self, position: int) -> str | None:
        """The heading above a position, or None."""
        i = bisect_right(self.headings, (position, len(self.text) + 1)) - 1
        return self.text[slice(*self.headings[i])] if i >= 0 else None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict, which `from_dict` takes back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Document:
        """The document that `to_dict` was called of."""
        headings = [(int(start), int(end)) for start, end in tree["headings"]]
        pages, notes = [*map(int, tree["pages"])], [*map(str, tree["notes"])]
        return cls(tree["name"], tree["text"], pages, headings, notes, bool(tree["marked"]))


class Builder:
    """Gathers paragraphs to a text; white space within one becomes single spaces.

    Args:
        notes: What is known before the first paragraph.
        marked: Whether the file marks headings.
    """

    def __init__(self, notes: Sequence[str] = (), marked: bool = False) -> None:
        self.parts: list[str] = []
        self.length = 0
        self.pages: list[int] = []
        self.headings: list[tuple[int, int]] = []
        self.notes, self.marked = list(notes), marked

    def add(self, paragraph: str, heading: bool = False) -> None:
        """Adds a paragraph, unless it is blank."""
        line = " ".join(paragraph.split())
        if not line:
            return
        if heading:
            self.headings.append((self.length, self.length + len(line)))
        self.parts.append(line)
        self.length += len(line) + 1

    def build(self, name: str) -> Document:
        """The document of all that was added."""
        return Document(name, "\n".join(self.parts), self.pages, self.headings, self.notes, self.marked)


__all__ = ["Builder", "Document", "Limits"]
