"""`evaluation.calibration` the whole way: what is trained, stored, loaded, evaluated and predicted has calibrated scores."""

import json

import numpy as np
import polars as pl
import pytest

import smallprint
from smallprint import api
from smallprint.core.settings import load_config
from smallprint.evaluation.calibration import fit_calibration
from smallprint.packaging.bundle import load_bundle

LINEAR = ["model.backbone=tfidf"]
STACK = ["model.backbone=stack", 'stack.members={"linear": ["model.backbone=tfidf"]}']


@pytest.fixture
def table(labelled_frame, tmp_path):
    """A table with noise: every seventh text has the labels of the next one."""

    def make(task):
        frame, path = labelled_frame(task, 400), tmp_path / "table.parquet"
        wrong = pl.int_range(pl.len()) % 7 == 0
        labels = frame.columns[-1]
        frame.with_columns(pl.when(wrong).then(pl.col(labels).shift(-1)).otherwise(labels).alias(labels))[
            :-1
        ].write_parquet(path)
        return path

    return make


def train(table, out, *settings):
    return smallprint.train(table, config=load_config(None, ["tracking.enabled=false", *settings]), out=out)


def read(run, split):
    frame = pl.read_parquet(run / f"{split}_scores.parquet")
    return (
        frame["text"].to_list(),
        np.array(frame["targets"].to_list()),
        np.array(frame["scores"].to_list(), np.float32),
    )


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_every_score_is_calibrated(table, tmp_path, task):
    data = table(task)
    tuned = "evaluation.threshold=shrunk"
    plain = train(data, tmp_path / "plain", *LINEAR, tuned)
    result = train(data, tmp_path / "run", *LINEAR, tuned, "evaluation.calibration=platt")
    assert load_bundle(plain.bundle).calibration is None
    bundle, engine = load_bundle(result.bundle), smallprint.load(result.run)

    # fitted on validation, and thresholds are those of calibrated scores
    _, truth, raw = read(plain.run, "validation")
    fitted = fit_calibration(truth, raw, task)
    np.testing.assert_allclose(bundle.calibration.slope, fitted.slope)
    np.testing.assert_allclose(bundle.calibration.intercept, fitted.intercept)
    assert abs(fitted.slope[0] - 1) > 0.01
    np.testing.assert_array_equal(read(result.run, "validation")[2], fitted.apply(raw))
    if task != "multiclass":
        assert not np.allclose(bundle.thresholds, load_bundle(plain.bundle).thresholds)

    # test, evaluate, predict and the file of answers
    texts, _, raw = read(plain.run, "test")
    expected = fitted.apply(raw)
    assert np.abs(expected - raw).max() > 0.005
    np.testing.assert_array_equal(read(result.run, "test")[2], expected)
    np.testing.assert_array_equal(engine.score(texts), expected)
    answer = api.predict(result.bundle, texts)
    np.testing.assert_array_equal(answer.scores, expected)
    assert answer.labels == engine.labels.decode(expected, bundle.thresholds)
    metrics, scored = api.evaluate(result.run, data)
    np.testing.assert_array_equal(scored.scores, expected)
    assert metrics.values == result.test.values
    assert "Scores were calibrated" in result.report.read_text()
    assert "Scores are as the model gives them" in plain.report.read_text()

    pl.DataFrame({"text": texts}).write_csv(tmp_path / "new.csv")
    api.predict_file(engine, tmp_path / "new.csv", tmp_path / "out.csv", text="text")
    columns = [f"score_{name}" for name in engine.labels.score_names]
    np.testing.assert_allclose(pl.read_csv(tmp_path / "out.csv")[columns].to_numpy(), expected, atol=1e-4)


def test_a_stacks_held_out_scores_are_calibrated_by_themselves(table, tmp_path):
    data = table("multilabel")
    plain = train(data, tmp_path / "plain", *STACK)
    result = train(data, tmp_path / "run", *STACK, "evaluation.calibration=platt")
    _, truth, raw = read(plain.run, "held_out")
    fitted = fit_calibration(truth, raw, "multilabel")
    calibration = load_bundle(result.bundle).calibration
    np.testing.assert_allclose(calibration.slope, fitted.slope)
    held = read(result.run, "held_out")[2]
    np.testing.assert_array_equal(held, fitted.apply(raw))
    assert np.abs(held - raw).max() > 1e-3
    validation = read(result.run, "validation")[2]
    np.testing.assert_array_equal(held[-len(validation) :], validation)
    texts, _, test = read(result.run, "test")
    np.testing.assert_array_equal(smallprint.load(result.run).score(texts), test)
    np.testing.assert_array_equal(test, fitted.apply(read(plain.run, "test")[2]))
    inner = json.loads((result.bundle / "members" / "linear-1" / "manifest.json").read_text())
    assert inner["calibration"] is None
