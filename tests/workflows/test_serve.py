"""The server as a process: right answers, limits that are crossed, versions that change, ends that lose nothing."""

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import polars as pl
import psutil
import pytest

from ending import end_all
from smallprint.inference.engine import load_engine
from smallprint.serve.client import Client, ServerError
from smallprint.serve.keys import make_key

pytestmark = pytest.mark.usefixtures("loopback")
TEXTS = ["we may use scarlet", "the leaf and the ocean", "nothing at all", "crimson sky, moss"]


class Server:
    """`smallprint serve` in a process of its own."""

    smallprint = (sys.executable, "-m", "smallprint")

    def __init__(self, *arguments, **environment):
        command = [*self.smallprint, "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}, start_new_session=True
        )
        self.said = [self.process.stderr.readline()]
        assert "http://" in self.said[0], self.said[0] + self.process.stderr.read()
        self.port = int(self.said[0].partition("http://")[2].partition(";")[0].rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True).start()
        for _ in range(1_200):
            try:
                if urllib.request.urlopen(f"{self.url}/ready", timeout=5).status == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"not ready: {self.said}")

    def memory_mb(self):
        return sum(psutil.Process(pid).memory_info().rss for pid in [self.process.pid, *self.children()]) / 1e6

    def children(self):
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [each.pid for each in children if "spawn_main" in self.command_of(each)]

    @staticmethod
    def command_of(process):
        try:
            return " ".join(process.cmdline())
        except psutil.Error:  # it has ended meanwhile
            return ""

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def end(self):
        end_all(self.process)


def answer_of(connection):
    """What came before the other side closed; nothing where it reset the connection."""
    try:
        return connection.recv(2_000)
    except ConnectionResetError:
        return b""


def until(wanted, seconds=60):
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def bundle(toy_run):
    return toy_run / "bundle"


@pytest.fixture(scope="module")
def server(bundle):
    server = Server(f"toy={bundle}", "--connections", 60, "--body-mb", 1, "--waiting", 300)
    yield server
    server.end()


@pytest.fixture(scope="module")
def expected(bundle):
    return load_engine(bundle).predict(TEXTS)


def test_answers_are_those_of_the_command_line(server, bundle, expected, tmp_path):
    answer = Client(server.url).predict(TEXTS)
    assert [each["labels"] for each in answer] == expected.labels
    pl.DataFrame({"text": TEXTS}).write_csv(tmp_path / "in.csv")
    command = [sys.executable, "-m", "smallprint", "predict", bundle, tmp_path / "in.csv", "-o", tmp_path / "o.jsonl"]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    for row, each in zip(pl.read_ndjson(tmp_path / "o.jsonl").iter_rows(named=True), answer, strict=True):
        assert row["labels"] == each["labels"]
        assert {f"score_{name}": pytest.approx(score, abs=1e-6) for name, score in each["scores"].items()}.items() <= (
            row.items()
        )


def test_many_at_once_get_their_own_answers(server, expected):
    client, wrong = Client(server.url, tries=50), []

    def ask(i):
        for _ in range(10):
            [answer] = client.predict([TEXTS[i % 4]])
            if answer["labels"] != expected.labels[i % 4]:
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert wrong == []


def test_the_client_scans_and_tells_problems(server, tmp_path):
    (tmp_path / "terms.txt").write_text("COLOURS\n\nWe may use scarlet. This is nothing.")
    client = Client(server.url)
    [document] = client.scan(tmp_path / "terms.txt")
    assert document["name"] == "terms.txt"
    assert "We may use scarlet." in [finding["text"] for finding in document["findings"]]
    assert all("red" in finding["labels"] for finding in document["findings"])
    assert client.card()["name"] == "toy"
    with pytest.raises(ServerError) as caught:
        client.predict(["a"], model="other")
    assert (caught.value.status, caught.value.code) == (404, "not-found")
    with pytest.raises(ServerError, match="cannot be reached"):
        Client("http://127.0.0.1:9", seconds=2).predict(["a"])


def still_answers(server, expected):
    assert [each["labels"] for each in Client(server.url, tries=20).predict(TEXTS)] == expected.labels


