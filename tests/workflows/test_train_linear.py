"""The whole way without an encoder: train, metrics, bundle, report, tracking, resume, predict, evaluate."""

import json
import sqlite3

import polars as pl
import pytest

import smallprint
from smallprint import api, finish
from smallprint.cli.app import main
from smallprint.core.config import Config, DataConfig
from smallprint.core.errors import ConfigError, DataError
from smallprint.core.parts import Parts
from smallprint.core.settings import build_config
from smallprint.data import read
from smallprint.families import linear


@pytest.fixture
def settings(tmp_path):
    def make(seed: int = 42, **model) -> Config:
        tracking = {"root": str(tmp_path / "root")}
        return build_config({"model": {"backbone": "tfidf", **model}, "training": {"seed": seed}, "tracking": tracking})

    return make


def test_from_table_to_answer(settings, tmp_path):
    lines = []
    result = smallprint.train("sample", config=settings(), out=tmp_path / "run", say=lines.append)
    assert {path.name for path in result.bundle.iterdir()} == {
        "manifest.json",
        "config.yaml",
        "model.safetensors",
        "terms.json",
        "train_texts.u64",
        "reference.safetensors",
    }
    assert result.test.values["f1_macro"] > 0.5
    assert any("terms fitted" in line for line in lines)
    assert not any("cut at" in line for line in lines)
    timings = json.loads((result.run / "timings.json").read_text())
    assert timings["seconds_per_epoch"] > 0
    assert timings["padding_share"] == 0
    metrics = json.loads(result.metrics_file.read_text())
    assert [set(row) for row in metrics["history"]] == [{"epoch", "validation/loss", "validation/average_precision"}]
    page = result.report.read_text()
    assert "Arbitration" in page
    assert "model:" in page

    engine = smallprint.load(result.run)
    answer = engine.predict(["You agree to arbitrate.", "", "word " * 5000])
    assert answer.scores.shape == (3, 8)
    assert (engine.max_length, engine.n_truncated) == (None, 0)
    again, scored = api.evaluate(result.bundle, "sample")
    assert again.values == result.test.values
    assert scored.split == "test"

    (tmp_path / "new.csv").write_text("id,clause\n7,We may close your account.\n8,\n9,Hello\n")
    summary = api.predict_file(engine, tmp_path / "new.csv", tmp_path / "out.csv", text="clause")
    out = pl.read_csv(tmp_path / "out.csv")
    assert out["id"].to_list() == [7, 8, 9]
    assert "score_Choice of law" in out.columns
    assert (summary.rows, summary.truncated) == (3, 0)

    with sqlite3.connect(tmp_path / "root" / "mlflow.db") as connection:
        names = {row[0] for row in connection.execute("select key from metrics")}
        parameters = dict(connection.execute("select key, value from params"))
        status = connection.execute("select status from runs").fetchall()
    assert {"validation/loss", "validation/average_precision", "final/test/f1_macro"} <= names
    assert parameters["model.backbone"] == "tfidf"
    assert status == [("FINISHED",)]


def test_one_seed_writes_the_same_metrics_and_bundle(settings, tmp_path):
    results = [smallprint.train("sample", config=settings(1), out=tmp_path / name) for name in ("a", "b")]
    for name in ("metrics.json", "bundle/model.safetensors", "bundle/terms.json"):
        first, second = ((result.run / name).read_bytes() for result in results)
        assert first == second, name


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_other_tasks(settings, labelled_frame, tmp_path, task):
    labelled_frame(task, 120).write_csv(tmp_path / "table.csv")
    result = smallprint.train(tmp_path / "table.csv", config=settings(), out=tmp_path / "run")
    assert result.task == task
    assert result.test.values["accuracy"] >= 0.95
    metrics, _ = api.evaluate(result.run, tmp_path / "table.csv")
    assert metrics.values == result.test.values


