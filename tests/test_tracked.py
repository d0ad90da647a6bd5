"""What of a training reaches MLflow: scores with intervals, versions, commit, data; texts of examples only where a setting says so."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from smallprint import api, tracked
from smallprint.core.commit import find_commit
from smallprint.core.mlflow_store import open_client, tracking_uri
from smallprint.core.run import create_run
from smallprint.core.settings import build_config
from smallprint.evaluation import plots, plots_decisions, svg

SECRET = "zebra"  # a word that stands in every text


@pytest.fixture
def train(labelled_frame, tmp_path, monkeypatch):
    table = tmp_path / "clauses.parquet"
    frame = labelled_frame("multilabel", 160).with_row_index("i")
    frame.select(
        text=pl.concat_str(pl.col("text"), pl.lit(f" {SECRET} crossing")),
        labels=pl.when(pl.col("i") % 7 == 0).then(pl.col("labels").list.head(0)).otherwise(pl.col("labels")),  # errors
    ).write_parquet(table)
    (tmp_path / "code").mkdir()
    monkeypatch.chdir(tmp_path / "code")

    def make(**tracking):
        config = build_config(
            {"model": {"backbone": "tfidf"}, "tracking": {"root": str(tmp_path / "root"), **tracking}}
        )
        result = api.train(str(table), config=config, out=tmp_path / "root" / "run")
        client = open_client(tracking_uri(config))
        (run,) = client.search_runs(["1"])
        return result, client, run

    return make


def holding(folder):
    """Gives the names of files in which the word stands, whatever the bundle's terms are."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name for path in files if SECRET.encode() in path.read_bytes()}


@pytest.mark.slow
def test_all_but_texts(train, tmp_path, monkeypatch):
    drawn, draw = [], svg.render_svg
    for module in (plots, plots_decisions):
        monkeypatch.setattr(module, "render_svg", lambda *given, **named: (drawn.append(1), draw(*given, **named))[1])
    result, client, run = train(log_report=True, system_metrics=True)
    assert len(drawn) == 5  # once, for two reports and the store
    values, metrics = result.test.values, run.data.metrics
    assert metrics["final/test/f1_macro"] == values["f1_macro"]
    assert metrics["final/test/f1_macro_low"] <= values["f1_macro"] <= metrics["final/test/f1_macro_high"]
    assert run.data.params["model.lora.r"] == "16"
    assert run.data.tags["smallprint.version.python"]
    assert {one.tags[0].value: one.dataset.name for one in run.inputs.dataset_inputs} == dict.fromkeys(
        ("train", "validation", "test"), "clauses"
    )
    assert any(name.startswith("system/") for name in metrics)
    logged = {path.path for path in client.list_artifacts(run.info.run_id)}
    assert logged == {"config.yaml", "metrics.json", "plots", "report.html"}
    kept = {path.path for path in client.list_artifacts(run.info.run_id, "plots")}
    assert kept == {
        f"plots/{name}.svg" for name in ("precision_recall", "reliability", "roc", "thresholds", "workload")
    }
    assert holding(tmp_path / "root" / "artifacts") == set()
    assert SECRET.encode() not in (tmp_path / "root" / "mlflow.db").read_bytes()
    assert SECRET in result.report.read_text()  # the one that stays here quotes them


@pytest.mark.slow
def test_texts_where_a_setting_says_so(train, tmp_path):
    _, client, run = train(log_report=True, log_examples=True, log_bundle=True, log_plots=False)
    logged = {path.path for path in client.list_artifacts(run.info.run_id)}
    assert logged == {"bundle", "config.yaml", "examples", "metrics.json", "report.html"}
    assert "report.html" in holding(tmp_path / "root" / "artifacts")


def test_the_commit_and_whether_files_were_changed(tmp_path, monkeypatch):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def commit_now():
        run = SimpleNamespace(state={"commit": find_commit()})
        return tracked._commit(run)

    assert commit_now() == {}
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "a").write_text("1")
    for words in (["init", "-q"], ["add", "a"], [*name, "commit", "-qm", "a"]):
        subprocess.run(["git", *words], check=True)
    found = commit_now()
    assert re.fullmatch(r"[0-9a-f]{40}", found["mlflow.source.git.commit"])
    assert found["smallprint.git.changed"] == "false"
    (tmp_path / "a").write_text("2")
    assert commit_now()["smallprint.git.changed"] == "true"


def test_no_password_of_a_store_is_passed_on(labelled_frame, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    table, uri = tmp_path / "d.parquet", "http://anna:hunter2@127.0.0.1:9"
    labelled_frame("multilabel", 160).write_parquet(table)
    config = build_config(
        {"model": {"backbone": "tfidf"}, "tracking": {"root": str(tmp_path), "uri": uri, "log_report": True}}
    )
    result = api.train(str(table), config=config, out=tmp_path / "run", command=f"train --set tracking.uri={uri}")
    holding = {path.name for path in result.run.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()}
    assert holding == {"config.yaml"}  # the run's own, by which it goes on
    waiting = [json.loads(line) for line in (result.run / "tracking.jsonl").read_text().splitlines()]
    (settings,) = [entry["path"] for entry in waiting if entry.get("path", "").endswith("config.yaml")]
    assert "uri: http://127.0.0.1:9" in Path(settings).read_text()


def test_a_finished_run_sends_what_its_store_missed(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    config = build_config({"tracking": {"root": str(tmp_path / "root")}})
    run, lines = create_run(config, "d", tmp_path / "run"), []
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        tracked.open_tracker(run, lines.append).finish()
    run.update(status="finished")
    assert tracked.send_rest(run, lines.append) == tracking_uri(config)
    (sent,) = open_client(tracking_uri(config)).search_runs(["1"])
    assert (sent.info.run_name, sent.info.status) == ("run", "FINISHED")
    assert lines[-1] == "Tracking: 1 run that had ended without it was sent."
    assert tracked.send_rest(run, lines.append)
    assert len(lines) == 2
