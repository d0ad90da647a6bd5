"""Standard error without what Ray's core writes there and means nothing: lines that look like a crash. All other lines go through.

The core writes past Python, so the file descriptor itself is led through a pipe while Ray works. Standard error that is closed, or whose
reader has gone, ends nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# an actor whose arguments lie in the object store may not be restarted: the error that then comes is told by itself
IDLE = re.compile(rb"\.cc:\d+: Actor with class name: .*constructor arguments in the object store")
ENOUGH_SECONDS = 2.0  # for the last lines, should a process still hold the pipe


@contextmanager
def without_idle_lines() -> Iterator[None]:
    """Leaves out `IDLE` lines of this process's standard error while it lasts."""
    _flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed: there is nothing to leave out
        yield
        return
    read, write = os.pipe()
    os.dup2(write, 2)
    os.close(write)

    def pass_on() -> None:
        with os.fdopen(read, "rb", buffering=0) as source:
            rest = b""
            while part := source.read(65_536):
                *lines, rest = (rest + part).split(b"\n")
                passed = b"".join(line + b"\n" for line in lines if not IDLE.search(line))
                with contextlib.suppress(OSError):  # who writes must not wait because nobody reads any more
                    os.write(kept, passed)
            with contextlib.suppress(OSError):
                os.write(kept, rest)

    reader = threading.Thread(target=pass_on, daemon=True)
    reader.start()
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, 2)  # closes the last end for writing
        reader.join(ENOUGH_SECONDS)
        if not reader.is_alive():
            os.close(kept)


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed since, or from the start
        sys.stderr.flush()


__all__ = ["without_idle_lines"]
