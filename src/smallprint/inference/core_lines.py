"""Standard error without what Ray's core writes there and means nothing: lines that look like a crash. All other lines go through.

The core writes past Python, so the file descriptor itself is led through a pipe while Ray works.
"""

from __future__ import annotations

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
    sys.stderr.flush()
    kept, (read, write) = os.dup(2), os.pipe()
    os.dup2(write, 2)
    os.close(write)

    def pass_on() -> None:
        with os.fdopen(read, "rb", buffering=0) as source:
            rest = b""
            while part := source.read(65_536):
                *lines, rest = (rest + part).split(b"\n")
                passed = b"".join(line + b"\n" for line in lines if not IDLE.search(line))
                os.write(kept, passed)
            os.write(kept, rest)

    reader = threading.Thread(target=pass_on, daemon=True)
    reader.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)  # closes the last end for writing
        reader.join(ENOUGH_SECONDS)
        if not reader.is_alive():
            os.close(kept)


__all__ = ["without_idle_lines"]
