"""How messages tell names. In: what was given and what is known. Out: words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str]) -> str:
    """'Did you mean ...?' with the known name nearest to a wrong one, or ''."""
    lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f"Did you mean {lower[near[0]]!r}?" if near else ""


def quoted(names: Sequence[str], most: int = 12) -> str:
    """Names in quotes, joined by commas; a long list is cut and says so."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


__all__ = ["nearest", "quoted"]
