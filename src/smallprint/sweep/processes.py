"""Several processes of this machine on one sweep. In: its folder and the budget. Out: other processes that run trials, and end.

They are started by the command line and share the study's file; what they find out together this process tells.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smallprint.core.errors import ConfigError
from smallprint.sweep.loop import Budget

PATIENCE = 10.0  # seconds that a process has to end by itself


@contextmanager
def helped(data: Any, folder: Path, budget: Budget, n: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Starts `n` - 1 more processes that run trials; when the block ends early, by Ctrl-C or an error, so do they.

    Args:
        data: As it was named; frames cannot be handed over.
        folder: Of the sweep, with its settings in config.yaml.
        budget: Shared by all.
        n: Processes, this one counted.

    Raises:
        ConfigError: The data has no name.
    """
    if n > 1 and not isinstance(data, str | Path):
        raise ConfigError(
            "The data are frames, which other processes cannot read.", "a path or a name", "Write them to a file first."
        )
    command = [sys.executable, "-P", "-m", "smallprint", "sweep", str(data), "--config", str(folder / "config.yaml")]
    command += ["--trials", str(budget.trials), "--out", str(folder), "--worker"]
    command += ["--minutes", str(budget.minutes)] if budget.minutes is not None else []
    threads = str(max(1, (os.cpu_count() or 1) // n))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    started: list[subprocess.Popen[bytes]] = []
    try:
        started += [subprocess.Popen(command, env=environment) for _ in range(n - 1)]
        if n > 1:
            share_threads(int(threads))
        yield started
        for process in started:
            process.wait()
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
        for process in started:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def share_threads(threads: int) -> None:
    """Lets this process use so many threads, unless the environment says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(threads)


def parent_is_gone(parent: int) -> bool:
    """Gives whether the process that started this one has ended."""
    return os.getppid() != parent
