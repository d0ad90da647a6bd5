"""A server that acts on findings, as a process: its receiver fails, it is killed, told to end, or given a wrong file of rules."""

import http.server
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from test_serve import Server

from smallprint.actions.deliver import check_signature
from smallprint.actions.outbox import Outbox
from smallprint.serve.client import Client, ServerError

pytestmark = pytest.mark.usefixtures("loopback")
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
COLOURS = ["scarlet", "leaf", "ocean"]
QUICK = (
    "from smallprint.actions import deliver; from smallprint.cli.app import main; deliver.FIRST_WAIT_S = 0.02; main()"
)


class Acting(Server):
    """Tries again sooner than a real one."""

    smallprint = (sys.executable, "-c", QUICK)


class Receiver:
    """A webhook's target: `fails` of the calls fail, half of them after it took the finding; with `gate` it waits before it answers."""

    def __init__(self, fails=0.0, gate=None):
        receiver = self
        receiver.taken, receiver.calls, keys, lock, rng = [], 0, set(), threading.Lock(), random.Random(1)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if len(body) < int(self.headers["content-length"]):
                    return  # its sender was killed in the middle: nothing was taken
                key, signed = self.headers["idempotency-key"], self.headers["smallprint-signature"]
                with lock:
                    receiver.calls += 1
                    kind = rng.random()
                    if kind >= fails / 2 and key not in keys:
                        keys.add(key)
                        receiver.taken.append(
                            {"key": key, "signed": check_signature(b"quiet", signed, body), **json.loads(body)}
                        )
                if gate is not None:
                    gate.wait(30)
                if kind < fails / 2:
                    self.send_error(503)
                elif kind < fails:
                    self.close_connection = True  # it has it, and the caller does not know
                else:
                    self.send_response(200)
                    self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/x"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def rules(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "quiet")

    def write(**more):
        rule = {"name": "hook", "secret": "HOOK_SECRET", "retries": 50, **more}
        (tmp_path / "rules.yaml").write_text(json.dumps([rule]))
        return tmp_path / "rules.yaml"

    return write


def until(wanted, seconds=60):
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


def counts(rules):
    box = Outbox(f"{rules}.outbox.sqlite", shared=True)
    try:
        return box.counts()
    finally:
        box.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_receiver_that_fails_half_the_time_and_a_server_that_is_killed(toy_run, rules, workers):
    receiver = Receiver(fails=0.5)
    file = rules(webhook=receiver.url)
    documents = {
        f"d{d}": "\n\n".join(f"We may use {COLOURS[(d + i) % 3]} number {i}." for i in range(6)) for d in range(6)
    }
    expected, left = {}, 0
    server = Acting(toy_run / "bundle", "--actions", file, "--workers", workers)
    try:
        for kill in range(4 - workers):
            # each document is sent again and again, by several at once; some are with the server when it is killed
            def send(name, server=server):
                try:
                    [found] = Client(server.url, tries=3).scan(
                        documents[name].encode(), f"{name}.txt", idempotency_key=name
                    )
                except ServerError:
                    return
                expected[name] = [(f["start"], label) for f in found["findings"] for label in f["labels"]]

            threads = [
                threading.Thread(target=send, args=(name,)) for name in [*documents][: 2 * kill + 2] for _ in range(3)
            ]
            [thread.start() for thread in threads]
            before = len(receiver.taken)
            until(lambda before=before: len(receiver.taken) >= before + 3)
            server.end()
            [thread.join() for thread in threads]
            left += counts(file)["waiting"]
            server = Acting(toy_run / "bundle", "--actions", file, "--workers", workers)
        assert left, "it was killed in the middle"
        until(lambda: counts(file)["waiting"] == 0)
        assert expected.keys() <= {part["document"] for part in receiver.taken}, "what was answered is delivered"
        for name in documents:
            Client(server.url).scan(documents[name].encode(), idempotency_key=name)
        until(lambda: counts(file)["waiting"] == 0 and counts(file)["delivered"] == len(receiver.taken))
        told = urllib.request.urlopen(f"{server.url}/metrics").read().decode()
    finally:
        server.end()
        receiver.end()
    assert f'smallprint_actions{{action="hook",state="delivered"}} {len(receiver.taken)}.0' in told
    for name, text in documents.items():
        found = [(part["start"], part["label"]) for part in receiver.taken if part["document"] == name]
        assert len(found) >= 6
        assert len(found) == len({*found}), "each once"
        assert [start for start, _ in found] == sorted(start for start, _ in found), "in order within a document"
        assert expected.get(name, found) == found, "each that was answered, and no other"
        assert all(part["text"] in text for part in receiver.taken if part["document"] == name)
    assert len({part["key"] for part in receiver.taken}) == len(receiver.taken)
    assert receiver.calls > len(receiver.taken), "some were tried again"
    assert all(part["signed"] for part in receiver.taken)
    assert not any("number" in line or "Traceback" in line for line in server.said)


