"""Keeps libraries from reporting to their makers. In: nothing. Out: environment variables, where the user has not set them.

onnxruntime's own switch is read when it is first imported: since 1.32 it sends use to Microsoft and writes an identifier into the home
folder unless it is told not to (strace shows both). Ray's is set where Ray is started.
"""

from __future__ import annotations

import os

OFF = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}


def switch_off_telemetry() -> None:
    """Switches reports off, but for those that the environment already decides on; before the libraries are imported."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)


__all__ = ["OFF", "switch_off_telemetry"]
