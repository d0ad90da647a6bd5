import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from smallprint.core.errors import DataError
from smallprint.serve.batcher import Batcher
from smallprint.serve.problems import Problem


def run(engine, work, **more):
    async def main():
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            return await work(Batcher(engine, [first, second], **{"batch": 8, "waiting": 100, "seconds": 5, **more}))

    return asyncio.run(main())


async def begun(batcher, texts):
    """Gives a request that is being scored: what comes after it waits."""
    task = asyncio.create_task(batcher.predict(texts))
    await asyncio.sleep(0.05)
    return task


def test_each_gets_its_own_answer_and_many_share_a_batch(engine, words, gate):
    async def work(batcher):
        first = await begun(batcher, ["the crimson ink"])
        rest = [asyncio.create_task(batcher.predict([f"text {i}", "leaf"][: i % 2 + 1])) for i in range(6)]
        await asyncio.sleep(0.05)
        gate.set()
        return await first, await asyncio.gather(*rest)

    first, rest = run(engine, work)
    assert first[0].labels == [["red"]]
    assert [answer.labels for answer, _ in rest] == [[[]], [[], ["green"]]] * 3
    assert words.sizes == [1, 7, 2], "what waited was scored together, up to the batch's size"


def test_the_oldest_is_next_and_has_company_of_its_length(engine, words, gate):
    short, long = [f"text {i}" for i in range(5)], [f"{'word ' * 40}{i}" for i in range(4)]

    async def work(batcher):
        tasks = [await begun(batcher, ["a"])]
        mixed = [long[0], *(text for pair in zip(short, long[1:], strict=False) for text in pair), *short[3:]]
        tasks += [asyncio.create_task(batcher.predict([text])) for text in mixed]
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(*tasks)

    run(engine, work, batch=4)
    assert [sorted(batch) for batch in words.batches] == [["a"], long, short[:4], short[4:]]


def test_a_request_larger_than_a_batch_is_scored_whole(engine, words):
    answer, _ = run(engine, lambda batcher: batcher.predict(["leaf"] * 20))
    assert answer.labels == [["green"]] * 20
    assert words.sizes == [20]


def test_alone_merges_with_no_other(engine, words, gate):
    async def work(batcher):
        tasks = [await begun(batcher, ["a"])]
        tasks += [asyncio.create_task(batcher.predict(["b"], alone=alone)) for alone in (False, True, False)]
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(*tasks)

    run(engine, work)
    assert words.sizes == [1, 2, 1]


def test_too_many_are_refused_and_the_queue_empties(engine, words, gate):
    async def work(batcher):
        tasks = [await begun(batcher, ["a"] * 6)]
        tasks += [asyncio.create_task(batcher.predict(["a"] * 6)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Problem) as caught:
            await batcher.predict(["a"])
        gate.set()
        await asyncio.gather(*tasks)
        await batcher.predict(["a"])
        return caught.value, batcher.waiting

    problem, waiting = run(engine, work, waiting=12)
    assert (problem.status, problem.code, problem.after) == (503, "overloaded", 1.0)
    assert waiting == 0


def test_what_takes_too_long_is_given_up_and_not_scored_later(engine, words, gate):
    async def work(batcher):
        tasks = [asyncio.create_task(batcher.predict([text])) for text in ("a", "b")]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        gate.set()
        while batcher.running:
            await asyncio.sleep(0.01)
        return answers, batcher.waiting

    answers, waiting = run(engine, work, seconds=0.2)
    assert [answer.code for answer in answers] == ["timeout", "timeout"]
    assert len(words.sizes) == 1
    assert waiting == 0


def test_one_bad_text_does_not_fail_the_others_of_its_batch(engine, words, gate):
    async def work(batcher):
        tasks = [await begun(batcher, ["first"])]
        tasks += [asyncio.create_task(batcher.predict([text])) for text in ("leaf", "\ud800", "crimson")]
        await asyncio.sleep(0.05)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    _, good, bad, other = run(engine, work)
    assert good[0].labels == [["green"]]
    assert other[0].labels == [["red"]]
    assert isinstance(bad, DataError)


def test_an_engine_that_takes_two_calls_has_two_batches_of_like_size(engine, words, gate):
    words.at_once = 2

    async def work(batcher):
        tasks = [await begun(batcher, [text]) for text in ("a", "b")]
        assert words.sizes == [1, 1], "the second does not wait for the first"
        tasks += [asyncio.create_task(batcher.predict(["leaf"])) for _ in range(6)]
        await asyncio.sleep(0.05)
        assert words.sizes == [1, 1], "two calls are the most"
        gate.set()
        return await asyncio.gather(*tasks)

    answers = run(engine, work)
    assert [answer.labels for answer, _ in answers[2:]] == [[["green"]]] * 6
    assert sorted(words.sizes) == [1, 1, 2, 4], "a lane leaves the other its share"


def test_alone_shares_no_time_with_another(engine, words, gate):
    words.at_once = 2

    async def work(batcher):
        tasks = [await begun(batcher, ["a"])]
        tasks += [asyncio.create_task(batcher.predict([text], alone=text == "b")) for text in ("b", "c")]
        await asyncio.sleep(0.05)
        assert words.sizes == [1], "the engine counts what is cut for all calls together"
        gate.set()
        await asyncio.gather(*tasks)

    run(engine, work)
    assert words.sizes == [1, 1, 1]