def test_a_body_of_a_gigabyte_is_refused_unread(server, expected):
    before = server.memory_mb()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/v1/predict")
    connection.putheader("content-length", str(10**9))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["code"]) == (413, "too-large")
    # and one that does not say how large it is
    with server.connect() as plain:
        plain.sendall(b"POST /v1/scan HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        part, sent = b"10000\r\n" + b"x" * 0x10000 + b"\r\n", 0
        try:
            for _ in range(16_000):
                plain.sendall(part)
                sent += 1
        except OSError:
            pass
        assert sent < 1_000, "it goes on taking what it has refused"
    assert server.memory_mb() - before < 50
    still_answers(server, expected)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"POST /v1/pre",
        b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
        b'POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"texts": [',
    ],
)
def test_who_stops_in_the_middle_is_let_go(server, expected, start):
    with server.connect() as plain:
        if start:
            plain.sendall(start)
        still_answers(server, expected)
        answer = plain.recv(10_000)  # else it raises after a minute
        while part := plain.recv(10_000):  # head and body may come apart
            answer += part
    if b"content-length" in start:
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"too-slow"' in answer
    else:
        assert answer in (b"", answer[:0]) or answer.startswith(b"HTTP/1.1 4")


def test_a_head_without_end_is_refused(server, expected):
    before = server.memory_mb()
    with server.connect() as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ")
        sent = 0
        try:
            while sent < 100_000_000:
                plain.sendall(b"y" * 65_536)
                sent += 65_536
        except OSError:
            pass
    assert sent < 50_000_000
    assert server.memory_mb() - before < 50
    still_answers(server, expected)


def test_connections_too_many_are_refused_and_others_served(server, expected):
    before = server.memory_mb()
    kept = Client(server.url, tries=30)
    held, start = [], time.monotonic()
    try:
        for _ in range(int(os.environ.get("SMALLPRINT_CONNECTIONS", "2000"))):
            held.append(server.connect())
        rounds = 2 + (time.monotonic() - start) / 10  # a silent one has its place for ten seconds
        # not the last one alone: where connecting takes long, the silent ones before it have been let go
        refused = [answer for answer in map(answer_of, held) if answer.startswith(b"HTTP/1.1 503")]
        assert len(held) - len(refused) <= 60 * rounds
        assert refused
        assert all(b'"overloaded"' in answer for answer in refused)
    finally:
        for each in held[20:]:
            each.close()
    assert [each["labels"] for each in kept.predict(TEXTS)] == expected.labels
    assert server.memory_mb() - before < 50
    for each in held:
        each.close()


def test_too_many_texts_wait_and_are_refused(server, expected):
    slow = [" ".join(["scarlet leaf"] * 1_500)] * 50
    body = json.dumps({"texts": slow[:40]})[:-1]
    codes = []

    def ask():
        request = urllib.request.Request(
            f"{server.url}/v1/predict", (body + "}").encode(), {"content-type": "application/json"}
        )
        try:
            codes.append(urllib.request.urlopen(request, timeout=60).status)
        except urllib.error.HTTPError as error:
            codes.append(error.code)

    before = server.memory_mb()
    threads = [threading.Thread(target=ask) for _ in range(30)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert {*codes} <= {200, 503}
    assert 503 in codes
    assert 200 in codes
    assert server.memory_mb() - before < 150
    still_answers(server, expected)


def test_a_new_version_is_taken_while_requests_go_on(bundle, labelled_frame, tmp_path):
    from smallprint import api
    from smallprint.core.settings import build_config

    place = tmp_path / "served"
    shutil.copytree(bundle, place)
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}, "training": {"seed": 7}})
    labelled_frame("multilabel", 200).write_parquet(tmp_path / "d.parquet")
    newer = api.train(str(tmp_path / "d.parquet"), config=config, out=tmp_path / "run").bundle
    server = Server(place)
    try:
        client, stop, wrong, seen = Client(server.url, tries=1), threading.Event(), [], []

        def ask():
            while not stop.is_set():
                try:
                    seen.append(client.predict(TEXTS[:1])[0]["labels"])
                except ServerError as error:
                    wrong.append(str(error))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        [thread.start() for thread in threads]
        old = client.card()["version"]
        (place / "manifest.json").rename(tmp_path / "old.json")  # half-replaced: the old one goes on
        for file in newer.iterdir():
            if file.name != "manifest.json":
                shutil.copy(file, place / file.name)
        time.sleep(2.5)
        assert client.card()["version"] == old
        shutil.copy(newer / "manifest.json", place / "manifest.json")
        until(lambda: client.card()["version"] != old)
        stop.set()
        [thread.join() for thread in threads]
        assert client.card()["version"] == load_engine(newer).version
        assert wrong == []
        assert {*map(tuple, seen)} == {("red",)}
        # a damaged one is refused, and the last good one goes on
        model = next(place.glob("*.safetensors"))
        model.write_bytes(model.read_bytes()[:-10])
        os.utime(place / "manifest.json")
        until(lambda: any("refused" in line for line in server.said))
        assert client.predict(TEXTS[:1])[0]["labels"] == ["red"]
    finally:
        server.end()


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
def test_it_ends_by_answering_what_it_has_taken(bundle):
    server = Server(bundle)
    body = json.dumps({"texts": [" ".join(["scarlet leaf"] * 1_500)] * 200}).encode()
    head = ("POST /v1/predict HTTP/1.1", "host: localhost", "content-type: application/json")
    head += (f"content-length: {len(body)}", "expect: 100-continue", "", "")
    try:
        with server.connect() as plain:
            plain.sendall("\r\n".join(head).encode())
            assert plain.recv(100).startswith(b"HTTP/1.1 100 "), "it has taken the request, and asks for its body"
            plain.sendall(body[:-1])
            server.process.send_signal(signal.SIGTERM)
            plain.sendall(body[-1:])
            answer = http.client.HTTPResponse(plain)
            answer.begin()
            assert answer.status == 200
            assert len(json.load(answer)["predictions"]) == 200
        assert server.process.wait(60) in (0, -signal.SIGTERM)
        assert not any("Traceback" in line for line in server.said)
    finally:
        server.end()


