"""Memory that was freed goes back to the system. In: nothing. Out: nothing; a process that holds less.

The C library keeps what NumPy and Arrow free for what they may want next: several times a batch, where batches come one after the other.
Other allocators (Polars has one of its own) are left alone, and so is a system without glibc.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def give_back() -> None:
    """Gives freed memory back; a tenth of a millisecond where there is little."""
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


__all__ = ["give_back"]
