import json
import os
from types import SimpleNamespace

import pytest

from smallprint.core.config import Config
from smallprint.core.mlflow_store import short_waits
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
    tracker.log_parameters(
        {"training": {"seed": 42, "lora": {"r": 4}}, "long": "x" * 2000, **{f"p{i}": i for i in range(150)}}
    )
    result, _ = toy.fit(tmp_path / "c", [TrackerCallback(tracker)])
    tracker.log_metrics({"final/test/precision@5": 0.5, "final/test/f1_macro": 0.25})
    tracker.log_tags({"smallprint.task": "multilabel"})
    (tmp_path / "note.txt").write_text("x")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.svg").write_text("x")
    tracker.log_file(tmp_path / "note.txt")
    tracker.log_file(tmp_path / "plots", "plots")
    tracker.log_data([{"name": "d", "split": "train", "fingerprint": "f" * 64, "rows": 9, "source": "d.csv"}])
    fold = tracker.nested("linear/1")
    fold.log_metrics({"validation/loss": 0.5})
    fold.finish()
    tracker.nested("linear/2").log_metrics({"validation/loss": 0.25})
    tracker.finish("FAILED")
    assert said == []
    client = store(config)
    run = client.get_run(tracker.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "toys"
    assert (run.info.run_name, run.info.status) == ("one", "FAILED")
    assert run.data.params["training.seed"] == "42"
    assert run.data.params["training.lora.r"] == "4"
    assert run.data.params["p149"] == "149"
    assert run.data.params["long"] == "x" * 500
    assert run.data.tags["smallprint.task"] == "multilabel"
    assert run.data.metrics["final/test/precision_at_5"] == 0.5
    assert {f.path for f in client.list_artifacts(tracker.run_id)} == {"note.txt", "plots"}
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest, dataset.tags[0].value) == ("d", "f" * 36, "train")
    curve = client.get_metric_history(tracker.run_id, "train/loss")
    assert sorted(point.step for point in curve) == list(range(10, result.steps + 1, 10))
    assert len(curve) >= 1
    scores = client.get_metric_history(tracker.run_id, "validation/average_precision")
    assert [p.value for p in scores] == pytest.approx([r["validation/average_precision"] for r in result.history])
    nested = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{tracker.run_id}'", order_by=["tags.mlflow.runName"]
    )
    assert [(one.info.run_name, one.info.status, one.data.metrics["validation/loss"]) for one in nested] == [
        ("linear/1", "FINISHED", 0.5),
        ("linear/2", "FAILED", 0.25),
    ]
    again = Tracker(config, "one", said.append, tracker.sender.ids)
    again.log_metrics({"late": 1.0})
    assert client.get_run(tracker.run_id).info.status == "RUNNING"
    assert client.get_run(tracker.run_id).data.metrics["late"] == 1.0
    again.finish("FINISHED")
    seeds = [Tracker(config, name, said.append, parent="system") for name in ("seed42", "seed43")]
    for tracker in seeds:
        tracker.finish("FINISHED")
    parents = {client.get_run(tracker.run_id).data.tags["mlflow.parentRunId"] for tracker in seeds}
    assert [client.get_run(parent).info.run_name for parent in parents] == ["system"]


def test_a_store_that_is_away_stops_nothing_and_is_said_once(config, toy, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = config.model_copy(
        update={"tracking": config.tracking.model_copy(update={"uri": "http://u:secret@127.0.0.1:9"})}
    )
    said = []
    tracker = Tracker(away, "one", said.append, folder=tmp_path)
    tracker.log_parameters({"a": 1})
    result, _ = toy.fit(tmp_path / "c", [TrackerCallback(tracker)], epochs=1)
    tracker.log_metrics({"a": 1.0})
    tracker.log_tags({"a": "b"})
    tracker.finish("FINISHED")
    assert len(result.history) == 1
    assert len(said) == 1
    assert "http://127.0.0.1:9 does not answer" in said[0]
    assert "secret" not in said[0]
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "tracking.jsonl").read_text().splitlines()]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert {"params", "metrics", "tags"} <= set(kinds)


class Store:
    """An MLflow client that is away, slow or forgets to answer, as it is told."""

    def __init__(self):
        self.away, self.answerless, self.calls, self.runs = False, False, [], {}

    def create_run(self, experiment, start_time, tags, run_name):
        self._call("create_run")
        run_id = f"id{len(self.runs)}"
        self.runs[run_id] = tags
        if self.answerless:
            raise ConnectionError("no answer")
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def search_runs(self, experiments, query, max_results):
        found = [run_id for run_id, tags in self.runs.items() if f"'{tags['smallprint.key']}'" in query]
        return [SimpleNamespace(info=SimpleNamespace(run_id=run_id)) for run_id in found]

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        self._call("log_batch", run_id, [m.value for m in metrics])

    def set_terminated(self, run_id, status, end_time):
        self._call("set_terminated", run_id, status)

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id="1")

    def _call(self, *call):
        if self.away:
            raise ConnectionError("away")
        self.calls.append(call)


