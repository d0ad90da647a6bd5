import asyncio
import json
import logging
from pathlib import Path

import pytest
from starlette.responses import Response

from smallprint.core.errors import ConfigError
from smallprint.serve.guard import HEADERS, Guard
from smallprint.serve.keys import make_key, owner_of, read_keys
from smallprint.serve.measures import Measures
from smallprint.serve.settings import ServeSettings

ONE = {"texts": ["the crimson ink"]}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::"])
def test_other_machines_need_a_key_or_a_word(host, tmp_path):
    with pytest.raises(ConfigError, match="no API key"):
        ServeSettings((("m", "f"),), host=host).check()
    ServeSettings((("m", "f"),), host=host, insecure=True).check()
    ServeSettings((("m", "f"),), host=host, keys="keys.txt").check()


def test_keys_of_another_user_are_told_of(tmp_path, monkeypatch):
    make_key("anna", tmp_path / "keys.txt")

    def refused(*arguments, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(ConfigError, match="may not be read by the user that serves"):
        read_keys(tmp_path / "keys.txt")


def test_keys_are_hashed_and_the_file_is_its_owners(tmp_path):
    file = tmp_path / "keys.txt"
    first, second = make_key("anna", file), make_key("ben", file)
    again = make_key("anna", file)
    keys = read_keys(file)
    assert first not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [owner_of(key, keys) for key in (first, second, again, "", "ä")] == [None, "ben", "anna", None, None]
    with pytest.raises(ConfigError, match="no name"):
        make_key("a b", file)
    file.write_text("anna secret\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_keys(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(tmp_path / "none")
    file.write_text("")
    with pytest.raises(ConfigError, match="holds no key"):
        read_keys(file)


def test_without_its_key_nobody_is_answered(serve, tmp_path, problem):
    key = make_key("anna", tmp_path / "keys.txt")
    client = serve(keys=str(tmp_path / "keys.txt"))
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {key}"}, {"authorization": key}):
        answer = client.post("/v1/predict", json=ONE, headers=headers)
        problem(answer, 401, "key")
        assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/model", "/v1/labels", "/metrics", "/v1/models"):
            problem(client.get(path, headers=headers), 401, "key")
    assert client.post("/v1/predict", json=ONE, headers={"authorization": f"Bearer {key}"}).status_code == 200
    for path in ("/", "/health", "/ready", "/page.js"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""])
def test_a_page_that_calls_itself_this_machine_is_refused(serve, host, problem):
    client = serve()
    problem(client.post("/v1/predict", json=ONE, headers={"host": host}), 403, "host")
    assert client.post("/v1/predict", json=ONE, headers={"host": "localhost:8000"}).status_code == 200


def test_another_sites_page_may_not_ask(serve, problem):
    client = serve()
    problem(client.post("/v1/predict", json=ONE, headers={"origin": "https://evil.example"}), 403, "origin")
    problem(client.post("/v1/predict", json=ONE, headers={"origin": "null"}), 403, "origin")
    assert client.post("/v1/predict", json=ONE, headers={"origin": "http://127.0.0.1:8000"}).status_code == 200


def test_every_answer_has_the_headers(serve):
    client = serve()
    for answer in (client.get("/"), client.get("/nowhere"), client.post("/v1/predict", json=ONE)):
        assert {name.decode() for name in HEADERS} <= answer.headers.keys()
        assert "access-control-allow-origin" not in answer.headers


def test_the_rate_is_counted_for_each_key(serve, tmp_path, problem):
    file = tmp_path / "keys.txt"
    anna, ben = ({"authorization": f"Bearer {make_key(name, file)}"} for name in ("anna", "ben"))
    client = serve(keys=str(file), rate=3)
    assert [client.get("/v1/labels", headers=anna).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = client.get("/v1/labels", headers=anna)
    problem(answer, 429, "rate")
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    assert client.get("/v1/labels", headers=ben).status_code == 200


def test_each_worker_allows_its_share_of_the_rate(serve, problem):
    client = serve(rate=5, workers=2)
    assert [client.get("/v1/labels").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert serve(rate=1, workers=4).get("/v1/labels").status_code == 200


def test_a_large_body_is_refused_by_what_it_says_and_by_what_it_is(serve, problem):
    client = serve(body_mb=0.01)
    answer = client.post("/v1/predict", content=b"x" * 10_001)
    problem(answer, 413, "too-large")
    assert answer.headers["connection"] == "close"

    def pieces():
        for _ in range(11):
            yield b"x" * 1_000

    problem(client.post("/v1/predict", content=pieces()), 413, "too-large")
    assert client.post("/v1/predict", json=ONE).status_code == 200


def ask(guard, messages, headers=()):
    """Gives what a guard answers to a body whose parts come as told; a number is seconds of silence."""
    sent, left = [], iter(messages)

    async def receive():
        for message in left:
            if isinstance(message, bytes):
                return {"type": "http.request", "body": message, "more_body": True}
            if message is None:
                return {"type": "http.disconnect"}
            await asyncio.sleep(message)
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/predict",
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])["code"]


async def never(scope, receive, send):
    raise AssertionError("it was let in")


def test_a_body_that_does_not_come_is_not_waited_for():
    guard = Guard(never, ServeSettings((("m", "f"),), body_seconds=0.2), {}, Measures())
    assert ask(guard, [b"ha"]) == (408, "too-slow")
    assert ask(guard, [b"a", 0.15, b"b", 0.15, b"c"]) == (408, "too-slow"), "a byte now and then buys no time"
    assert ask(guard, [b"half", None]) == (408, "too-slow")
    assert {*guard.in_memory.values()} == {0}


def test_large_bodies_at_once_have_an_end_and_those_of_scans_shut_out_no_other():
    """Of 1,000 bytes at most, with two scans at once: 2,000 bytes of scans, and as many of all else."""
    settings = ServeSettings((("m", "f"),), body_mb=0.001, scans=2)
    in_work, done = [], asyncio.Event()

    async def works(scope, receive, send):
        in_work.append(scope["path"])
        await done.wait()
        await Response()(scope, receive, send)

    guard = Guard(works, settings, {}, Measures())

    async def ask(path, size):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"x" * size}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"host", b"localhost")]}
        await guard(scope, receive, send)
        return sent[0]["status"]

    async def main():
        wanted = [("/v1/scan", 1_000)] * 3 + [("/v1/predict", 900)] * 3 + [("/v1/explain", 100)]
        tasks = [asyncio.create_task(ask(*each)) for each in wanted]
        await asyncio.sleep(0.05)
        done.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [200, 200, 503, 200, 200, 503, 200]
    assert in_work == ["/v1/scan"] * 2 + ["/v1/predict"] * 2 + ["/v1/explain"]
    assert {*guard.in_memory.values()} == {0}


def test_a_bug_says_where_and_not_what(serve, caplog, problem):
    client = serve()
    with caplog.at_level(logging.ERROR):
        tree = problem(client.post("/v1/predict", json={"texts": ["BUG in my private text"]}), 500, "internal")
    assert "private" not in json.dumps(tree)
    assert "ZeroDivisionError" not in json.dumps(tree)
    assert "ZeroDivisionError at conftest.py" in caplog.text
    assert "private" not in caplog.text
    assert client.post("/v1/predict", json=ONE).status_code == 200
