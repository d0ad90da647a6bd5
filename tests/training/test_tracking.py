import os

import pytest

from smallprint.core.config import Config
from smallprint.training.tracking import Tracker, TrackerCallback, tracking_uri


@pytest.fixture
def config(tmp_path):
    return Config(tracking={"root": str(tmp_path / "runs"), "experiment": "toys"})


def store(config):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri(config))


def test_which_store(config, monkeypatch):
    assert tracking_uri(config).startswith("sqlite:////")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert tracking_uri(config) == "http://there"
    named = config.model_copy(update={"tracking": config.tracking.model_copy(update={"uri": "http://here"})})
    assert tracking_uri(named) == "http://here"


@pytest.mark.slow
def test_a_store_gets_parameters_metrics_and_the_loss_curve(config, toy, tmp_path):
    said = []
    tracker = Tracker(config, "one", said.append)
    tracker.log_parameters({"training.seed": 42, "long": "x" * 2000, **{f"p{i}": i for i in range(150)}})
    result, _ = toy.fit(tmp_path / "c", [TrackerCallback(tracker)])
    tracker.log_metrics({"final/test/precision@5": 0.5, "final/test/f1_macro": 0.25})
    tracker.log_tags({"smallprint.task": "multilabel"})
    (tmp_path / "note.txt").write_text("x")
    tracker.log_file(tmp_path / "note.txt")
    tracker.finish("FINISHED")
    assert said == []
    client = store(config)
    run = client.get_run(tracker.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "toys"
    assert (run.info.run_name, run.info.status) == ("one", "FINISHED")
    assert run.data.params["training.seed"] == "42"
    assert run.data.params["p149"] == "149"
    assert run.data.params["long"] == "x" * 500
    assert run.data.tags["smallprint.task"] == "multilabel"
    assert run.data.metrics["final/test/precision_at_5"] == 0.5
    assert [f.path for f in client.list_artifacts(tracker.run_id)] == ["note.txt"]
    curve = client.get_metric_history(tracker.run_id, "train/loss")
    assert sorted(point.step for point in curve) == list(range(10, result.steps + 1, 10))
    assert len(curve) >= 1
    scores = client.get_metric_history(tracker.run_id, "validation/average_precision")
    assert [p.value for p in scores] == pytest.approx([r["validation/average_precision"] for r in result.history])
    again = Tracker(config, "one", said.append, run_id=tracker.run_id)
    again.log_metrics({"late": 1.0})
    assert client.get_run(tracker.run_id).info.status == "RUNNING"
    assert client.get_run(tracker.run_id).data.metrics["late"] == 1.0


def test_a_store_that_is_away_stops_nothing_and_is_said_once(config, toy, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = config.model_copy(update={"tracking": config.tracking.model_copy(update={"uri": "http://127.0.0.1:9"})})
    said = []
    tracker = Tracker(away, "one", said.append)
    tracker.log_parameters({"a": 1})
    result, _ = toy.fit(tmp_path / "c", [TrackerCallback(tracker)], epochs=1)
    tracker.log_metrics({"a": 1.0})
    tracker.log_tags({"a": "b"})
    tracker.log_file(tmp_path)
    tracker.finish("FINISHED")
    assert len(result.history) == 1
    assert len(said) == 1
    assert "http://127.0.0.1:9 does not answer" in said[0]


def test_a_store_that_goes_away_amid_a_run(config):
    class Gone:
        def log_batch(self, *_, **__):
            raise ConnectionError

    said = []
    off = config.model_copy(update={"tracking": config.tracking.model_copy(update={"enabled": False})})
    tracker = Tracker(off, "one", said.append)
    tracker._client, tracker.run_id = Gone(), "1"
    tracker.log_points([("a", 1.0, i) for i in range(2500)])
    tracker.log_parameters({"a": 1})
    assert len(said) == 1


def test_waits_are_short_and_the_environment_is_left_alone(config):
    seen = []
    off = config.model_copy(update={"tracking": config.tracking.model_copy(update={"enabled": False})})
    tracker = Tracker(off, "one", seen.append)
    tracker._try(lambda: seen.append(int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"])))
    assert seen == [2]
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_switched_off_it_writes_nothing(config, tmp_path):
    off = config.model_copy(update={"tracking": config.tracking.model_copy(update={"enabled": False})})
    tracker = Tracker(off, "one", pytest.fail)
    tracker.log_metrics({"a": 1.0})
    tracker.log_parameters({"a": 1})
    tracker.finish("FINISHED")
    assert tracker.uri is None
    assert list(tmp_path.iterdir()) == []


class Memory:
    """A tracker that keeps points here."""

    def __init__(self):
        self.points = []

    def log_points(self, points):
        self.points += points


def test_the_curve_has_no_gap_after_a_resume(toy, tmp_path, monkeypatch):
    import pytorch_lightning as L

    monkeypatch.setattr("smallprint.training.tracking.EVERY_STEPS", 1)

    class Kill(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            if trainer.global_step == 4:
                raise KeyError("killed")

    first, second = Memory(), Memory()
    with pytest.raises(KeyError, match="killed"):
        toy.fit(tmp_path, [TrackerCallback(first), Kill()])
    result, _ = toy.fit(tmp_path, [TrackerCallback(second)])
    steps = [step for name, _, step in first.points + second.points if name == "train/loss"]
    assert steps == list(range(1, result.steps + 1))
