"""What is put into the outbox behind the answers. Its delivery, by real processes, is in workflows/test_serve_actions.py."""

import io
import json
import sqlite3
import sys
import threading
import zipfile

import polars as pl
import pytest

from smallprint import decide
from smallprint.actions import deliver
from smallprint.actions.outbox import Outbox
from smallprint.actions.rules import Rule
from smallprint.core.errors import ConfigError, DataError
from smallprint.documents.plain import read_text
from smallprint.evaluation.policy import Policy
from smallprint.inference.scanner import scan_document
from smallprint.serve.acting import Sending
from smallprint.serve.settings import ServeSettings

RULE = {"name": "keep", "command": [sys.executable, "-c", "pass"]}
TEXTS = ["the crimson ink", "nothing", " ", "a leaf and crimson"]
TEXT = "COLOURS\n\nWe may use the crimson ink at any time. You will pay in leaf form.\n\nNothing is here."


@pytest.fixture
def box(tmp_path):
    return tmp_path / "box.sqlite"


@pytest.fixture
def acting(serve, box):
    return lambda **more: serve(**{"actions": "rules.yaml", "rules": (RULE,), "outbox": str(box), **more})


def kept(box):
    rows = sqlite3.connect(box).execute("select key, body from deliveries order by id").fetchall()
    return [(key, json.loads(body)) for key, body in rows]


def key(name):
    return {"idempotency-key": name}


def test_keys_are_those_of_predict(acting, box, engine, tmp_path):
    source, rules = tmp_path / "in.csv", tmp_path / "rules.yaml"
    pl.DataFrame({"text": TEXTS}).write_csv(source)
    rules.write_text(json.dumps([RULE]))
    decide.act(engine, source, tmp_path / "out.csv", rules, tmp_path / "own.sqlite")
    answer = acting().post("/v1/predict", json={"texts": TEXTS}, headers=key(str(source)))
    assert answer.status_code == 200
    assert answer.headers["idempotency-key"] == str(source)
    assert [each for each, _ in kept(box)] == [each for each, _ in kept(tmp_path / "own.sqlite")]
    assert [(body["row"], body["label"]) for _, body in kept(box)] == [(1, "red"), (4, "red"), (4, "green")]
    assert kept(box)[0][1] == {
        "document": str(source),
        "row": 1,
        "label": "red",
        "score": pytest.approx(0.9),
        "decision": None,
        "text": "the crimson ink",
        "model": "words",
    }


@pytest.mark.parametrize("stream", ["false", "true"])
def test_keys_are_those_of_scan(acting, box, engine, tmp_path, stream):
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps([RULE]))
    entry = scan_document(engine, read_text(TEXT.encode(), "a.txt"))
    decide.act_on_scan(engine, [entry], rules, tmp_path / "own.sqlite")
    client = acting()
    answer = client.post(
        f"/v1/scan?name=b.txt&stream={stream}",
        content=TEXT.encode(),
        headers={"content-type": "text/plain", **key("a.txt")},
    )
    assert answer.headers["idempotency-key"] == "a.txt"
    assert json.loads(answer.text.splitlines()[-1])["documents"][0]["findings"] == entry["findings"]
    assert len(kept(box)) == 2
    assert [each for each, _ in kept(box)] == [each for each, _ in kept(tmp_path / "own.sqlite")]
    assert {body["name"] for _, body in kept(box)} == {"b.txt"}


def test_documents_of_an_archive_are_told_apart(acting, box):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("a.txt", "b.txt"):
            archive.writestr(name, TEXT)
    client = acting()
    for _ in range(2):
        answer = client.post(
            "/v1/scan?name=all.zip",
            content=content.getvalue(),
            headers={"content-type": "application/zip", **key("case 7")},
        )
        assert answer.status_code == 200, answer.text
    found = [body["document"] for _, body in kept(box)]
    assert len(found) == 4
    assert [name.partition("case 7")[:2] for name in found] == [("", "case 7")] * 4
    assert len({*found}) == 2


