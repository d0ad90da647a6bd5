"""Keeps libraries from reporting to their makers. In: nothing. Out: environment variables, where the user has not set them.

onnxruntime's own switch is read when it is first imported: since 1.32 it sends use to Microsoft and writes an identifier into the home
folder unless it is told not to (strace shows both). OpenVINO has no such switch: importing it counts the import at Google Analytics and
writes an identifier into `~/intel`, so the part that does is kept from being imported. Ray's is set where Ray is started.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

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


@contextlib.contextmanager
def openvino_unreported() -> Iterator[None]:
    """Lets OpenVINO be imported without its converter, which reports that it was, and without the package that reports.

    The runtime does without both. The converter can be imported later, by whoever wants it, and then finds nothing to report by.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: an import of it fails
    kept = "openvino.tools.ovc" not in sys.modules
    if kept:
        sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if kept:
            sys.modules.pop("openvino.tools.ovc", None)  # of two threads the other may have been first


__all__ = ["OFF", "openvino_unreported", "switch_off_telemetry"]
