"""What is to be logged, until it is. In: entries. Out: the same again, also after the process has died.

One JSON object a line in RUN/tracking.jsonl. The process that logs holds a lock on the file, by which others tell a run that
goes on from one that died. It knows nothing of MLflow.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TextIO

FILE = "tracking.jsonl"
Entry = dict[str, Any]

try:
    import fcntl
except ImportError:  # Windows has no such locks: nobody there looks after the runs of others
    fcntl = None  # type: ignore[assignment]
LOCKED: bool = fcntl is not None


class Journal:
    """Entries that wait, in memory and, where there is a folder, on the disk.

    Args:
        folder: Of the run; None keeps them in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / FILE
        self.waiting: list[Entry] = []
        self.lost = False
        self._file: TextIO | None = None
        if self.path is not None:
            try:
                self._file = self.path.open("a+", encoding="utf-8")
                _lock(self._file)
                self._file.seek(0)
                text = self._file.read()
                self.waiting = _parse(text)
                if not text.endswith("\n"):  # cut by a kill: what is added next must not stand on the same line
                    self._write_anew()
            except OSError:
                self._close()

    @property
    def on_disk(self) -> bool:
        """Whether entries outlive the process."""
        return self._file is not None

    def add(self, entry: Entry) -> None:
        """Takes an entry. A disk that is full loses it to the next process, not to this one."""
        self.waiting.append(entry)
        if self._file is not None:
            try:
                self._file.write(json.dumps(entry) + "\n")
                self._file.flush()
            except OSError:
                self.lost = True

    def drop(self, count: int) -> None:
        """Forgets the first entries: they have been sent."""
        del self.waiting[:count]
        if self._file is None or (self.waiting and count == 0):
            return
        self._write_anew()

    def close(self, keep: bool = False) -> None:
        """Gives the lock back; an empty file goes away, unless it is kept as the mark of a run that has not been seen to."""
        empty = self._file is not None and not self.waiting and not keep
        if not LOCKED:  # Windows removes nothing that is open, and has no lock that must be held till it is gone
            self._close()
        if empty and self.path is not None:
            self.path.unlink(missing_ok=True)
        self._close()

    def _write_anew(self) -> None:
        if self._file is None:
            return
        try:
            self._file.seek(0)
            self._file.truncate()
            self._file.writelines(json.dumps(entry) + "\n" for entry in self.waiting)
            self._file.flush()
        except OSError:
            self.lost = True

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def take_over(folder: Path) -> Journal | None:
    """Gives the journal of a run whose process has died; None while one goes on, and where there is none."""
    path = folder / FILE
    if fcntl is None or not path.is_file():
        return None
    try:
        with path.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    journal = Journal(folder)
    return journal if journal.on_disk else None


def _lock(file: TextIO) -> None:
    """Takes the lock, or raises OSError where another process has it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _parse(text: str) -> list[Entry]:
    """Gives the entries of a file; a last line that was cut by a kill is left out."""
    entries = []
    for line in text.splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    return entries


def is_alive(folder: Path) -> bool:
    """Whether a process holds the journal of a run at this moment."""
    path = folder / FILE
    return is_held(path) if path.is_file() else fcntl is None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file; always, where the system has none."""
    if not LOCKED:
        return True
    try:
        with path.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.access(path, os.R_OK)
    return False


__all__ = ["FILE", "Entry", "Journal", "is_alive", "is_held", "take_over"]
