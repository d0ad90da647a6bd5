"""Which state of a folder's files a run was started from. In: a folder. Out: its git commit, or None where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

SECONDS = 10.0


def find_commit(folder: str | Path = ".") -> str | None:
    """Gives the commit's hash, with `-dirty` where tracked files differ from it; None without git or a repository."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


__all__ = ["find_commit"]
