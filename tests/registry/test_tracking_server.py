"""MLflow's server on loopback, over SQLite and over PostgreSQL: two processes at once, and killed in the middle of a training."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from started import PostgreSQL, Process, free_port

import smallprint
from smallprint.core.mlflow_store import open_client
from smallprint.registry.listing import list_models
from smallprint.registry.promote import promote, rollback
from smallprint.versus import compare_models

pytestmark = [pytest.mark.usefixtures("loopback"), pytest.mark.slow]
TEXTS = ["we may scarlet", "the leaf", "nothing"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def address(request, empty_store, tmp_path_factory):
    """Of the database behind the server."""
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(empty_store, tmp_path_factory.mktemp('database') / 'mlflow.db')}"
        return
    database = PostgreSQL()
    yield database.uri
    database.stop()


class Restartable:
    """A server that can be killed and started again at the same place."""

    def __init__(self, address, folder):
        self.folder, self.port = folder, free_port()
        self.words = ("server", "--backend-store-uri", address, "--workers", "1")
        self.words += ("--artifacts-destination", folder / "files")
        self.start()

    def start(self):
        self.process = Process(*self.words, port=self.port, health="health", folder=self.folder)
        self.url = self.process.url

    def kill(self):
        self.process.kill()


@pytest.fixture(scope="module")
def server(address, tmp_path_factory):
    found = Restartable(address, tmp_path_factory.mktemp("server"))
    yield found
    found.kill()


@pytest.fixture
def here(server, tmp_path, monkeypatch):
    """Environment of a program that works with the server; this process works with it too."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv(
        "MLFLOW_HTTP_REQUEST_TIMEOUT", "120"
    )  # a machine that tests keep busy is not a store that is away
    monkeypatch.setenv("SMALLPRINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return dict(os.environ)


def begin(*words, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "smallprint", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def ended(*several):
    """Gives what each wrote, once all have ended well and nothing that they logged was left behind."""
    said = [process.communicate(timeout=300) for process in several]
    assert [process.returncode for process in several] == [0] * len(several), said
    assert not [err for _, err in said if "Tracking: the store" in err], said
    return [out for out, _ in said]


def outlive(process, server, reached):
    """Kills the server at the first line that has `reached`, and gives all that the process says until it ends well."""
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if reached(line):
                break
        server.kill()
        said += list(process.stderr)
        assert process.wait(timeout=300) == 0, said
    finally:
        process.kill()
        process.stdout.close()
        process.stderr.close()
    return said


def test_two_processes_train_and_promote_at_once(server, here, labelled_frame, tmp_path):
    labelled_frame("multilabel", 160).write_parquet(tmp_path / "d.parquet")
    words = ("train", "d.parquet", "--backbone", "tfidf", "--set", "tracking.experiment=two")
    ended(
        begin(*words, "--out", "a"),
        begin(*words, "--out", "b", "--set", "model.tfidf.cost=0.5", "--set", "model.tfidf.words=1"),
    )
    client = open_client(server.url)
    experiment = client.get_experiment_by_name("two").experiment_id
    found = client.search_runs([experiment], "metrics.`final/test/f1_macro` > 0.1", order_by=["tags.mlflow.runName"])
    assert [(run.info.run_name, run.info.status) for run in found] == [("a", "FINISHED"), ("b", "FINISHED")]
    assert [run.data.params["model.tfidf.words"] for run in found] == ["3", "1"]
    for run, folder in zip(found, ("a", "b"), strict=True):
        kept = json.loads((tmp_path / folder / "metrics.json").read_text())["test"]["values"]
        assert run.data.metrics["final/test/f1_macro"] == pytest.approx(kept["f1_macro"])
        assert {"metrics.json", "plots"} <= {file.path for file in client.list_artifacts(run.info.run_id)}
    assert compare_models("a", "b", out=tmp_path / "both.html")[0].n_examples == 24

    words = ("--as", "both", "--margin", "1", "--json")
    first, second = sorted(
        (json.loads(out) for out in ended(begin("promote", "a", *words), begin("promote", "b", *words))),
        key=lambda one: one["before"] or 0,
    )
    (model,) = list_models("both")
    assert {first["version"], second["version"]} == {1, 2}
    assert (first["before"], second["before"]) == (None, first["version"])
    assert second["verdict"]["rows"] == 24
    assert model["aliases"] == {"champion": second["version"]}
    assert model["history"] == {"champion": [first["version"], second["version"]]}
    assert rollback("both") == (first["version"], second["version"])
    folder = next(version["run"] for version in model["versions"] if version["version"] == first["version"])
    assert smallprint.predict("both@champion", TEXTS).labels == smallprint.predict(folder, TEXTS).labels
    assert not [entry.name for entry in client.search_registered_models() if "lock" in entry.name]

    # a holder that died, in this kind of database
    client.create_registered_model("both.smallprint-lock", tags={"holder": "dead", "since": "0"})
    assert promote(f"both@{second['version']}", "both", force=True).before == first["version"]


def test_killed_amid_a_training_and_started_again_it_has_all(server, here, labelled_frame, tiny_backbone, tmp_path):
    labelled_frame("multilabel", 160).write_parquet(tmp_path / "d.parquet")
    settings = ["training.epochs=12", "training.patience=12", "training.precision=fp32", "model.max_length=32"]
    words = ["train", "d.parquet", "--out", "run", "--backbone", tiny_backbone]
    words += ["--set", "tracking.experiment=killed", *(word for one in settings for word in ("--set", one))]
    training = begin(*words, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    said = outlive(training, server, lambda line: "epoch" in line.lower() and "3" in line)
    assert len([line for line in said if "does not answer" in line]) == 1, said
    assert (tmp_path / "run" / "tracking.jsonl").exists()
    server.start()
    ended(begin("train", "--resume", "run"))
    assert not (tmp_path / "run" / "tracking.jsonl").exists()
    client = open_client(server.url)
    (run,) = client.search_runs([client.get_experiment_by_name("killed").experiment_id])
    history = json.loads((tmp_path / "run" / "metrics.json").read_text())["history"]
    points = client.get_metric_history(run.info.run_id, "validation/loss")
    assert [point.value for point in sorted(points, key=lambda p: p.step)] == pytest.approx(
        [row["validation/loss"] for row in history]
    )
    assert run.info.status == "FINISHED"
    assert run.data.params["training.epochs"] == "12"
    assert run.data.metrics["final/test/f1_macro_low"] <= run.data.metrics["final/test/f1_macro"]
    assert {one.dataset.digest for one in run.inputs.dataset_inputs}
    # the registry of the same server
    assert promote("run", "toys").version == 1
    assert smallprint.predict("toys@champion", TEXTS).labels == smallprint.predict("run", TEXTS).labels


def test_killed_amid_a_sweep_and_started_again_it_has_all_trials(server, here, labelled_frame, tmp_path):
    pytest.importorskip("optuna", reason="pip install 'smallprint[sweep]'")
    labelled_frame("multilabel", 160).write_parquet(tmp_path / "d.parquet")
    words = ["sweep", "d.parquet", "--trials", "4", "--seeds", "1", "--out", "runs/s", "--backbone", "tfidf"]
    words += ["--set", "tracking.experiment=swept", "--set", "sweep.folds=1"]
    sweep = begin(*words, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    said = outlive(sweep, server, lambda line: line.startswith("  trial 1/"))
    assert len([line for line in said if "trials are kept in" in line]) == 1, said
    assert [*(tmp_path / "runs" / "s" / "tracking").glob("*/tracking.jsonl")]
    server.start()
    ended(begin("train", "d.parquet", "--backbone", "tfidf", "--set", "tracking.experiment=swept"))
    assert not [*(tmp_path / "runs" / "s").rglob("tracking.jsonl")]
    client = open_client(server.url)
    runs = client.search_runs([client.get_experiment_by_name("swept").experiment_id])
    (sweep_run,) = [run for run in runs if run.info.run_name == "s"]
    assert sweep_run.data.metrics["trials"] == 4
    below = {run.info.run_name: run for run in runs if run.data.tags.get("mlflow.parentRunId") == sweep_run.info.run_id}
    assert {"trial 1", "trial 2", "trial 3", "trial 4", "winner"} <= set(below)
    assert {run.info.status for run in runs} == {"FINISHED"}
    found = json.loads((tmp_path / "runs" / "s" / "sweep.json").read_text())
    for row in found["trials"]:
        assert below[f"trial {row['index'] + 1}"].data.metrics["average_precision"] == pytest.approx(row["value"])
