"""What a person sees while it works: one line a step on standard error. In: words. Out: nothing to compute with.

Machine-readable output goes to standard output and never passes here; texts of examples never pass here either.
"""

from __future__ import annotations

from typing import Protocol


class Say(Protocol):
    """Takes one line for a person."""

    def __call__(self, line: str) -> None:
        """Shows the line."""


def say_nothing(line: str) -> None:
    """Drops the line: the API's default."""


def counted(n: int, word: str) -> str:
    """Gives a number with its word: '1 row', '1,200 rows'."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"
