"""Which processes work on a sweep. In: its folder. Out: locks that the system takes back when their holder dies, however it dies.

A trial names its worker; where nobody holds the worker's lock any more, the trial is dead.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from smallprint.core.errors import ConfigError
from smallprint.core.files import disk_errors
from smallprint.training.left_behind import WORKERS

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def check_locks() -> None:
    """Checks that this system has the locks by which processes know of each other.

    Raises:
        ConfigError: It is Windows.
    """
    if fcntl is None:
        raise ConfigError(
            "This system has no file locks that end with their holder.",
            "Linux or macOS for a sweep",
            "On Windows run it in WSL; `smallprint train` works as it is.",
        )


class Worker:
    """One process's lock, held from the beginning to its end.

    Args:
        folder: Of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self.name = uuid.uuid4().hex
        self._path = _place(folder, self.name)
        with disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self._path.open("w", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def leave(self) -> None:
        """Gives the lock back."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def is_alive(folder: Path, name: str) -> bool:
    """Gives whether a worker holds its lock still; the lock of a dead one is removed."""
    path = _place(folder, name)
    try:
        with path.open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    path.unlink(missing_ok=True)
    return False


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Waits until no other process does the same, and keeps others waiting.

    Args:
        folder: Of the sweep.
        what: Name of what is done.
    """
    with (folder / f"{what}.lock").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def last(folder: Path, what: str, busy: Callable[[], bool]) -> Iterator[bool]:
    """Gives True to the process that comes when no other is busy, and False to others as long as it is at it.

    One at a time asks, so that of two that end together the later one sees that the other has gone.

    Args:
        folder: Of the sweep.
        what: Name of what is done.
        busy: Gives whether somebody else has yet to come.
    """
    with (folder / f"{what}.lock").open("a", encoding="utf-8") as file:
        with alone(folder, f"{what}-asked"):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                ours = not busy()
            except BlockingIOError:
                ours = False
            if not ours:
                fcntl.flock(file, fcntl.LOCK_UN)
        yield ours


def _place(folder: Path, name: str) -> Path:
    return folder / WORKERS / f"{name}.lock"
