"""Texts of many requests, scored together: a queue with an end, and one thread that empties it. In: texts. Out: predictions.

What waits is merged as it is; nobody waits for company. So a lone request costs what it costs, and many share batches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from smallprint.core.results import Prediction
from smallprint.inference.engine import Engine
from smallprint.serve.problems import Problem


@dataclass
class _Job:
    texts: list[str]
    alone: bool
    answer: asyncio.Future[tuple[Prediction, int]]


class Batcher:
    """Scores texts of one engine in the order they came.

    Args:
        engine: Whose.
        executor: Of one thread; engines may share it.
        batch: Texts that are scored together; a request with more is scored by itself.
        waiting: Texts that may wait.
        seconds: Until a request that waits is given up.
    """

    def __init__(self, engine: Engine, executor: Executor, *, batch: int, waiting: int, seconds: float) -> None:
        self.engine, self.executor, self.batch, self.most, self.seconds = engine, executor, batch, waiting, seconds
        self.jobs: deque[_Job] = deque()
        self.waiting = 0
        self._task: asyncio.Task[None] | None = None

    async def predict(self, texts: Sequence[str], alone: bool = False) -> tuple[Prediction, int]:
        """Gives the prediction, and with `alone`, which merges with no other request, how many texts were cut.

        Raises:
            Problem: Too much waits already, or the answer took too long.
            SmallprintError: What the engine raises for these texts.
        """
        if self.waiting and self.waiting + len(texts) > self.most:
            raise Problem("overloaded", f"{self.waiting:,} texts wait already. Try again soon.")
        job = _Job(list(texts), alone, asyncio.get_running_loop().create_future())
        self.jobs.append(job)
        self.waiting += len(job.texts)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._empty())
        try:
            return await asyncio.wait_for(job.answer, self.seconds)
        except TimeoutError:
            raise Problem("timeout", f"There was no answer within {self.seconds:g} s. Send fewer texts.") from None

    async def _empty(self) -> None:
        loop = asyncio.get_running_loop()
        while jobs := self._next():
            try:
                answers = await loop.run_in_executor(self.executor, self._score, jobs)
            except RuntimeError as error:  # the server ends
                answers = [error] * len(jobs)
            for job, answer in zip(jobs, answers, strict=True):
                if job.answer.done():
                    continue
                if isinstance(answer, BaseException):
                    job.answer.set_exception(answer)
                else:
                    job.answer.set_result(answer)

    def _next(self) -> list[_Job]:
        """Takes the oldest job out of the queue, and those behind it that fit into a batch with it."""
        taken: list[_Job] = []
        kept: deque[_Job] = deque()
        size = 0
        while self.jobs:
            job = self.jobs.popleft()
            if job.answer.done():  # given up, or its client has gone
                self.waiting -= len(job.texts)
                continue
            fits = not taken or not (job.alone or taken[0].alone or size + len(job.texts) > self.batch)
            if not fits:
                kept.append(job)
                if len(kept) > self.batch or taken[0].alone:
                    break
                continue
            taken.append(job)
            size += len(job.texts)
        kept.extend(self.jobs)
        self.jobs = kept
        self.waiting -= size
        return taken

    def _score(self, jobs: list[_Job]) -> list[tuple[Prediction, int] | BaseException]:
        """Gives each job's answer; where one text makes the batch fail, the others are answered all the same."""
        before = self.engine.n_truncated
        try:
            given = self.engine.predict([text for job in jobs for text in job.texts])
        except Exception as error:
            return [error] if len(jobs) == 1 else [self._score([job])[0] for job in jobs]
        cut = self.engine.n_truncated - before if jobs[0].alone else 0
        answers: list[tuple[Prediction, int] | BaseException] = []
        start = 0
        for job in jobs:
            part = slice(start, start + len(job.texts))
            decisions = None if given.decisions is None else given.decisions[part]
            answers.append((Prediction(given.label_names, given.scores[part], given.labels[part], decisions), cut))
            start = part.stop
        return answers


__all__ = ["Batcher"]
