"""The whole way on a tiny model: train, metrics, bundle, report, tracking, resume, predict, evaluate."""

import json
import sqlite3

import numpy as np
import polars as pl
import pytest

import smallprint
from smallprint import api, finish
from smallprint.core.config import Config
from smallprint.core.settings import build_config
from smallprint.data import read
from smallprint.evaluation.score_files import read_scores
from smallprint.families import encoder
from smallprint.training import callbacks


@pytest.fixture
def settings(tiny_backbone, tmp_path):
    def make(**training) -> Config:
        return build_config(
            {
                "model": {"backbone": str(tiny_backbone), "max_length": 48},
                "training": {"epochs": 2, "learning_rate": 1e-3, "precision": "fp32", **training},
                "tracking": {"root": str(tmp_path / "root")},
            }
        )

    return make


def test_from_table_to_answer(settings, tmp_path):
    lines = []
    result = smallprint.train("sample", config=settings(), out=tmp_path / "run", say=lines.append)
    assert {p.name for p in result.run.iterdir()} >= {
        "bundle",
        "report.html",
        "metrics.json",
        "timings.json",
        "config.yaml",
    }
    assert result.task == "multilabel"
    assert len(result.label_names) == 8
    assert any("multilabel" in line for line in lines)
    assert any("left" in line for line in lines)
    timings = json.loads((result.run / "timings.json").read_text())
    assert timings["padding_share"] <= 0.05
    assert timings["seconds_per_epoch"] > 0
    assert timings["peak_memory_mb"] > 0
    page = result.report.read_text()
    assert "https://" not in page.replace("http://www.w3.org", "").split("<body")[0]
    assert "Arbitration" in page

    engine = smallprint.load(result.run)
    answer = engine.predict(["You agree to arbitrate.", ""])
    assert answer.scores.shape == (2, 8)
    metrics, scored = api.evaluate(result.bundle, "sample")
    assert metrics.values == pytest.approx(result.test.values)
    assert scored.split == "test"

    table = tmp_path / "new.csv"
    table.write_text("id,clause\n7,We may close your account.\n8,\n9,Hello\n")
    summary = api.predict_file(engine, str(table), str(tmp_path / "out.csv"), text="clause")
    out = pl.read_csv(tmp_path / "out.csv")
    assert out["id"].to_list() == [7, 8, 9]
    assert out.columns[:3] == ["id", "clause", "labels"]
    assert "score_Choice of law" in out.columns
    assert summary.rows == 3


def test_tracking_holds_settings_metrics_and_no_text(settings, tmp_path):
    result = smallprint.train("sample", config=settings(), out=tmp_path / "run")
    database = tmp_path / "root" / "mlflow.db"
    with sqlite3.connect(database) as connection:
        names = {row[0] for row in connection.execute("select key from metrics")}
        parameters = dict(connection.execute("select key, value from params"))
        status = connection.execute("select status from runs").fetchall()
    assert {"train/loss", "validation/average_precision", "final/test/f1_macro"} <= names
    assert parameters["training.epochs"] == "2"
    assert status == [("FINISHED",)]
    text = api.open_source("sample").read("train")["text"][0] if api.open_source("sample").splits else None
    if text:
        assert text.encode() not in database.read_bytes()
    assert not list((tmp_path / "root").rglob("report.html"))
    assert result.tracking_uri


def test_two_runs_of_one_seed_write_the_same_metrics_and_another_seed_others(settings, tmp_path):
    files = [
        smallprint.train("sample", config=settings(epochs=1, seed=seed), out=tmp_path / name).metrics_file.read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert files[0] == files[1]
    assert files[0] != files[2]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["batch 3", "batch 20", "evaluate", "package", "report"])
