"""Evaluating a model on data: the split it carved itself, another table, and what does not fit."""

import polars as pl
import pytest

import smallprint
from smallprint import api, runs
from smallprint.core.errors import ConfigError, DataError, TrainingError
from smallprint.core.settings import build_config


@pytest.fixture(scope="module")
def trained(tiny_backbone, labelled_frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    labelled_frame("multiclass", 120).write_csv(folder / "table.csv")
    config = build_config(
        {
            "model": {"backbone": str(tiny_backbone), "max_length": 24},
            "training": {"epochs": 1, "precision": "fp32"},
            "tracking": {"enabled": False},
        }
    )
    return folder, smallprint.train(folder / "table.csv", config=config, out=folder / "run")


def test_a_table_that_was_carved_in_training_is_carved_the_same_way(trained):
    folder, result = trained
    metrics, scored = api.evaluate(result.run, folder / "table.csv")
    assert scored.split == "test"
    assert metrics.values == pytest.approx(result.test.values)
    validation, _ = api.evaluate(result.run, folder / "table.csv", split="validation")
    assert validation.values == pytest.approx(result.validation.values)


@pytest.mark.parametrize(
    "model",
    [
        {"backbone": "./nothere"},
        {"backbone": "legal-brt"},
        {"backbone": "static", "static": {"encoder": "./nothere"}},
        {"backbone": "stack"},
    ],
)
def test_a_backbone_that_is_not_there_is_told_before_data_is_read(model, monkeypatch, tmp_path):
    monkeypatch.setattr(api, "open_source", lambda *given: pytest.fail("read the data"))
    stack = {"stack": {"members": {"one": ["model.backbone=./nothere"]}}} if model["backbone"] == "stack" else {}
    config = build_config({"model": model, "tracking": {"enabled": False}, **stack})
    with pytest.raises(TrainingError, match="nothere|Did you mean 'legal-bert'"):
        api.train("d.csv", config=config, out=tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_of_another_table_every_row_is_used(trained, labelled_frame):
    _, result = trained
    metrics, scored = api.evaluate(result.bundle, labelled_frame("multiclass", 33))
    assert (scored.split, metrics.n_examples) == ("all", 33)


def test_a_label_that_the_model_does_not_know_is_told(trained, labelled_frame):
    _, result = trained
    other = labelled_frame("multiclass", 33).with_columns(
        pl.when(pl.int_range(33) < 4).then(pl.lit("purple")).otherwise(pl.col("label")).alias("label")
    )
    with pytest.raises(DataError, match="purple"):
        api.evaluate(result.bundle, other)


def test_the_report_is_written_again_and_only_for_a_finished_run(trained, tmp_path):
    _, result = trained
    before = result.report.read_text()
    result.report.unlink()
    assert api.report(result.run) == result.report
    assert result.report.read_text() == before
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(TrainingError, match="--resume"):
        api.report(tmp_path)


def test_tracking_can_be_off(trained):
    _, result = trained
    assert result.tracking_uri is None


def test_predict_takes_one_text_or_many(trained):
    _, result = trained
    one, many = smallprint.predict(result.bundle, "scarlet"), smallprint.predict(result.bundle, ["scarlet", "moss"])
    assert one.scores.shape == (1, 3)
    assert many.scores[0] == pytest.approx(one.scores[0], abs=1e-5)
    assert all(len(labels) == 1 for labels in many.labels)


def test_a_split_that_does_not_exist_is_told(trained):
    folder, result = trained
    with pytest.raises(ConfigError, match="bogus"):
        api.evaluate(result.bundle, folder / "table.csv", split="bogus")


def test_a_run_that_fails_on_its_data_leaves_no_folder(tmp_path):
    (tmp_path / "one.csv").write_text("text,label\n" + "x,a\n" * 30)
    with pytest.raises(DataError):
        smallprint.train(tmp_path / "one.csv", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_rare_label_is_named():
    summary = {"task": "multiclass", "labels": {"train": {"a": 40, "deliver": 1}}}
    assert "'deliver' (1)" in runs.rare_labels(summary)[0]
    assert runs.rare_labels({"task": "multiclass", "labels": {"train": {"a": 40}}}) == []


def test_a_missing_path_makes_no_run_folder(tmp_path):
    with pytest.raises(DataError):
        smallprint.train(tmp_path / "none.csv", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
