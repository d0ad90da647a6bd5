"""Writes a section of README.md, or of a page of docs, between its two marks, `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS_PAGE = ROOT / "docs" / "guide" / "results.md"


def write_section(name: str, content: str, page: Path = README) -> None:
    """Replaces what stands between the marks; raises ValueError where the page has no such marks."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if begin not in text or end not in text:
        raise ValueError(f"{page.name} has no marks for {name}")
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    page.write_text(f"{head}{begin}\n{content}\n{end}{tail}", encoding="utf-8")
