"""Who leaves a streamed scan: its place is taken until its work has ended, and what it raises is told to nobody."""

import asyncio
import gc
import threading
from types import SimpleNamespace

import pytest

from smallprint.serve import scans as module
from smallprint.serve.scans import Scans
from smallprint.serve.settings import ServeSettings

SERVED = SimpleNamespace(name="m", card={"version": "v"}, engine=SimpleNamespace(labels=None, max_length=None))


@pytest.fixture
def reading(monkeypatch):
    """A document whose reading goes on until it is told to end, and then fails; `at_once` is how many were read together at most."""
    ending, lock = threading.Event(), threading.Lock()
    seen = SimpleNamespace(end=ending.set, now=0, at_once=0)

    def scan(self, *arguments):
        with lock:
            seen.now += 1
            seen.at_once = max(seen.at_once, seen.now)
        ending.wait(10)
        with lock:
            seen.now -= 1
        raise ValueError("a private text")

    monkeypatch.setattr(module, "TOLD_SECONDS", 0.01)
    monkeypatch.setattr(Scans, "_scan", scan)
    return seen


def test_work_that_was_left_counts_until_it_ends(reading, caplog):
    async def leave(scan):
        await anext(scan)
        await scan.aclose()

    async def main():
        scans = Scans(ServeSettings((("m", "f"),), scans=2))
        tasks = [asyncio.create_task(leave(scans.scan(SERVED, b"x", "n", False, False))) for _ in range(6)]
        await asyncio.sleep(0.2)
        assert [task.done() for task in tasks] == [True] * 2 + [False] * 4, "the others wait for a place"
        assert scans.asked == 6
        tasks[-1].cancel()
        await asyncio.wait({tasks[-1]})
        assert scans.asked == 5, "who leaves while waiting has no work that goes on"
        reading.end()
        await asyncio.gather(*tasks, return_exceptions=True)
        while scans.asked or scans.free.locked():
            await asyncio.sleep(0.01)
        del tasks
        gc.collect()  # asyncio tells of a task's error when it is forgotten

    asyncio.run(asyncio.wait_for(main(), 10))
    assert reading.at_once == 2
    assert "private" not in caplog.text
