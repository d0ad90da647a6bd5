"""A model of words that answers at once, a bundle that loads in a moment, and an application around them."""

import threading

import numpy as np
import pytest

from smallprint.data.labels import LabelSet
from smallprint.inference.engine import Engine
from smallprint.serve.app import build_app
from smallprint.serve.batcher import Batcher
from smallprint.serve.models import Models, Served
from smallprint.serve.points import points_of
from smallprint.serve.settings import ServeSettings


class Words:
    """A scorer that knows two words, and remembers its batches and their sizes."""

    max_length, n_truncated = None, 0

    def __init__(self):
        self.sizes, self.batches = [], []
        self.wait = None

    def score(self, texts):
        self.sizes.append(len(texts))
        self.batches.append(list(texts))
        if self.wait is not None:
            self.wait()
        if any("BUG" in text for text in texts):
            raise ZeroDivisionError(f"secret: {texts}")
        found = [[0.9 if word in text else 0.1 for word in ("crimson", "leaf")] for text in texts]
        return np.array(found, dtype=np.float32).reshape(-1, 2)


@pytest.fixture
def words():
    return Words()


@pytest.fixture
def engine(words):
    return Engine(words, LabelSet("multilabel", ["red", "green"]), np.full(2, 0.5), version="v1")


@pytest.fixture
def serve(engine):
    """`serve(**settings)`: a client of an application with the model of words."""
    from starlette.testclient import TestClient

    open_clients = []

    def make(host="127.0.0.1:8000", **more):
        settings = ServeSettings(models=(("words", "nowhere"),), reload_seconds=0, **more)
        models = Models(settings)
        batcher = Batcher(engine, models.lanes, batch=8, waiting=settings.waiting, seconds=settings.answer_seconds)
        names = list(engine.labels.names)
        card = {
            "name": "words",
            "version": "v1",
            "task": "multilabel",
            "labels": names,
            "score_names": names,
            "thresholds": [0.5, 0.5],
            "points": points_of(engine),
        }
        models.served["words"] = Served("words", engine, batcher, card, ("", 0, 0))
        client = TestClient(build_app(settings, models), base_url=f"http://{host}", raise_server_exceptions=False)
        client.__enter__()
        open_clients.append(client)
        return client

    yield make
    for client in open_clients:
        client.__exit__(None, None, None)


@pytest.fixture
def gate(words):
    """Holds the model until it is set."""
    gate = threading.Event()
    words.wait = lambda: gate.wait(5)
    return gate


@pytest.fixture
def problem():
    """`problem(answer, status, code)`: checks that an answer is that problem, and gives it."""

    def check(answer, status, code):
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        tree = answer.json()
        assert tree["code"] == code
        assert tree["status"] == status
        assert {"type", "title", "detail"} <= tree.keys()
        return tree

    return check
