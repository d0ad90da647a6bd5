"""What a server counts of itself, in Prometheus' words: numbers alone, no text and no name of a document."""

from __future__ import annotations

import os
from typing import Any

import prometheus_client as prometheus

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)


class Measures:
    """Counters of one server. With several workers they are added up over all (PROMETHEUS_MULTIPROC_DIR)."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        several = bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
        own: dict[str, Any] = {"registry": self.registry}
        self.requests = prometheus.Counter("smallprint_requests", "Requests", ("route", "status"), **own)
        self.seconds = prometheus.Histogram(
            "smallprint_request_seconds", "Time to answer", ("route",), buckets=SECONDS, **own
        )
        self.texts = prometheus.Counter("smallprint_texts", "Texts scored", ("model",), **own)
        self.findings = prometheus.Counter("smallprint_labels", "Labels given", ("model", "label"), **own)
        more = {"multiprocess_mode": "livesum"} if several else {}
        self.waiting = prometheus.Gauge(
            "smallprint_waiting_texts", "Texts that wait for the model", ("model",), **own, **more
        )

    def count(self, route: str, status: int, seconds: float) -> None:
        """Counts one request by its route, not by its path, which may hold anything."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            from prometheus_client import multiprocess

            registry = prometheus.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
            return bytes(prometheus.generate_latest(registry))
        return bytes(prometheus.generate_latest(self.registry))


__all__ = ["Measures"]