def test_the_same_text_twice_is_no_repeat_but_with_the_same_key(acting, box):
    client = acting()
    body = {"texts": ["the crimson ink"]}
    names = [client.post("/v1/predict", json=body).headers["idempotency-key"] for _ in range(2)]
    assert len({*names}) == 2
    assert [body["document"] for _, body in kept(box)] == names
    for name in ("a", "a", "b"):
        client.post("/v1/predict", json=body, headers=key(name))
    assert [body["document"] for _, body in kept(box)] == [*names, "a", "b"]


def test_who_only_tries_has_nothing_done(acting, box, problem):
    client = acting()
    for path, body in (("/v1/predict", {"texts": TEXTS}), ("/v1/scan", {"text": TEXT})):
        answer = client.post(path, json=body, headers={"smallprint-actions": "none", **key("a")})
        assert answer.status_code == 200
        assert "idempotency-key" not in answer.headers
        problem(client.post(path, json=body, headers={"smallprint-actions": "nothing"}), 422, "invalid")
        for odd in ("", "x" * 256, "caf\xe9".encode("latin-1")):
            problem(client.post(path, json=body, headers=key(odd)), 422, "invalid")
    assert not box.exists() or kept(box) == []


def test_without_actions_nothing_is_kept(serve, tmp_path):
    answer = serve().post("/v1/predict", json={"texts": TEXTS}, headers=key("a"))
    assert "idempotency-key" not in answer.headers
    assert [*tmp_path.iterdir()] == []


def test_too_much_waits_and_is_refused_before_any_work(acting, box, words, problem):
    client = acting(undelivered=2)
    assert client.post("/v1/predict", json={"texts": TEXTS}).status_code == 200
    done = len(words.sizes)
    for path, body in (
        ("/v1/predict", {"texts": TEXTS}),
        ("/v1/scan", {"text": TEXT}),
        ("/v1/scan?stream=true", {"text": TEXT}),
    ):
        answer = client.post(path, json=body)
        problem(answer, 503, "outbox")
        assert int(answer.headers["retry-after"]) > 0
    assert len(words.sizes) == done
    assert len(kept(box)) == 3
    assert client.post("/v1/predict", json={"texts": TEXTS}, headers={"smallprint-actions": "none"}).status_code == 200


def test_what_cannot_be_kept_is_not_answered(acting, box, problem, caplog):
    client = acting()
    assert client.post("/v1/predict", json={"texts": ["nothing"]}).status_code == 200
    with sqlite3.connect(box) as base:
        base.execute("create trigger full before insert on deliveries begin select raise(abort, 'disk is full'); end")
    problem(client.post("/v1/predict", json={"texts": TEXTS}), 503, "outbox")
    problem(client.post("/v1/scan", json={"text": TEXT}), 503, "outbox")
    last = client.post("/v1/scan?stream=true", json={"text": TEXT}).text.splitlines()[-1]
    assert json.loads(last)["problem"]["code"] == "outbox"
    assert "disk is full" in caplog.text
    assert "crimson" not in caplog.text
    with sqlite3.connect(box) as base:
        base.execute("drop trigger full")
    assert client.post("/v1/predict", json={"texts": TEXTS}).status_code == 200
    assert len(kept(box)) == 3


def test_what_goes_to_a_person_without_a_label_has_its_likeliest(acting, box, engine):
    engine.policy = Policy(None, None)  # promises nothing, so that all goes to a person
    rule = {**RULE, "when": ["person"], "labels": ["red"]}
    client = acting(rules=(rule,))
    client.post("/v1/predict", json={"texts": TEXTS})
    assert [(body["row"], body["label"]) for _, body in kept(box)] == [(1, "red"), (2, "red"), (4, "red")]