def test_a_worker_that_is_killed_comes_back(bundle, expected):
    server = Server(bundle, "--workers", 2)
    try:
        until(lambda: len(server.children()) == 2)
        wrong, right, stop = [], [0], threading.Event()

        def ask(i):
            client = Client(server.url, tries=1)
            while not stop.is_set():
                try:
                    [answer] = client.predict([TEXTS[i % 4]])
                except ServerError:
                    continue  # it was with the one that died: no answer, not a wrong one
                if answer["labels"] != expected.labels[i % 4]:
                    wrong.append(answer)
                right[0] += 1

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
        [thread.start() for thread in threads]
        until(lambda: right[0] > 50)
        killed = server.children()[0]
        psutil.Process(killed).kill()
        until(lambda: len({*server.children()} - {killed}) == 2)
        since = right[0]
        until(lambda: right[0] > since + 50)
        stop.set()
        [thread.join() for thread in threads]
        assert wrong == []
        assert [each["labels"] for each in Client(server.url).predict(TEXTS)] == expected.labels
        assert "smallprint_texts_total" in urllib.request.urlopen(f"{server.url}/metrics").read().decode()
    finally:
        server.end()


@pytest.mark.parametrize("listed", [False, True])
def test_workers_on_a_damaged_bundle_end(bundle, tmp_path, listed):
    place = tmp_path / "damaged"
    shutil.copytree(bundle, place)
    weights = place / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    if listed:  # its hash is the manifest's: only what loads it finds out
        manifest = json.loads((place / "manifest.json").read_text())
        manifest["files"]["model.safetensors"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        (place / "manifest.json").write_text(json.dumps(manifest))
    command = [sys.executable, "-m", "smallprint", "serve", str(place), "--workers", "2", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == (1 if listed else 6)
    assert ("Serving" in done.stderr) == listed
    assert "model.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_by_the_command_line(bundle, tmp_path):
    keys = tmp_path / "keys.txt"
    done = subprocess.run(
        [sys.executable, "-m", "smallprint", "key", "anna", "--keys", str(keys)],
        capture_output=True,
        text=True,
        check=True,
    )
    key = done.stdout.strip()
    assert make_key("ben", keys) != key
    server = Server(bundle, "--keys", keys, "--host", "127.0.0.1")
    try:
        assert Client(server.url, key).predict(TEXTS[:1])[0]["labels"] == ["red"]
        with pytest.raises(ServerError) as caught:
            Client(server.url, "wrong").predict(TEXTS[:1])
        assert caught.value.code == "key"
        assert not any(key in line for line in server.said)
    finally:
        server.end()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "no API key is asked for"),
        (["--keys", "nowhere.txt"], "cannot be read"),
        (["nowhere"], "does not exist"),
    ],
)
def test_what_cannot_be_served_is_said(bundle, arguments, said):
    command = [sys.executable, "-m", "smallprint", "serve", str(bundle), *arguments, "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode in (2, 6)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(bundle, server):
    command = [sys.executable, "-m", "smallprint", "serve", str(bundle), "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"Port {server.port}" in done.stderr
