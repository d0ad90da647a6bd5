import json
import subprocess
import sys
import time

import pytest

from smallprint.actions import deliver as module
from smallprint.actions.deliver import RefusedError, check_signature, deliver, sign
from smallprint.actions.outbox import Outbox, key_of
from smallprint.actions.rules import Rule
from smallprint.core.errors import ConfigError

FINDINGS = [
    {"document": f"d{i % 3}", "row": i, "label": "a", "text": f"text {i}", "decision": "person"} for i in range(30)
]
# fails half of the calls, as the work's order of asking decides; writes each key that it accepted
SERVER = """
import http.server, json, random, sys
rng, seen = random.Random(1), set()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(body) < int(self.headers["Content-Length"]): return  # its sender was killed in the middle: nothing was taken
        key, kind = self.headers["Idempotency-Key"], rng.random()
        if kind < 0.25:
            self.send_response(503); self.end_headers(); return
        if key not in seen:
            seen.add(key)
            with open(sys.argv[1], "a") as file:
                file.write(json.dumps({"key": key, "signature": self.headers["Smallprint-Signature"], **json.loads(body)}) + "\\n")
        if kind < 0.5:
            self.connection.close(); return  # it has it, and the caller does not know
        self.send_response(200); self.end_headers()
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
WORK = """
import json, sys
from smallprint.actions import deliver as module
from smallprint.actions.outbox import Outbox, key_of
from smallprint.actions.rules import Rule
module.FIRST_WAIT_S = 0.01
findings = json.loads(sys.argv[3])
rule = Rule(name="hook", webhook=f"http://127.0.0.1:{sys.argv[1]}/x", secret="HOOK_SECRET", retries=50)
box = Outbox(sys.argv[2])
box.add("hook", [(key_of("hook", "m", finding), finding) for finding in findings])
print("begun", flush=True)
print(json.dumps(module.deliver(box, [rule])), flush=True)
"""


@pytest.fixture
def outbox(tmp_path):
    box = Outbox(tmp_path / "box.sqlite")
    box.add("r", [(key_of("r", "m", finding), finding) for finding in FINDINGS[:6]])
    yield box
    box.close()


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.001)


def target(monkeypatch, function):
    monkeypatch.setattr(module, "import_part", lambda path, slot: function)
    return Rule(name="r", call="own:function", retries=3)


def test_a_receiver_that_fails_half_the_time_and_a_process_that_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "quiet")
    log = tmp_path / "received.jsonl"
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(log)], stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()
        command = [sys.executable, "-c", WORK, port, str(tmp_path / "box.sqlite"), json.dumps(FINDINGS)]
        for kills in range(3):
            work = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert work.stdout.readline() == "begun\n"
            began = time.monotonic()
            while time.monotonic() - began < 10 and (
                not log.exists() or len(log.read_text().splitlines()) < 5 * (kills + 1)
            ):
                time.sleep(0.005)
            work.kill()
            work.wait()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert json.loads(done.stdout.splitlines()[-1]) == {"waiting": 0, "delivered": 30, "dead": 0}
    finally:
        server.kill()
    received = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(part["row"] for part in received) == list(range(30)), "each once"
    for document in ("d0", "d1", "d2"):
        rows = [part["row"] for part in received if part["document"] == document]
        assert rows == sorted(rows), "in order within a document"
    body = json.dumps(FINDINGS[received[0]["row"]], ensure_ascii=False).encode()
    assert check_signature(b"quiet", received[0]["signature"], body)


def test_a_function(outbox, monkeypatch):
    seen = []
    counts = deliver(outbox, [target(monkeypatch, seen.append)])
    assert counts == {"waiting": 0, "delivered": 6, "dead": 0}
    assert [part["row"] for part in seen] == list(range(6))
    assert len({part["key"] for part in seen}) == 6


def test_what_fails_is_tried_again_and_then_given_up(outbox, monkeypatch, at_once):
    tries, lines = {}, []

    def odd(finding):
        tries[finding["row"]] = tries.get(finding["row"], 0) + 1
        if finding["row"] == 0 or (finding["row"] == 1 and tries[1] < 3):
            raise OSError("away")

    counts = deliver(outbox, [target(monkeypatch, odd)], say=lines.append)
    assert counts == {"waiting": 0, "delivered": 5, "dead": 1}
    assert tries[0] == 4
    assert tries[1] == 3
    assert len(lines) == 1
    assert "given up after 4 tries" in lines[0]
    assert "text 0" not in lines[0]


def test_what_is_refused_is_not_tried_again(outbox, monkeypatch):
    calls = []

    def refuse(finding):
        calls.append(finding["row"])
        raise RefusedError("HTTP 422")

    assert deliver(outbox, [target(monkeypatch, refuse)])["dead"] == 6
    assert calls == list(range(6))


def test_an_error_that_names_a_file_of_no_utf_8_is_told(outbox, monkeypatch, at_once):
    def odd(finding):
        raise FileNotFoundError("no a\udcff.txt")

    assert deliver(outbox, [target(monkeypatch, odd)])["dead"] == 6
    assert next(outbox.dead())[1] == "FileNotFoundError: no a\\udcff.txt"


def test_a_command_gets_the_finding_without_a_shell(outbox, tmp_path):
    script = tmp_path / "file it; echo.py"
    script.write_text("import json, sys; open(sys.argv[1], 'a').write(str(json.load(sys.stdin)['row']) + ' ')")
    out = tmp_path / "rows"
    deliver(outbox, [Rule(name="r", command=[sys.executable, str(script), str(out)])])
    assert out.read_text().split() == [str(i) for i in range(6)]


def test_a_command_that_fails_or_hangs(outbox, at_once):
    rules = [Rule(name="r", command=[sys.executable, "-c", "raise SystemExit(3)"], retries=0)]
    assert deliver(outbox, rules)["dead"] == 6
    assert next(outbox.dead())[1] == "RuntimeError: exit code 3"
    outbox.revive()
    rules = [Rule(name="r", command=[sys.executable, "-c", "import time; time.sleep(60)"], retries=0, timeout_s=0.2)]
    assert deliver(outbox, rules)["dead"] == 6


def test_what_waits_for_another_action_stays(outbox):
    assert deliver(outbox, [Rule(name="other", command=["true"])])["waiting"] == 6


def test_a_secret_that_is_not_set(outbox, monkeypatch):
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    with pytest.raises(ConfigError, match="HOOK_SECRET, and that variable is not set"):
        deliver(outbox, [Rule(name="r", webhook="https://x.org", secret="HOOK_SECRET")])
    assert outbox.counts()["waiting"] == 6


def test_signatures():
    now = int(time.time())
    assert check_signature(b"s", sign(b"s", now, b"body"), b"body")
    assert not check_signature(b"s", sign(b"s", now, b"body"), b"bodies")
    assert not check_signature(b"t", sign(b"s", now, b"body"), b"body")
    assert not check_signature(b"s", sign(b"s", now - 1000, b"body"), b"body"), "an old call, sent once more"
    assert not check_signature(b"s", "nonsense", b"body")
    for header in (
        f"t={now},v1=é",
        f"t={now},v1=\udcff",
        "t=" + "9" * 5_000 + ",v1=0",
        f"t={chr(0x661)},v1=0",
        "t=,v1=",
    ):
        assert not check_signature(b"s", header, b"body"), "what a stranger wrote raises nothing"
