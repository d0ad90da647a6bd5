"""What a check found, and the table that it looks at. Plain frozen values: rows come in, findings go out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import polars as pl

Severity = Literal["error", "warning", "note"]
GRAVEST: tuple[Severity, ...] = ("error", "warning", "note")
SHOWN, EXCERPT = 50, 160


@dataclass(frozen=True)
class Place:
    """One row that a finding is about.

    Attributes:
        split: Its split.
        row: Number in its file, from 0.
        where: The same in words: 'train.csv, line 14'.
        text: Beginning of its text.
        detail: What is odd about it.
    """

    split: str
    row: int
    where: str
    text: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        kind: What it is, in one word with hyphens: the same in every version.
        severity: 'error' stops a training or makes its scores worthless, 'warning' makes them worse, 'note' is worth knowing.
        found: In words, with numbers.
        do: What to do about it.
        count: How many rows, pairs or labels.
        places: The first of the rows.
    """

    kind: str
    severity: Severity
    found: str
    do: str
    count: int = 0
    places: list[Place] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True)
class Rows:
    """All rows of all splits, one under the other.

    Attributes:
        frame: `split`, `row` (number in its file, from 0), `text` (may be null), `labels` (list of names; null where they
            could not be read) and `group` (may be null).
        place: A split's row in words.
        label_names: All labels; empty where they could not be read.
        task: binary, multiclass or multilabel; '' where it could not be told.
    """

    frame: pl.DataFrame
    place: Callable[[str, int], str]
    label_names: list[str]
    task: str

    @property
    def splits(self) -> list[str]:
        """The splits that have rows, in order."""
        present = self.frame["split"].unique().to_list()
        return [split for split in ("train", "validation", "test") if split in present]

    def places(self, frame: pl.DataFrame, details: Sequence[str] | None = None, most: int = SHOWN) -> list[Place]:
        """Gives the first rows of a part of `frame` (columns split, row, text) as places."""
        first = frame.head(most)
        told = list(details[:most]) if details is not None else [""] * first.height
        found = zip(first["split"], first["row"], first["text"], told, strict=True)
        return [
            Place(split, int(row), self.place(split, int(row)), excerpt(text), detail)
            for split, row, text, detail in found
        ]


def excerpt(text: str | None) -> str:
    """Gives the beginning of a text in one line."""
    line = " ".join((text or "")[: 2 * EXCERPT].split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


__all__ = ["Finding", "Place", "Rows", "Severity", "excerpt"]