@pytest.fixture
def fake(monkeypatch):
    fake = Store()
    monkeypatch.setattr("smallprint.training.sending.open_client", lambda uri, make: fake)
    monkeypatch.setattr("smallprint.training.tracking.AGAIN_SECONDS", 0.0)
    return fake


def test_what_a_store_missed_it_gets_when_it_is_back(config, fake, tmp_path):
    said = []
    tracker = Tracker(config, "one", said.append, folder=tmp_path)
    tracker.log_metrics({"a": 1.0})
    fake.away = True
    tracker.log_metrics({"a": 2.0})
    tracker.log_metrics({"a": 3.0})
    fake.away = False
    tracker.log_metrics({"a": 4.0})
    tracker.finish("FINISHED")
    assert [call[2] for call in fake.calls if call[0] == "log_batch"] == [[1.0], [2.0, 3.0, 4.0]]
    assert fake.calls[-1] == ("set_terminated", "id0", "FINISHED")
    assert len(said) == 2
    assert "does not answer" in said[0]
    assert "answers again" in said[1]
    assert not (tmp_path / "tracking.jsonl").exists()


def test_a_run_that_was_made_although_no_answer_came_is_not_made_twice(config, fake):
    fake.answerless = True
    tracker = Tracker(config, "one", [].append)
    fake.answerless = False
    tracker.log_metrics({"a": 1.0})
    assert len(fake.runs) == 1
    assert tracker.run_id == "id0"


def test_a_killed_process_is_followed_by_one_that_sends_what_it_kept(config, fake, tmp_path):
    fake.away = True
    kept = {}
    first = Tracker(config, "one", [].append, folder=tmp_path, remember=kept.update)
    first.log_metrics({"a": 1.0})
    first._journal._close()  # as a kill does
    fake.away = False
    second = Tracker(config, "one", [].append, kept, folder=tmp_path, remember=kept.update)
    second.log_metrics({"a": 2.0})
    assert len(fake.runs) == 1
    assert kept == {"": "id0"}
    assert [call[2] for call in fake.calls if call[0] == "log_batch"] == [[1.0], [2.0]]


def test_a_slow_store_takes_a_tenth_of_the_time_at_most(config, fake, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("smallprint.training.tracking.time.monotonic", lambda: clock[0])
    slow = config.model_copy(update={"tracking": config.tracking.model_copy(update={"uri": "http://slow"})})
    tracker = Tracker(slow, "one", [].append)
    real = fake.log_batch

    def slowly(*arguments, **more):
        clock[0] += 5
        real(*arguments, **more)

    fake.log_batch = slowly
    for _ in range(100):
        clock[0] += 1
        tracker.log_metrics({"a": 1.0})
    assert clock[0] <= 115  # without the guard 600
    tracker.finish()
    assert sum(len(call[2]) for call in fake.calls if call[0] == "log_batch") == 100


def test_what_a_store_refuses_is_said_and_holds_nothing_up(config, fake):
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    def refuse(run_id, metrics=(), params=(), tags=()):
        if params:
            raise MlflowException("changed param", INVALID_PARAMETER_VALUE)
        fake._call("log_batch", run_id, [m.value for m in metrics])

    fake.log_batch = refuse
    said = []
    tracker = Tracker(config, "one", said.append)
    tracker.log_parameters({"a": 1})
    tracker.log_metrics({"a": 1.0})
    assert len(said) == 1
    assert "refused params: changed param" in said[0]
    assert fake.calls[-1] == ("log_batch", "id0", [1.0])


def test_waits_are_short_and_the_environment_is_left_alone():
    with short_waits():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_switched_off_it_writes_nothing(config, tmp_path):
    off = config.model_copy(update={"tracking": config.tracking.model_copy(update={"enabled": False})})
    tracker = Tracker(off, "one", pytest.fail, folder=tmp_path)
    tracker.log_metrics({"a": 1.0})
    tracker.log_parameters({"a": 1})
    fold = tracker.nested("linear/1")
    fold.log_metrics({"a": 1.0})
    fold.finish()
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


def test_two_runs_that_log_the_same_data_at_once_both_have_it(config, fake, monkeypatch):
    from mlflow.exceptions import MlflowException

    tries = []

    def log_inputs(run_id, datasets):
        tries.append(len(datasets))
        if len(tries) == 1:
            raise MlflowException("(psycopg2.errors.UniqueViolation) duplicate key value", 1)

    fake.log_inputs = log_inputs
    said = []
    tracker = Tracker(config, "one", said.append)
    tracker.log_data([{"name": "d", "split": "train", "fingerprint": "f" * 64, "rows": 9, "source": "d.csv"}])
    tracker.finish()
    assert tries == [1, 1]
    assert said == []
    assert ("set_terminated", tracker.run_id, "FINISHED") in fake.calls