@needs_signals
def test_answers_wait_for_no_delivery_and_sigterm_loses_none(toy_run, rules):
    gate = threading.Event()
    receiver = Receiver(gate=gate)
    file = rules(webhook=receiver.url)
    server = Acting(toy_run / "bundle", "--actions", file, "--undelivered", 4)
    try:
        client = Client(server.url, tries=1)
        for i in range(4):
            assert client.predict([f"we may use scarlet {i}"])[0]["labels"] == ["red"]
        until(lambda: receiver.calls == 1)  # which has not been answered
        with pytest.raises(ServerError) as caught:
            client.predict(["we may use scarlet"])
        assert (caught.value.status, caught.value.code) == (503, "outbox")
        assert counts(file) == {"waiting": 4, "delivered": 0, "dead": 0}
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        gate.set()
        assert server.process.wait(60) == 0
        assert counts(file) == {"waiting": 0, "delivered": 4, "dead": 0}, "what was due went out"
        assert [part["text"] for part in receiver.taken] == [f"we may use scarlet {i}" for i in range(4)]
        assert not any("Traceback" in line for line in server.said)
    finally:
        gate.set()
        server.end()
        receiver.end()


@needs_signals
def test_what_cannot_go_out_at_the_end_waits_for_the_next_start(toy_run, rules):
    gate = threading.Event()
    receiver = Receiver(gate=gate)
    file = rules(webhook=receiver.url)
    server = Acting(toy_run / "bundle", "--actions", file)
    try:
        Client(server.url).predict(["we may use scarlet 0", "we may use scarlet 1"], idempotency_key="d")
        until(lambda: receiver.calls == 1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        until(lambda: any("2 findings wait for the next start" in line for line in server.said), 5)
        gate.set()
        server = Acting(toy_run / "bundle", "--actions", file)
        until(lambda: counts(file)["waiting"] == 0)
    finally:
        gate.set()
        server.end()
        receiver.end()
    assert [part["row"] for part in receiver.taken] == [1, 2], "each once by its key"


@pytest.mark.parametrize(
    ("rule", "more", "said"),
    [
        ({"command": ["x"], "labels": ["purple"], "secret": None}, [], "has no label 'purple'"),
        ({"call": "no.such:function", "secret": None}, [], "cannot be imported"),
        (
            {"webhook": "http://127.0.0.1:9/", "secret": "NOT_SET_ANYWHERE"},
            [],
            "NOT_SET_ANYWHERE, and that variable is not set",
        ),
        ({}, [], "one of webhook, command and call is needed"),
        ({"command": ["x"], "secret": None}, ["--outbox", f"{__file__}/box"], "cannot be opened"),
    ],
)
def test_wrong_rules_are_refused_at_the_start(toy_run, rules, rule, more, said):
    command = [sys.executable, "-m", "smallprint", "serve", str(toy_run / "bundle"), "--port", "0"]
    done = subprocess.run(
        [*command, "--actions", str(rules(**rule)), *more], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (2, 3)
    assert said in done.stderr
    assert "Expected: " in done.stderr
    assert "What to do: " in done.stderr
    assert "Traceback" not in done.stderr


def test_two_servers_do_not_deliver_from_one_outbox(toy_run, rules):
    file = rules(command=["true"], secret=None)
    server = Acting(toy_run / "bundle", "--actions", file)
    try:
        command = [sys.executable, "-m", "smallprint", "serve", str(toy_run / "bundle"), "--port", "0"]
        done = subprocess.run([*command, "--actions", str(file)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 3
        assert "that no other process works on" in done.stderr
    finally:
        server.end()
