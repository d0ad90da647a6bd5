"""Ends what a test started as a process of its own, and all that it started in turn, at once and on every system."""

import os
import signal
import subprocess


def end_all(process: subprocess.Popen) -> None:
    """Kills a process that leads a session of its own; waits until it has ended."""
    if process.poll() is None:
        if os.name == "nt":  # no signals and no sessions
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