@pytest.fixture
def stopped(monkeypatch):
    """Trains until the bundle is to be written, and stops there."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    def train(data, **named):
        with monkeypatch.context() as patch:
            patch.setattr(finish, "save_bundle", stop)
            with pytest.raises(KeyboardInterrupt):
                smallprint.train(data, **named)

    return train


def test_a_stopped_run_is_fitted_again(settings, stopped, tmp_path):
    whole = smallprint.train("sample", config=settings(), out=tmp_path / "whole")
    stopped("sample", config=settings(), out=tmp_path / "run")
    resumed = smallprint.train(resume=tmp_path / "run")
    assert resumed.metrics_file.read_bytes() == whole.metrics_file.read_bytes()


def test_a_run_whose_table_has_changed_is_not_gone_on_with(settings, stopped, labelled_frame, tmp_path, monkeypatch):
    frame, table, run = labelled_frame("multiclass", 120), tmp_path / "table.csv", tmp_path / "run"
    frame.write_csv(table)
    stopped(table, config=settings(), out=run)
    before = (run / "check.json").read_bytes()
    pl.concat([frame, frame[:1].with_columns(text=pl.lit("one row more"))]).write_csv(table)
    with monkeypatch.context() as patch:
        patch.setattr(api, "build_fit", lambda *given: pytest.fail("learned from other rows"))
        with pytest.raises(DataError, match=r"not those that(.|\n)*began with(.|\n)*Put the table back"):
            smallprint.train(resume=run)
    assert (run / "check.json").read_bytes() == before
    table.unlink()
    frame.write_csv(tmp_path / "moved.csv")
    moved = smallprint.train(tmp_path / "moved.csv", resume=run)
    whole = smallprint.train(tmp_path / "moved.csv", config=settings(), out=tmp_path / "whole")
    assert moved.metrics_file.read_bytes() == whole.metrics_file.read_bytes()


def test_a_run_that_does_not_know_its_rows_goes_on(settings, stopped, tmp_path):
    stopped("sample", config=settings(), out=tmp_path / "run")
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    del state["fingerprints"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(state))
    assert smallprint.train(resume=tmp_path / "run").bundle.is_dir()


def test_a_finished_run_is_told_and_left_as_it_is(settings, tmp_path, monkeypatch):
    result = smallprint.train("sample", config=settings(), out=tmp_path / "run")
    (result.bundle / "manifest.json").write_text("with a policy since")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in result.run.rglob("*") if path.is_file()}
    lines = []
    monkeypatch.setattr(api, "open_source", lambda *given: pytest.fail("read the data"))
    again = smallprint.train(resume=result.run, say=lines.append)
    assert again == result
    assert lines == [f"{result.run} is finished already: it is not trained again."]
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


@pytest.fixture
def with_extra(labelled_frame, tmp_path, monkeypatch):
    """Ready splits and an extra table, of whose four rows train has one and test two."""
    monkeypatch.chdir(tmp_path)
    frame = labelled_frame("multiclass", 120)
    for split, rows in {"train": frame[:60], "validation": frame[60:90], "test": frame[90:]}.items():
        (tmp_path / "data").mkdir(exist_ok=True)
        rows.write_csv(tmp_path / "data" / f"{split}.csv")
    pl.concat([frame[:1], frame[90:92], frame[:1].with_columns(text=pl.lit("new"))]).write_csv("extra.csv")
    return build_config(
        {
            "data": {"extra": "extra.csv"},
            "model": {"backbone": "tfidf"},
            "tracking": {"root": "root"},
        }
    )


def test_extra_rows_are_in_train_alone_and_told(with_extra, monkeypatch):
    lines, opened, fitted = [], [], []
    original, fit = read.read_table, linear.fit_linear
    monkeypatch.setattr(
        read,
        "read_table",
        lambda path, columns, **more: opened.append((path.stem, columns)) or original(path, columns, **more),
    )
    monkeypatch.setattr(
        linear, "fit_linear", lambda *given: fitted.append((list(given[0]), list(opened))) or fit(*given)
    )
    result = smallprint.train("data", config=with_extra, out="run", say=lines.append)
    texts, before = fitted[0]
    assert len(texts) == 63
    assert [columns for stem, columns in before if stem == "test"] == [["label"]]  # its labels' names, no text
    assert any(
        line.endswith("3 extra rows from extra.csv added to train, 1 left out that stand there already.")
        for line in lines
    )
    assert any("extra table too: 2 test rows" in line for line in lines)
    data = json.loads(result.metrics_file.read_text())["data"]
    assert data["rows"] == {"train": 63, "validation": 30, "test": 30}
    assert (data["extra"], data["duplicates"]["test_in_extra"]) == (3, 2)
    assert "3 extra rows from extra.csv" in result.report.read_text()
    again, _ = api.evaluate(result.bundle, "data")
    assert again.values == result.test.values


def test_a_run_with_extra_rows_is_resumed_from_any_folder(with_extra, stopped, tmp_path, monkeypatch):
    whole = smallprint.train("data", config=with_extra, out="whole")
    stopped("data", config=with_extra, out="run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = smallprint.train(resume=tmp_path / "run")
    assert resumed.metrics_file.read_bytes() == (tmp_path / whole.metrics_file).read_bytes()


def test_what_was_carved_before_extra_rows_came_is_carved_again(labelled_frame, settings, tmp_path):
    labelled_frame("multiclass", 120).write_csv(tmp_path / "table.csv")
    (tmp_path / "extra.csv").write_text("text,label\nscarlet now,red\n")
    config = settings()
    config = config.model_copy(update={"data": DataConfig(extra=str(tmp_path / "extra.csv"))})
    result = smallprint.train(tmp_path / "table.csv", config=config, out=tmp_path / "run")
    (tmp_path / "extra.csv").unlink()
    metrics, scored = api.evaluate(result.run, tmp_path / "table.csv")
    assert scored.split == "test"
    assert metrics.values == result.test.values


def test_what_does_not_go_with_it_is_refused_before_anything_is_written(settings, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.adapter, model\.head cannot go"):
        smallprint.train("sample", config=settings(adapter="lora", head="mlp"), out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"Parts\(loss="):
        smallprint.train("sample", config=settings(), out=tmp_path / "run", parts=Parts(loss=print))
    assert not (tmp_path / "run").exists()


def test_by_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["train", "sample", "--backbone", "tfidf", "--adapter", "frozen", "--out", "run"])
    assert stop.value.code == 2
    assert "model.adapter" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["train", "sample", "--backbone", "tfidf", "--out", "run"])
    assert not stop.value.code
    assert (tmp_path / "run" / "bundle" / "terms.json").exists()
