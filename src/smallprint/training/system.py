"""How busy the machine is while it trains. In: nothing. Out: points of processor, memory and GPU, as MLflow's page shows them.

A thread of its own looks every few seconds; it sends nothing.
"""

from __future__ import annotations

import threading
import time
from importlib import import_module
from typing import Any

SECONDS = 10.0


class SystemWatch:
    """Looks until it is stopped.

    Args:
        seconds: Between two looks.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._points: list[tuple[str, float, int]] = []
        self._lock, self._stop, self._looks = threading.Lock(), threading.Event(), 0
        self._monitors = _monitors()
        self._thread = threading.Thread(target=self._run, name="system-metrics", daemon=True)
        self._thread.start()

    def take(self, step: int) -> list[tuple[str, float, int, int]]:
        """Gives (name, value, time in ms, number of the look) of what was seen since the last call."""
        with self._lock:
            points, self._points = self._points, []
        first = self._looks - len({when for _, _, when in points})
        order = {when: first + i for i, when in enumerate(sorted({when for _, _, when in points}))}
        return [(name, value, when, order[when]) for name, value, when in points]

    def stop(self) -> None:
        """Ends the thread."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            found: dict[str, float] = {}
            for monitor in self._monitors:
                try:
                    monitor.collect_metrics()
                    found |= monitor.aggregate_metrics()
                    monitor.clear_metrics()
                except Exception:  # a GPU that is taken away must end nothing
                    continue
            now = int(time.time() * 1000)
            with self._lock:
                self._looks += 1
                self._points += [(f"system/{name}", float(value), now) for name, value in found.items()]
            self._stop.wait(self._seconds)


def _monitors() -> list[Any]:
    monitors: list[Any] = []
    for module, name in (("cpu_monitor", "CPUMonitor"), ("gpu_monitor", "GPUMonitor")):
        try:
            monitors.append(getattr(import_module(f"mlflow.system_metrics.metrics.{module}"), name)())
        except Exception:  # no GPU, or no package that knows it
            continue
    return monitors


__all__ = ["SystemWatch"]
