"""A run that was killed is marked so when the next one begins, and what its store missed is sent then."""

import json
import os
import signal
import subprocess
import sys

import pytest

from smallprint import api
from smallprint.core.mlflow_store import open_client, tracking_uri
from smallprint.core.run import create_run
from smallprint.core.settings import build_config, render_config
from smallprint.training import left_behind
from smallprint.training.journal import FILE, Journal

pytest.importorskip("fcntl", reason="without file locks nobody knows who still works")
BEGIN = """
import sys, time
from smallprint.core.run import create_run
from smallprint.core.settings import load_config
from smallprint.tracked import open_tracker
run = create_run(load_config(sys.argv[1]), "d", sys.argv[2])
tracker = open_tracker(run, lambda line: print(line, file=sys.stderr))
fold = tracker.nested("linear/1")
tracker.log_metrics({"validation/loss": 0.5})
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def config(tmp_path):
    return build_config({"model": {"backbone": "tfidf"}, "tracking": {"root": str(tmp_path / "root")}})


def killed(config, tmp_path, name, **environment):
    (tmp_path / "settings.yaml").write_text(render_config(config))
    command = [sys.executable, "-c", BEGIN, str(tmp_path / "settings.yaml"), str(tmp_path / "root" / name)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_the_next_training_marks_the_dead_and_sends_what_they_kept(config, labelled_frame, tmp_path):
    table = tmp_path / "d.parquet"
    labelled_frame("multilabel", 160).write_parquet(table)
    sending = killed(config, tmp_path, "known")
    alive = killed(config, tmp_path, "alive")
    broken = config.model_copy(update={"tracking": config.tracking.model_copy(update={"uri": "http://127.0.0.1:9"})})
    unheard = killed(broken, tmp_path, "unheard", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    try:
        for process in (sending, unheard):
            process.send_signal(signal.SIGKILL)
            process.wait()
        place = tmp_path / "root" / "unheard" / "config.yaml"
        place.write_text(place.read_text().replace("http://127.0.0.1:9", tracking_uri(config)))
        assert (tmp_path / "root" / "unheard" / "tracking.jsonl").read_text().count("\n") >= 3
        said = []
        api.train(str(table), config=config, out=tmp_path / "root" / "next", say=said.append)
        assert [line for line in said if "had ended without it" in line] == [
            "Tracking: 2 runs that had ended without it were sent."
        ]
        client = open_client(tracking_uri(config))
        found = {run.info.run_name: run for run in client.search_runs(["1"])}
        assert {name: run.info.status for name, run in found.items() if name != "linear/1"} == {
            "known": "KILLED",
            "alive": "RUNNING",
            "unheard": "KILLED",
            "next": "FINISHED",
        }
        assert found["unheard"].data.metrics["validation/loss"] == 0.5
        nested = [run for run in client.search_runs(["1"]) if run.info.run_name == "linear/1"]
        parents = {run.data.tags["mlflow.parentRunId"]: run.info.status for run in nested}
        assert parents == {
            found["known"].info.run_id: "KILLED",
            found["unheard"].info.run_id: "KILLED",
            found["alive"].info.run_id: "RUNNING",
        }
        state = json.loads((tmp_path / "root" / "unheard" / "run.json").read_text())
        assert state["mlflow_run_id"] == found["unheard"].info.run_id
        assert not (tmp_path / "root" / "unheard" / "tracking.jsonl").exists()
    finally:
        alive.kill()
        alive.wait()


class Store:
    """Stands in for a `Sender`: takes all, or cannot be asked."""

    taken, away = [], False

    def __init__(self, uri, experiment, ids, remember):
        self.ids = ids

    def status(self, run_id):
        if self.away:
            raise ConnectionError
        return "RUNNING"

    def send(self, entries):
        self.taken.extend(entries)
        return len(entries), None


@pytest.fixture
def dead(config, tmp_path, monkeypatch):
    monkeypatch.setattr(left_behind, "Sender", Store)
    monkeypatch.setattr(Store, "taken", [])
    run = create_run(config, "d", tmp_path / "root" / "dead")
    Journal(run.folder)._close()  # as a kill leaves it
    return run


def send(config, tmp_path):
    return left_behind.send_left_behind(tmp_path / "root", tmp_path / "root" / "own", tracking_uri(config), print)


def test_what_had_ended_before_the_kill_is_not_called_killed(dead, config, tmp_path):
    entries = [("", "start", {}), ("linear/1", "start", {}), ("linear/1", "end", {"status": "FINISHED"})]
    lines = [json.dumps({"run": run, "kind": kind, **more}) + "\n" for run, kind, more in entries]
    (dead.folder / FILE).write_text("".join(lines))
    assert send(config, tmp_path) == 1
    ends = [(entry["run"], entry["status"]) for entry in Store.taken if entry["kind"] == "end"]
    assert ends == [("linear/1", "FINISHED"), ("", "KILLED")]
    assert not (dead.folder / FILE).exists()
    assert dead.state["status"] == "stopped", "its folder says so too: a training's, and a blend's"


def test_a_dead_run_that_could_not_be_asked_after_is_seen_to_next_time(dead, config, tmp_path, monkeypatch):
    dead.update(mlflow_run_id="r")
    monkeypatch.setattr(Store, "away", True)
    assert send(config, tmp_path) == 0
    assert dead.state["status"] == "started"
    monkeypatch.setattr(Store, "away", False)
    assert send(config, tmp_path) == 1
    assert [entry["status"] for entry in Store.taken] == ["KILLED"]
