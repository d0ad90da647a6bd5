"""One step ahead: what comes next is made while the last is worked on. In: an iterator. Out: the same things in the same order.

For steps that leave Python (Polars, NumPy, hashes, files); it makes nothing faster that runs in Python. One thread, few things held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Thing = TypeVar("Thing")
Made = TypeVar("Made")
_END = object()


def read_ahead(things: Iterable[Thing], held: int = 1) -> Iterator[Thing]:
    """Yields what `things` gives; an error in making one is raised when it would have come. The first is not made ahead.

    Args:
        things: Made one after the other, in a thread.
        held: How many may wait: more than one where they are taken by fits and starts.
    """
    source = iter(things)
    first: Any = next(source, _END)
    if first is _END:
        return
    yield first  # who wants no more has caused no more
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = deque(thread.submit(next, source, _END) for _ in range(held))
        while True:
            thing = coming.popleft().result()
            if thing is _END:
                return
            coming.append(thread.submit(next, source, _END))
            yield thing  # type: ignore[misc]


def map_ahead(make: Callable[[Thing], Made], things: Iterable[Thing]) -> Iterator[Made]:
    """Yields `make` of each thing, in order: made in a thread, while here the one before is worked on and the one after is drawn.

    An error in drawing a thing is raised before what was made of the last one is given. The first is not made ahead.
    """
    source = iter(things)
    first: Any = next(source, _END)
    if first is _END:
        return
    yield make(first)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = None
        for thing in source:
            following = thread.submit(make, thing)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()


__all__ = ["map_ahead", "read_ahead"]
