"""Documents over HTTP: read within limits, and scanned sentence by sentence between other requests, not before them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np

from smallprint.core.results import Prediction
from smallprint.documents.document import Document, Limits
from smallprint.documents.read import read_bytes
from smallprint.inference.scanner import scan_all
from smallprint.serve.models import Served
from smallprint.serve.problems import Problem
from smallprint.serve.settings import ServeSettings

TOLD_SECONDS = 0.2
WAITING = 8  # documents that wait for each that is read


class QueuedEngine:
    """An engine for one document whose texts go through the queue of all requests, some at a time. For one thread."""

    n_truncated = 0

    def __init__(self, served: Served, loop: asyncio.AbstractEventLoop, batch: int, seconds: float) -> None:
        self.served, self.loop, self.batch = served, loop, batch
        self.labels, self.max_length = served.engine.labels, served.engine.max_length
        self.deadline, self.seconds = time.monotonic() + seconds, seconds
        self.done = self.of = 0
        self.stopped = False

    def predict(self, texts: Sequence[str]) -> Prediction:
        """As the engine's; the order of scoring is by length, so that little is padded.

        Raises:
            Problem: It took too long, or its client has gone.
        """
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        self.of += len(texts)
        parts: list[tuple[int, Prediction, int]] = []
        for start in range(0, len(order), self.batch):
            places = order[start : start + self.batch]
            given = self._ask([texts[i] for i in places])
            parts += [(i, given, k) for k, i in enumerate(places)]
            self.done += len(places)
        parts.sort(key=lambda part: part[0])
        names = self.labels.score_names
        scores = [given.scores[k] for _, given, k in parts]
        decisions = [given.decisions[k] for _, given, k in parts if given.decisions is not None]
        return Prediction(
            names,
            np.stack(scores) if scores else np.zeros((0, len(names)), dtype=np.float32),
            [given.labels[k] for _, given, k in parts],
            None if self.served.engine.policy is None else decisions,
        )

    @property
    def windows(self) -> bool:
        """As the engine's."""
        return self.served.engine.windows

    def spans(self, text: str) -> list[tuple[int, int]]:
        """As the engine's."""
        return self.served.engine.spans(text)

    def decide(self, scores: Any) -> Prediction:
        """As the engine's."""
        return self.served.engine.decide(scores)

    def score(self, texts: Sequence[str]) -> Any:
        """As the engine's."""
        return self.predict(texts).scores

    def _ask(self, texts: list[str]) -> Prediction:
        while True:
            if self.stopped or time.monotonic() > self.deadline:
                raise Problem("timeout", f"The document took more than {self.seconds:g} s. Split it.")
            asked = asyncio.run_coroutine_threadsafe(self.served.batcher.predict(texts, alone=True), self.loop)
            try:
                given, cut = asked.result()
            except Problem as problem:
                if problem.code != "overloaded":
                    raise
                time.sleep(0.05)  # others go first; this one has begun, and is not sent away
                continue
            self.n_truncated += cut
            return given


class Scans:
    """Scans for all requests: some at a time, the others wait, too many are refused.

    Args:
        settings: Limits.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.free = asyncio.Semaphore(settings.scans)
        self.asked = 0
        self.limits = Limits(
            file_mb=settings.body_mb,
            characters=settings.document_characters,
            pages=settings.pages,
            seconds=min(60.0, settings.scan_seconds),
            memory_mb=1_000,
            archive_files=100,
            archive_mb=4 * settings.body_mb,
        )

    async def scan(
        self, served: Served, content: bytes | Document, name: str, whole: bool, explain: bool
    ) -> AsyncIterator[dict[str, Any]]:
        """Gives `{"done", "of"}` while it reads, and last the documents, as `ScanOut` tells.

        Raises:
            Problem: Too many documents wait, or it took too long.
        """
        if self.asked >= self.settings.scans * (1 + WAITING):
            raise Problem("overloaded", "Too many documents are being read. Try again soon.", after=5)
        self.asked += 1
        try:
            await self.free.acquire()
        except BaseException:
            self.asked -= 1
            raise
        settings = self.settings
        engine = QueuedEngine(served, asyncio.get_running_loop(), settings.batch, settings.scan_seconds)
        work = asyncio.create_task(asyncio.to_thread(self._scan, engine, content, name, whole, explain))
        work.add_done_callback(self._end)  # not before: who leaves does not end the thread at once
        try:
            while not (await asyncio.wait({work}, timeout=TOLD_SECONDS))[0]:
                yield {"done": engine.done, "of": engine.of}
        finally:
            engine.stopped = True
        yield {"model": served.name, "version": served.card["version"], "documents": await work}

    def _end(self, work: asyncio.Task[list[dict[str, Any]]]) -> None:
        self.free.release()
        self.asked -= 1
        if not work.cancelled():
            work.exception()  # one that nobody waits for would go into the log, with what it says

    def _scan(
        self, engine: QueuedEngine, content: bytes | Document, name: str, whole: bool, explain: bool
    ) -> list[dict[str, Any]]:
        read = [(name, content)] if isinstance(content, Document) else read_bytes(content, name, self.limits)
        entries: list[dict[str, Any]] = []
        for entry, document in scan_all(engine, read, explain, every=whole):
            if whole and document is not None:
                entry |= {"text": document.text, "page_starts": document.pages, "headings": document.headings}
            entries.append(entry)
        return entries


__all__ = ["QueuedEngine", "Scans"]
