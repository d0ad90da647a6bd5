"""A sweep whose store is away when it begins: that is said, and trials are tracked from when it answers."""

from types import SimpleNamespace

import pytest

from smallprint.core.config import Config
from smallprint.sweep.tracking import PARENT, SweepTracking


class Store:
    """An MLflow client that is away as long as it is told to."""

    def __init__(self):
        self.away, self.runs, self.ended = True, {}, []

    def create_run(self, experiment, start_time, tags, run_name):
        self._check()
        self.runs[run_name] = dict(tags)
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def search_runs(self, experiments, query, max_results):
        return []

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        self._check()
        self.runs[run_id] |= {tag.key: tag.value for tag in tags}

    def set_terminated(self, run_id, status, end_time):
        self._check()
        self.ended.append((run_id, status))

    def get_experiment_by_name(self, name):
        self._check()
        return SimpleNamespace(experiment_id="1")

    def _check(self):
        if self.away:
            raise ConnectionError("away")


class Remembers:
    """A study that remembers."""

    def __init__(self, folder):
        self.folder, self.kept = folder, {}

    def recall(self, name):
        return self.kept.get(name)

    def remember(self, name, value):
        self.kept[name] = value


@pytest.fixture
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr("smallprint.training.sending.open_client", lambda uri, make: store)
    for name in ("AGAIN_SECONDS", "SLOW"):  # a first import may take as long as a slow store
        monkeypatch.setattr(f"smallprint.training.tracking.{name}", 0.0)
    return store


def test_a_store_that_is_away_is_said_and_trials_are_tracked_once_it_answers(store, tmp_path):
    said, study = [], Remembers(tmp_path / "sweep")
    tracking = SweepTracking(study, Config(), said.append)
    assert "does not answer" in said[0]
    assert "trials are not tracked until it answers" in said[1]
    tracking.begin("trial 1", {"model.dropout": 0.1}).finish()
    assert (store.runs, study.kept) == ({}, {})
    store.away = False
    tracking.begin("trial 2", {"model.dropout": 0.2}).finish()
    assert set(store.runs) == {"sweep", "trial 2"}
    assert store.runs["trial 2"][PARENT] == "sweep"
    assert store.runs["sweep"]["smallprint.sweep"] == str(study.folder.absolute())
    assert study.kept == {"mlflow_run_id": "sweep"}
    tracking.begin("trial 3", {}).finish()
    assert len(said) == 3  # that it answers again
    assert store.ended == [("trial 2", "FINISHED"), ("trial 3", "FINISHED")]


def test_nothing_is_said_where_tracking_is_off(store, tmp_path):
    said, config = [], Config(tracking={"enabled": False})
    tracking = SweepTracking(Remembers(tmp_path / "sweep"), config, said.append)
    tracking.begin("trial 1", {}).finish()
    assert (said, store.runs) == ([], {})
