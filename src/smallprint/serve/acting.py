"""What is done with findings behind the answers. In: rules. Out: findings in the outbox before an answer goes out, and their delivery.

The workers put in (`Acting`); one process, which is the server's own or the one that started its workers, delivers (`Sending`). It decides
nothing: rules, keys, retries and the file are those of `predict --actions`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import prometheus_client as prometheus
from fastapi import Header
from prometheus_client.core import GaugeMetricFamily, Metric

from smallprint.actions.deliver import Targets, build_targets, deliver_next
from smallprint.actions.findings import of_document, of_texts, put
from smallprint.actions.outbox import Outbox, hold
from smallprint.actions.rules import Rule
from smallprint.core.errors import DataError
from smallprint.core.results import Prediction
from smallprint.serve.problems import Problem
from smallprint.serve.settings import ServeSettings

log = logging.getLogger("smallprint.serve")
LOOK_SECONDS = 0.1  # between two looks at whether another process has put something in
END_SECONDS = 5.0  # for what is due when the server ends; the rest waits for its next start
KEY, NOTHING = "Idempotency-Key", "Smallprint-Actions"
CHECKED = {KEY.lower().encode(), NOTHING.lower().encode()}  # headers that a route knows
T = TypeVar("T")
Document = Annotated[
    str | None,
    Header(
        alias=KEY,
        min_length=1,
        max_length=255,
        pattern="^[ -~]+$",
        description="With --actions: names the document. What was found in it before is not acted on again; without it nothing was.",
    ),
]
NoActions = Annotated[
    Literal["none"] | None,
    Header(alias=NOTHING, description="none: answer, and do nothing with findings."),
]


class Acting:
    """Puts findings into the outbox, which it shares with other workers.

    Args:
        settings: Rules, outbox, and how many may wait there.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.rules, self.most = [Rule.model_validate(rule) for rule in settings.rules], settings.undelivered
        self._file = settings.outbox or ""
        self._box: Outbox | None = None  # of the one thread, so that no request waits for the disk of another's worker
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")

    async def begin(self, document: str | None) -> str:
        """Gives the name of a request's document: the one that its client gave, or one of its own.

        Raises:
            Problem: Too much waits for delivery, or the outbox cannot be used.
        """
        waiting = await self._do(Outbox.waiting)
        if waiting >= self.most:
            raise Problem("outbox", f"{waiting:,} findings wait to be delivered. Try again later.", after=10)
        return document or str(uuid.uuid4())

    async def take_texts(
        self, document: str, answer: Mapping[str, Any], texts: Sequence[str], given: Prediction
    ) -> None:
        """Puts in what was found in texts.

        Raises:
            Problem: The outbox cannot be used.
        """
        await self._put(answer, of_texts(document, texts, given))

    async def take_scanned(self, document: str, answer: Mapping[str, Any], sent: str) -> None:
        """Puts in what was found in a document, or in those of an archive, which was sent under a name.

        Raises:
            Problem: The outbox cannot be used.
        """
        findings: list[dict[str, Any]] = []
        for entry in answer["documents"]:
            found = of_document(document + entry["name"].removeprefix(sent), entry.get("findings", ()))
            findings += [{**finding, "name": entry["name"]} for finding in found]
        await self._put(answer, findings)

    async def text(self) -> bytes:
        """Counts by action, as Prometheus reads them; the same from every worker."""
        states = GaugeMetricFamily("smallprint_actions", "Findings in the outbox", labels=("action", "state"))
        failed = GaugeMetricFamily("smallprint_actions_failed_tries", "Tries that failed", labels=("action",))
        try:
            tally = await self._do(Outbox.tally)
        except Problem:
            return b""  # the server's other counts are told all the same
        for rule in self.rules:
            for state in ("waiting", "delivered", "dead"):
                states.add_metric((rule.name, state), tally.get((rule.name, state), (0, 0))[0])
            failed.add_metric((rule.name,), sum(tries for (name, _), (_, tries) in tally.items() if name == rule.name))
        registry = prometheus.CollectorRegistry()  # not that of `Measures`, which adds up over the workers
        registry.register(_Told([states, failed]))
        return bytes(prometheus.generate_latest(registry))

    def close(self) -> None:
        """Lets go of the outbox."""
        if self._box is not None:
            self._thread.submit(self._box.close)
        self._thread.shutdown()

    async def _put(self, answer: Mapping[str, Any], findings: list[dict[str, Any]]) -> None:
        named = [{**finding, "model": answer["model"]} for finding in findings]
        if named:
            await self._do(lambda box: put(box, self.rules, answer["version"], named))

    async def _do(self, work: Callable[[Outbox], T]) -> T:
        def do() -> T:
            if self._box is None:
                self._box = Outbox(self._file, shared=True)
            return work(self._box)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, do)
        except (sqlite3.Error, DataError) as error:
            log.error("the outbox cannot be used (%s)", error)
            raise Problem("outbox", "What is to be done with findings cannot be kept now. Try again later.") from None


class _Told:
    """Metrics that are told as they are."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


class Sending:
    """Delivers what is in the outbox, in a thread for each action: one that hangs holds up no other. Use with `with`.

    Args:
        file: The outbox.
        rules: The actions.

    Raises:
        ConfigError: A function cannot be imported, or the secret's variable is not set.
        DataError: Another process delivers from this file, or it cannot be used.
    """

    def __init__(self, file: str | Path, rules: Sequence[Rule]) -> None:
        self._file, self._targets = file, build_targets(rules)
        self._right = hold(file)
        Outbox(file, shared=True).close()
        self._ending, self._until = threading.Event(), float("inf")
        self._threads = [
            threading.Thread(target=self._send, args=({name: target},), name=f"send {name}", daemon=True)
            for name, target in self._targets.items()
        ]

    def __enter__(self) -> Sending:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._until = time.monotonic() + END_SECONDS
        self._ending.set()
        for thread in self._threads:
            thread.join(max(0.0, self._until - time.monotonic()))
        box = Outbox(self._file, shared=True)
        if waiting := box.waiting():
            log.warning("%d findings wait for the next start", waiting)
        box.close()
        if not any(thread.is_alive() for thread in self._threads):
            self._right.close()  # else the end of the process does it

    def _send(self, targets: Targets) -> None:
        box: Outbox | None = None
        while time.monotonic() < self._until:
            try:
                box = box or Outbox(self._file, shared=True)
                if not deliver_next(box, targets, _say) and self._ending.wait(LOOK_SECONDS):
                    break
            except Exception as error:  # without this thread findings would pile up until every request is refused
                known = isinstance(error, sqlite3.Error | DataError)  # what others say may quote a finding
                log.error("the outbox cannot be used (%s)", error if known else type(error).__name__)
                if self._ending.wait(1.0):
                    break
        if box is not None:
            box.close()


def _say(line: str) -> None:
    log.warning("%s", line)


__all__ = ["CHECKED", "KEY", "Acting", "Document", "NoActions", "Sending"]
