import json
import threading

import numpy as np
import pytest
from fastapi import FastAPI

from smallprint.documents.plain import read_text
from smallprint.evaluation.policy import Policy, Promise
from smallprint.inference.scanner import scan_document
from smallprint.serve.points import NAMES, points_of

TEXT = "COLOURS\n\nWe may use the crimson ink at any time. You will pay in leaf form.\n\nNothing is here."


def test_predictions_are_the_engines(serve, engine):
    texts = ["the crimson ink", "nothing", "a leaf and crimson", "?"]
    answer = serve().post("/v1/predict", json={"texts": texts})
    assert answer.status_code == 200
    tree, expected = answer.json(), engine.predict(texts)
    assert (tree["model"], tree["version"]) == ("words", "v1")
    assert [each["labels"] for each in tree["predictions"]] == expected.labels
    scores = np.array([[*each["scores"].values()] for each in tree["predictions"]], dtype=np.float32)
    assert np.array_equal(scores, expected.scores)
    assert {each["decision"] for each in tree["predictions"]} == {None}


def test_a_text_without_words_gets_nothing_as_in_a_table(serve):
    client = serve()
    for texts in (["the crimson ink", "", " \n"], [""]):
        predictions = client.post("/v1/predict", json={"texts": texts}).json()["predictions"]
        assert predictions[-1] == {"labels": [], "scores": {}, "decision": None}
    assert predictions == [{"labels": [], "scores": {}, "decision": None}]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not-json"),
        (b"\xff\xfe", 400, "not-json"),
        (b"[" * 100_000, 400, "not-json"),
        (b"[]", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"texts": []}', 422, "invalid"),
        (b'{"texts": "one"}', 422, "invalid"),
        (b'{"texts": [1]}', 422, "invalid"),
        (b'{"texts": [null]}', 422, "invalid"),
        (b'{"texts": ["a"], "labels": []}', 422, "invalid"),
        (b'{"texts": ["\\ud800"]}', 422, "invalid"),
        (b'{"texts": ["a"], "model": "other"}', 404, "not-found"),
        (json.dumps({"texts": ["a"] * 6}).encode(), 413, "too-large"),
        (json.dumps({"texts": ["a" * 1_001]}).encode(), 413, "too-large"),
    ],
)
def test_a_wrong_body_is_told(serve, body, status, code, problem):
    client = serve(texts=5, characters=1_000)
    problem(client.post("/v1/predict", content=body, headers={"content-type": "application/json"}), status, code)
    assert client.post("/v1/predict", json={"texts": ["a" * 1_000] * 5}).status_code == 200


@pytest.mark.parametrize(
    "body", [b"{", b'{"texts": []}', b'{"texts": ["BUG"]}', b'{"texts": ["\\ud800"]}', b'{"texts": ["leaf", "a"]}']
)
def test_the_way_past_the_framework_answers_as_the_framework_does(serve, body, monkeypatch):
    def post(client, **more):
        answer = client.post("/v1/predict", content=body, headers={"content-type": "application/json", **more})
        return answer.status_code, answer.content, dict(answer.headers)

    client = serve()
    framed = post(client, **{"smallprint-actions": "none"})  # a header that the route checks
    monkeypatch.setattr(FastAPI, "__call__", None)
    assert post(client) == framed
    monkeypatch.undo()
    counted = client.get("/metrics").text
    assert f'smallprint_requests_total{{route="/v1/predict",status="{framed[0]}"}} 2.0' in counted


def test_headers_of_actions_are_checked(serve, problem):
    for headers in ({"Idempotency-Key": ""}, {"Idempotency-Key": "\u00e4"}, {"Smallprint-Actions": "all"}):
        sent = {name: value.encode("latin-1") for name, value in headers.items()}
        problem(serve().post("/v1/predict", json={"texts": ["a"]}, headers=sent), 422, "invalid")


def test_what_is_wrong_is_not_repeated(serve):
    answer = serve().post("/v1/predict", json={"texts": [{"private": "words"}], "secret": 1})
    assert "private" not in answer.text
    assert "words" not in answer.text


def test_other_media_types_paths_and_methods(serve, problem):
    client = serve()
    problem(client.post("/v1/predict", content=b"a", headers={"content-type": "text/plain"}), 415, "media-type")
    problem(client.post("/v1/scan", content=b"a", headers={"content-type": "image/png"}), 415, "media-type")
    problem(client.get("/v1/nothing"), 404, "not-found")
    answer = client.get("/v1/predict")
    problem(answer, 405, "method")
    assert answer.headers["allow"] == "POST"
    for path in ("/docs", "/redoc", "/../secret", "/page/page.js", "/page.html"):
        assert client.get(path).status_code == 404