def test_counts_without_texts(acting, box):
    client = acting()
    client.post("/v1/predict", json={"texts": TEXTS}, headers=key("my document"))
    outbox = Outbox(box, shared=True)
    outbox.done(outbox.due())
    outbox.failed(outbox.due(), "away", 60.0)
    told = client.get("/metrics").text
    assert 'smallprint_actions{action="keep",state="waiting"} 2.0' in told
    assert 'smallprint_actions{action="keep",state="delivered"} 1.0' in told
    assert 'smallprint_actions{action="keep",state="dead"} 0.0' in told
    assert 'smallprint_actions_failed_tries{action="keep"} 1.0' in told
    assert "crimson" not in told
    assert "my document" not in told


def test_other_counts_are_told_where_the_outbox_cannot_be_used(acting, tmp_path):
    told = acting(outbox=str(tmp_path / "none" / "box")).get("/metrics")
    assert told.status_code == 200
    assert "smallprint_requests" in told.text
    assert "smallprint_actions" not in told.text


def test_what_is_delivered_leaves_no_text(box):
    outbox = Outbox(box, shared=True)
    outbox.add("keep", [("k", {"document": "d", "text": "the crimson ink"})])
    outbox.done(outbox.due())
    assert outbox.add("keep", [("k", {"document": "d", "text": "the crimson ink"})]) == 0
    assert kept(box) == [("k", {})]


def test_one_action_that_hangs_holds_up_no_other(box, monkeypatch):
    gate, seen = threading.Event(), []
    functions = {
        "own:slow": lambda finding: gate.wait(120),
        "own:quick": seen.append,
        "own:ends": lambda _: sys.exit(3),
    }
    monkeypatch.setattr(deliver, "import_part", lambda path, slot: functions[path])
    settings = [{"name": name, "call": f"own:{name}", "retries": 0} for name in ("slow", "quick", "ends")]
    outbox = Outbox(box, shared=True)
    for rule in settings:
        outbox.add(rule["name"], [(f"{rule['name']} {i}", {"document": "d", "row": i}) for i in range(3)])
    # what an action that is no longer there left behind, at the very start of the queue or not, stops nothing
    outbox.add("gone", [("gone", {"document": "d"})])
    with Sending(box, [Rule.model_validate(rule) for rule in settings]):
        for _ in range(2000):
            tally = outbox.tally()
            if tally.get(("quick", "delivered"), (0, 0))[0] == 3 and tally.get(("ends", "dead"), (0, 0))[0] == 3:
                break
            threading.Event().wait(0.05)
        assert [each["row"] for each in seen] == [0, 1, 2]
        assert outbox.tally()[("ends", "dead")] == (3, 3), "a function that ends its process is a try that failed"
        assert outbox.tally()[("slow", "waiting")] == (3, 0)
        with pytest.raises(DataError, match="that no other process works on"):
            Sending(box, [])
        gate.set()
    assert outbox.counts() == {"waiting": 1, "delivered": 6, "dead": 3}


def test_whatever_goes_wrong_in_a_delivery_the_next_one_is_tried(box, monkeypatch, caplog):
    seen = []
    monkeypatch.setattr(deliver, "import_part", lambda path, slot: seen.append)
    failed = iter([ValueError("the text of a finding")])

    def due(outbox, rules, real=Outbox.due):
        for error in failed:
            raise error
        return real(outbox, rules)

    monkeypatch.setattr(Outbox, "due", due)
    outbox = Outbox(box, shared=True)
    outbox.add("own", [("k", {"document": "d"})])
    with Sending(box, [Rule(name="own", call="own:function")]):
        for _ in range(200):
            if outbox.counts()["delivered"]:
                break
            threading.Event().wait(0.05)
    assert seen == [{"document": "d", "key": "k"}]
    assert "ValueError" in caplog.text
    assert "the text" not in caplog.text


def test_an_outbox_without_actions_is_a_mistake():
    with pytest.raises(ConfigError, match="nothing goes into it"):
        ServeSettings((("m", "f"),), outbox="box").check()


def test_worker_processes_hear_of_the_rules(monkeypatch):
    given = ServeSettings((("m", "f"),), actions="rules.yaml", outbox="box", rules=(RULE,))
    monkeypatch.setenv("SMALLPRINT_SERVE", "")
    given.to_environment()
    assert ServeSettings.from_environment() == given