def test_a_run_stopped_anywhere_ends_as_if_it_had_not_been(settings, tmp_path, monkeypatch, moment):
    config = settings(checkpoint_minutes=1e-6)
    whole = smallprint.train("sample", config=config, out=tmp_path / "whole")

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        if moment.startswith("batch"):
            at, seen = int(moment.split()[1]), []
            original = callbacks.Progress.on_train_batch_end

            def count(self, trainer, *rest):
                seen.append(1)
                if len(seen) == at:
                    raise Killed
                original(self, trainer, *rest)

            patch.setattr(callbacks.Progress, "on_train_batch_end", count)
        else:
            target = {
                "evaluate": (api, "score_examples"),
                "package": (finish, "save_bundle"),
                "report": (api.papers, "write_report"),
            }
            patch.setattr(*target[moment], die)
        with pytest.raises(Killed):
            smallprint.train("sample", config=config, out=tmp_path / "run")
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
    resumed = smallprint.train(resume=tmp_path / "run")
    assert resumed.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    for name in ("model.safetensors",):
        assert (resumed.bundle / name).read_bytes() == (whole.bundle / name).read_bytes()


def test_training_and_tuning_never_open_the_test_file(settings, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    frame = pl.DataFrame(
        {"text": [f"word{i % 7} and {i}" for i in range(60)], "label": ["a" if i % 7 > 3 else "b" for i in range(60)]}
    )
    for name in ("train", "validation", "test"):
        frame.write_csv(folder / f"{name}.csv")
    events = []
    original = read.Source.read

    def spy(self, split, columns=None):
        events.append((split, tuple(columns) if columns else None))
        return original(self, split, columns)

    monkeypatch.setattr(read.Source, "read", spy)
    fitted = encoder.fit_classifier
    monkeypatch.setattr(
        encoder, "fit_classifier", lambda *a, **k: (fitted(*a, **k), events.append(("fitted", None)))[0]
    )
    tuned = finish.choose_thresholds
    monkeypatch.setattr(
        finish, "choose_thresholds", lambda *a, **k: (tuned(*a, **k), events.append(("tuned", None)))[0]
    )
    smallprint.train(folder, config=settings(epochs=1), out=tmp_path / "run")
    before = events[: events.index(("tuned", None))]
    assert ("fitted", None) in before
    assert [event for event in before if event[0] == "test"] == [("test", ("label",))]
    assert ("test", None) in events[events.index(("tuned", None)) :]


@pytest.mark.parametrize("adapter", ["full", "lora", "frozen"])
def test_with_int8_weights_what_is_measured_is_what_is_stored(settings, tmp_path, adapter):
    config = settings(epochs=1)
    model = config.model.model_copy(update={"adapter": adapter, "weights": "int8"})
    result = smallprint.train("sample", config=config.model_copy(update={"model": model}), out=tmp_path / "run")
    saved = json.loads(result.metrics_file.read_text())
    assert api.load_config_of(result.bundle).model.weights == "int8"
    for split, metrics in (("validation", result.validation), ("test", result.test)):
        measured, _ = read_scores(result.run, split, saved)  # from before there was a bundle
        again, scored = api.evaluate(result.bundle, "sample", split=split)
        np.testing.assert_array_equal(scored.scores, measured.scores)
        assert again.values == metrics.values


@pytest.mark.parametrize("adapter", ["full", "lora", "frozen"])
def test_a_reloaded_model_gives_the_same_scores(settings, tmp_path, adapter):
    config = settings(epochs=1)
    config = config.model_copy(update={"model": config.model.model_copy(update={"adapter": adapter})})
    seen = {}
    original = finish.save_bundle

    def keep(folder, **parts):
        seen.update(parts)
        return original(folder, **parts)

    finish.save_bundle = keep
    try:
        result = smallprint.train("sample", config=config, out=tmp_path / "run")
    finally:
        finish.save_bundle = original
    texts = ["We may close your account at any time.", "You may cancel."]
    engine = api.Engine(seen["scorer"], seen["labels"], seen["thresholds"])
    np.testing.assert_array_equal(engine.score(texts), smallprint.load(result.bundle).score(texts))