def test_a_scan_is_the_command_lines(serve, engine):
    client = serve()
    expected = scan_document(engine, read_text(TEXT.encode(), "a.txt"))
    for answer in (
        client.post("/v1/scan", json={"text": TEXT, "name": "a.txt"}),
        client.post("/v1/scan?name=a.txt", content=TEXT.encode(), headers={"content-type": "text/plain"}),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.json()["documents"] == [expected]


def test_a_scan_with_all_of_it(serve):
    answer = serve().post("/v1/scan?whole=true&explain=true", json={"text": TEXT}).json()["documents"][0]
    assert answer["text"].startswith("COLOURS\n")
    assert [answer["text"][start:end] for start, end, _ in answer["scored"]] == [  # of a bare heading nothing
        "We may use the crimson ink at any time.",
        "You will pay in leaf form.",
        "Nothing is here.",
    ]
    assert answer["scored"][0][2] == [0.9, 0.1]
    assert answer["headings"] == [[0, 7]]
    assert "crimson" in [part["text"] for part in answer["findings"][0]["evidence"]]


def test_a_stream_tells_how_far_it_is(serve, words):
    gate = threading.Event()
    words.wait = lambda: gate.wait(1.0)
    text = "\n".join(f"We may use the crimson ink number {i}." for i in range(100))
    lines = serve().post("/v1/scan?stream=true", json={"text": text}).text.splitlines()
    told = [json.loads(line) for line in lines]
    assert told[0]["of"] in (0, 100)
    assert len(told[-1]["documents"][0]["findings"]) == 100
    bad = serve().post(
        "/v1/scan?stream=true&name=a.pdf", content=b"%PDF-1.4 broken", headers={"content-type": "application/pdf"}
    )
    last = json.loads(bad.text.splitlines()[-1])
    assert "a.pdf" in last["documents"][0]["error"]["found"]


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"%PDF-1.4 broken", "a.pdf"), (b"PK\x03\x04 broken", "a.zip"), (b"\x00\x01\x02", "a.txt"), (b" \n ", "b.txt")],
)
def test_a_document_that_cannot_be_read_is_an_answer(serve, content, name):
    answer = serve().post(
        f"/v1/scan?name={name}", content=content, headers={"content-type": "application/octet-stream"}
    )
    assert answer.status_code == 200
    entry = answer.json()["documents"][0]
    assert set(entry["error"]) == {"found", "expected", "do"}
    assert "Traceback" not in str(entry["error"])


def test_limits_of_documents(serve, problem):
    client = serve(document_characters=100)
    problem(client.post("/v1/scan", json={"text": "a " * 51}), 413, "too-large")
    entry = client.post("/v1/scan", content=b"a " * 51, headers={"content-type": "text/plain"}).json()["documents"][0]
    assert "102 characters" in entry["error"]["found"] or "101 characters" in entry["error"]["found"]
    problem(client.post("/v1/scan", content=b"", headers={"content-type": "text/plain"}), 422, "invalid")


def test_a_scan_that_takes_too_long_is_given_up(serve, words, problem):
    words.wait = lambda: threading.Event().wait(0.2)
    client = serve(scan_seconds=0.3)
    text = "\n".join(f"We may use the crimson ink number {i}." for i in range(100))
    problem(client.post("/v1/scan", json={"text": text}), 503, "timeout")


def test_words_that_carried_a_label(serve, problem):
    client = serve()
    answer = client.post("/v1/explain", json={"text": "We may use the crimson ink.", "label": "red"}).json()
    assert [part["text"] for part in answer["evidence"]] == ["crimson"]
    problem(client.post("/v1/explain", json={"text": "a", "label": "blue"}), 422, "invalid")


def test_cards_labels_state_and_counts(serve, problem):
    client = serve()
    assert client.get("/v1/labels").json() == {"labels": ["red", "green"], "reasons": {}}
    assert client.get("/v1/model").json()["version"] == "v1"
    problem(client.get("/v1/model?model=x"), 404, "not-found")
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}
    client.post("/v1/predict", json={"texts": ["the private crimson", "b"]})
    counted = client.get("/metrics").text
    assert 'smallprint_texts_total{model="words"} 2.0' in counted
    assert 'smallprint_labels_total{label="red",model="words"} 1.0' in counted
    assert "private" not in counted
    client.get("/some/private/path")
    assert "private" not in client.get("/metrics").text


def test_openapi_tells_every_route_and_problem(serve, problem):
    schema = serve().get("/openapi.json").json()
    assert {
        "/v1/predict",
        "/v1/scan",
        "/v1/explain",
        "/v1/labels",
        "/v1/model",
        "/health",
        "/ready",
        "/metrics",
    } <= schema["paths"].keys()
    body = schema["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["texts"]["examples"]
    assert {"413", "422", "429", "503"} <= schema["paths"]["/v1/predict"]["post"]["responses"].keys()


def test_points_go_from_more_to_surer(engine):
    points = points_of(engine)
    assert [point["name"] for point in points] == list(NAMES)
    steps = [point["thresholds"][0] for point in points]
    assert steps == sorted(steps)
    assert steps[2] == pytest.approx(0.5)
    assert {point["promise"] for point in points} == {None}
    engine.policy = Policy(
        Promise("recall", 0.95, 0.9, 0.2, 0.96, 0.95, 0.5, 20), Promise("precision", 0.9, 0.95, 0.8, 0.9, 0.95, 0.1, 20)
    )
    points = points_of(engine)
    assert points[0]["any"] == 0.2
    assert "95%" in points[0]["promise"]
    assert points[4]["thresholds"] == [0.8, 0.8]
