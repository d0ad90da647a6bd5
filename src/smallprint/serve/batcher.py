"""Texts of many requests, scored together: a queue with an end, and lanes that empty it. In: texts. Out: predictions.

What waits is merged as it is; nobody waits for company. So a lone request costs what it costs, and many share batches. An engine
that takes several calls has a lane for each: while one batch is scored and answered, the next keeps the processor busy.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice

from smallprint.core.results import Prediction
from smallprint.inference.engine import Engine
from smallprint.serve.problems import Problem

LOOKED_AT = 512  # jobs that wait, among which company is chosen


@dataclass
class _Job:
    texts: list[str]
    alone: bool
    answer: asyncio.Future[tuple[Prediction, int]]
    length: float  # characters, of the mean text


_Answers = list[tuple[Prediction, int] | BaseException]


class Batcher:
    """Scores texts of one engine, the oldest first and with it those that are like it in length.

    Args:
        engine: Whose.
        lanes: Of one thread each, used from the first on: a request that is alone finds what it needs near the core of the last one.
            Engines may share them.
        batch: Texts that are scored together; a request with more is scored by itself.
        waiting: Texts that may wait.
        seconds: Until a request that waits is given up.
    """

    def __init__(self, engine: Engine, lanes: Sequence[Executor], *, batch: int, waiting: int, seconds: float) -> None:
        self.engine, self.lanes, self.batch, self.most, self.seconds = engine, lanes, batch, waiting, seconds
        self.jobs: deque[_Job] = deque()
        self.waiting = 0
        self.running: dict[Executor, list[_Job]] = {}

    async def predict(self, texts: Sequence[str], alone: bool = False) -> tuple[Prediction, int]:
        """Gives the prediction, and with `alone`, which merges with no other request, how many texts were cut.

        Raises:
            Problem: Too much waits already, or the answer took too long.
            SmallprintError: What the engine raises for these texts.
        """
        if self.waiting and self.waiting + len(texts) > self.most:
            raise Problem("overloaded", f"{self.waiting:,} texts wait already. Try again soon.")
        loop = asyncio.get_running_loop()
        job = _Job(list(texts), alone, loop.create_future(), sum(map(len, texts)) / max(1, len(texts)))
        self.jobs.append(job)
        self.waiting += len(job.texts)
        timer = loop.call_later(self.seconds, self._give_up, job)
        self._start(loop)
        try:
            return await job.answer
        finally:
            timer.cancel()

    def _give_up(self, job: _Job) -> None:
        if not job.answer.done():
            told = f"There was no answer within {self.seconds:g} s. Send fewer texts."
            job.answer.set_exception(Problem("timeout", told))

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Lets every lane that is free take what waits."""
        for lane in self.lanes[: self.engine.at_once]:
            if lane in self.running or not (jobs := self._next()):
                continue
            self.running[lane] = jobs
            try:
                scored = loop.run_in_executor(lane, self._score, jobs)
            except RuntimeError as error:  # the server ends
                scored = loop.create_future()
                scored.set_result([error] * len(jobs))
            scored.add_done_callback(functools.partial(self._answer, lane, loop))

    def _answer(self, lane: Executor, loop: asyncio.AbstractEventLoop, scored: asyncio.Future[_Answers]) -> None:
        jobs = self.running.pop(lane)
        self._start(loop)
        answers = [RuntimeError("ended")] * len(jobs) if scored.cancelled() else scored.result()
        for job, answer in zip(jobs, answers, strict=True):
            if job.answer.done():
                continue
            if isinstance(answer, BaseException):
                job.answer.set_exception(answer)
            else:
                job.answer.set_result(answer)

    def _next(self) -> list[_Job]:
        """Takes the oldest job out of the queue, and with it, up to its lane's share of all there is, those of texts most like it in
        length: they need little padding. Who waits longest is never passed over, so nobody waits for ever."""
        gone = [job for job in self.jobs if job.answer.done()]  # given up, or its client has gone
        if gone:
            self.jobs = deque(job for job in self.jobs if not job.answer.done())
            self.waiting -= sum(len(job.texts) for job in gone)
        if not self.jobs:
            return []
        first = self.jobs[0]
        if self.running and (first.alone or any(jobs[0].alone for jobs in self.running.values())):
            return []  # what is cut in a job that is alone is told by the engine's count, which all lanes share
        taken, size = [first], len(first.texts)
        if not first.alone:
            scored = sum(len(job.texts) for jobs in self.running.values() for job in jobs)
            most = min(self.batch, -(-(self.waiting + scored) // self.engine.at_once))
            others = [job for job in islice(self.jobs, 1, LOOKED_AT) if not job.alone]
            for job in sorted(others, key=lambda job: abs(job.length - first.length)):
                if size + len(job.texts) <= most:
                    taken.append(job)
                    size += len(job.texts)
        chosen = {id(job) for job in taken}
        self.jobs = deque(job for job in self.jobs if id(job) not in chosen)
        self.waiting -= size
        return taken

    def _score(self, jobs: list[_Job]) -> _Answers:
        """Gives each job's answer; where one text makes the batch fail, the others are answered all the same."""
        before = self.engine.n_truncated
        try:
            given = self.engine.predict([text for job in jobs for text in job.texts])
        except Exception as error:
            return [error] if len(jobs) == 1 else [self._score([job])[0] for job in jobs]
        cut = self.engine.n_truncated - before if jobs[0].alone else 0
        answers: _Answers = []
        start = 0
        for job in jobs:
            part = slice(start, start + len(job.texts))
            decisions = None if given.decisions is None else given.decisions[part]
            answers.append((Prediction(given.label_names, given.scores[part], given.labels[part], decisions), cut))
            start = part.stop
        return answers


__all__ = ["Batcher"]
