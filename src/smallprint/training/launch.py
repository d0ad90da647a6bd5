"""Starts the processes of one machine. In: a command and how many. Out: the exit code once all have ended.

Where one ends badly the others are ended too, so that none waits for it. torchrun does the same and more, over many machines; here is
what one machine needs, with a message of ours.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence

from smallprint.core.errors import TrainingError
from smallprint.core.progress import Say

GRACE_S = 10.0  # between asking a process to end and ending it
POLL_S = 0.2


def started_from_outside() -> bool:
    """Gives whether torchrun, SLURM or this launcher started the process: then it starts none itself."""
    slurm = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and os.environ.get("SLURM_JOB_NAME") not in (
        "bash",
        "interactive",
    )
    return "RANK" in os.environ or slurm


def launch(command: Sequence[str], n: int, say: Say) -> int:
    """Runs `command` in `n` processes that know of each other, and gives the exit code: 0, or that of the first that failed.

    Args:
        command: What each of them runs.
        n: How many.
        say: Takes lines for a person.

    Raises:
        TrainingError: One of them was killed.
        KeyboardInterrupt: Ctrl-C was pressed; they have ended.
    """
    threads = str(max(1, (os.cpu_count() or 1) // n))
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(n), "NODE_RANK": "0"}
    processes: list[subprocess.Popen[bytes]] = []
    previous = signal.signal(signal.SIGTERM, lambda *_: _interrupt())
    try:
        for number in range(n):
            own = {"RANK": str(number), "LOCAL_RANK": str(number)}
            processes.append(
                subprocess.Popen(list(command), env={"OMP_NUM_THREADS": threads, **os.environ, **shared, **own})
            )
        while True:
            codes = [process.poll() for process in processes]
            failed = [(number, code) for number, code in enumerate(codes) if code]
            if failed:
                time.sleep(POLL_S)  # who noticed first is not who failed first: let the rest of them tell
                codes = [process.poll() for process in processes]
                killed = [(number, code) for number, code in enumerate(codes) if code is not None and code < 0]
                if killed:
                    number, code = killed[0]
                    raise TrainingError(
                        f"Process {number + 1} of {n} was killed (signal {-code}); the others were ended.",
                        "all of them to work until the end",
                        "If memory ran out, lower training.batch_tokens or --devices. Then go on by --resume.",
                    )
                return int(failed[0][1] or 1)
            if all(code == 0 for code in codes):
                return 0
            time.sleep(POLL_S)
    except _StoppedError:
        say("Stopped.")
        return 128 + signal.SIGTERM
    finally:
        _end(processes)
        signal.signal(signal.SIGTERM, previous)


class _StoppedError(Exception):
    """SIGTERM came."""


def _interrupt() -> None:
    raise _StoppedError


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Asks those that still run to end, and after a while ends them."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + GRACE_S
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


__all__ = ["launch", "started_from_outside"]
