"""One step ahead: what comes next is made while the last is worked on. In: an iterator. Out: the same things in the same order.

For steps that leave Python (Polars, NumPy, hashes, files); it makes nothing faster that runs in Python. One thread, one thing held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Thing = TypeVar("Thing")
_END = object()


def read_ahead(things: Iterable[Thing]) -> Iterator[Thing]:
    """Yields what `things` gives; an error in making one is raised when it would have come."""
    source = iter(things)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, source, _END)
        while True:
            thing = coming.result()
            if thing is _END:
                return
            coming = thread.submit(next, source, _END)
            yield thing  # type: ignore[misc]


__all__ = ["read_ahead"]
