"""What a check found, and the table that it looks at. Plain frozen values: rows come in, findings go out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.errors import DataError
from smallprint.core.freed import give_back

Severity = Literal["error", "warning", "note"]
GRAVEST: tuple[Severity, ...] = ("error", "warning", "note")
SHOWN, EXCERPT = 50, 160
AT_ONCE = 1024  # texts
GIVE_BACK_EVERY = 4  # of these


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
        at_least: Looking ended before all were counted: there may be more than `count`.
    """

    kind: str
    severity: Severity
    found: str
    do: str
    count: int = 0
    places: list[Place] = field(default_factory=list)
    at_least: bool = False

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True)
class Rows:
    """All rows of all splits, one under the other.

    Attributes:
        frame: `split`, `row` (number in its file, from 0), `labels` (list of names; null where they could not be read),
            `group` (may be null), and `text` (may be null) where it is held in memory.
        place: A split's row in words.
        label_names: All labels; empty where they could not be read.
        task: binary, multiclass or multilabel; '' where it could not be told.
        read: Gives the texts in order, batch by batch, as often as it is called; None where `frame` has them.
    """

    frame: pl.DataFrame
    place: Callable[[str, int], str]
    label_names: list[str]
    task: str
    read: Callable[[], Iterator[pl.Series]] | None = field(default=None, repr=False)

    def texts(self) -> Iterator[pl.Series]:
        """Yields all texts in the order of `frame`, some thousand at a time.

        Raises:
            DataError: There are more or fewer than when the rows were first read.
        """
        parts = iter([self.frame["text"]]) if self.read is None else self.read()
        n = given = 0
        for part in parts:
            n += len(part)
            if n > self.frame.height:
                break
            for start in range(0, len(part), AT_ONCE):
                yield part.slice(start, AT_ONCE)
                given += 1
                if self.read is not None and given % GIVE_BACK_EVERY == 0:
                    give_back()
        if n != self.frame.height:
            raise changed("The data")

    def texts_at(self, positions: NDArray[Any]) -> Iterator[tuple[int, pl.Series]]:
        """Yields the texts of some rows, some thousand at a time, and which of `positions` is the first of them.

        Args:
            positions: In `frame`, ascending, `[n]`.
        """
        done, start = 0, 0
        for part in self.texts():
            end = int(np.searchsorted(positions, start + len(part)))
            if end > done:
                yield done, part.gather(positions[done:end] - start)
            done, start = end, start + len(part)
            if done == len(positions):
                return

    def in_memory(self) -> Rows:
        """Gives the same rows with all their texts in `frame`."""
        if "text" in self.frame.columns:
            return self
        text = pl.concat(self.texts()) if self.frame.height else pl.Series([], dtype=pl.String)
        return replace(self, frame=self.frame.with_columns(text.alias("text")), read=None)

    def excerpts(self, findings: list[Finding]) -> list[Finding]:
        """Gives findings with the beginning of the text in each place that has none."""
        if "text" in self.frame.columns:
            return findings
        wanted = {(place.split, place.row) for finding in findings for place in finding.places if not place.text}
        if not wanted:
            return findings
        keys = pl.DataFrame(list(wanted), schema={"split": pl.String, "row": pl.UInt32}, orient="row")
        here = (
            self.frame.select(pl.col("split").cast(pl.String), "row")
            .with_row_index("at")
            .join(keys, on=["split", "row"])
        )
        here = here.sort("at")
        told: dict[tuple[str, int], str] = {}
        for first, texts in self.texts_at(here["at"].to_numpy().astype(np.int64)):
            part = here.slice(first, len(texts))
            told |= {
                (split, row): excerpt(text) for split, row, text in zip(part["split"], part["row"], texts, strict=True)
            }
        return [
            replace(found, places=[replace(p, text=p.text or told.get((p.split, p.row), "")) for p in found.places])
            for found in findings
        ]

    @property
    def splits(self) -> list[str]:
        """The splits that have rows, in order."""
        present = self.frame["split"].unique().to_list()
        return [split for split in ("train", "validation", "test") if split in present]

    def places(self, frame: pl.DataFrame, details: Sequence[str] | None = None, most: int = SHOWN) -> list[Place]:
        """Gives the first rows of a part of `frame` as places; `excerpts` adds what they say where it is not in memory."""
        first = frame.head(most)
        told = list(details[:most]) if details is not None else [""] * first.height
        texts = first["text"] if "text" in first.columns else [""] * first.height
        found = zip(first["split"], first["row"], texts, told, strict=True)
        return [
            Place(split, int(row), self.place(split, int(row)), excerpt(text), detail)
            for split, row, text, detail in found
        ]


def changed(name: str) -> DataError:
    """The error for data that were not the same all the time."""
    return DataError(
        f"{name} changed while it was read.",
        "data that stays as it is",
        "Check it once more when nothing writes to it.",
    )


def excerpt(text: str | None) -> str:
    """Gives the beginning of a text in one line."""
    line = " ".join((text or "")[: 2 * EXCERPT].split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


__all__ = ["Finding", "Place", "Rows", "Severity", "changed", "excerpt"]
