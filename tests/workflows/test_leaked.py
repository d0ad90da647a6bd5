"""Test rows whose text the model was trained on: counted, and scored with and without them."""

import json

import numpy as np
import polars as pl
import pytest

from smallprint import api, runs
from smallprint.core.errors import BundleError
from smallprint.core.settings import build_config


@pytest.fixture
def run(labelled_frame, tmp_path):
    frame = labelled_frame("multilabel", 200)
    train, validation, test = frame[:120], frame[120:150], frame[150:]
    copies = train.head(10).with_columns(pl.col("text").str.to_uppercase() + " !")
    data = tmp_path / "data"
    data.mkdir()
    for split, part in (("train", train), ("validation", validation), ("test", pl.concat([test, copies]))):
        part.write_parquet(data / f"{split}.parquet")
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
    lines = []
    return api.train(str(data), config=config, out=tmp_path / "run", say=lines.append), data, lines


def test_both_scores_side_by_side(run):
    result, data, lines = run
    assert result.test.leaked == 10
    assert result.test.without_leaked.keys() == result.test.values.keys()
    assert any(line.startswith("10 test texts stand in what was learned from") for line in lines)
    saved = json.loads(result.metrics_file.read_text())["test"]
    assert (saved["leaked"], saved["without_leaked"]) == (10, result.test.without_leaked)
    metrics, scored = api.evaluate(result.bundle, str(data))
    assert metrics.leaked == 10
    assert metrics.without_leaked == result.test.without_leaked
    table = runs.table(metrics)
    assert "10 have a text that the model was trained on; beside: without them" in table[1]
    fresh, _ = api.evaluate(result.bundle, str(_without(data)))
    assert fresh.leaked == 0
    assert fresh.without_leaked is None
    assert fresh.values == pytest.approx(metrics.without_leaked)
    assert len(scored.texts) == 60


def _without(data):
    test = pl.read_parquet(data / "test.parquet").head(50)
    test.write_parquet(data / "test.parquet")
    return data


def test_all_of_train_is_known(run):
    result, data, _ = run
    metrics, _ = api.evaluate(result.bundle, str(data), split="train")
    assert metrics.leaked == 120
    assert metrics.without_leaked is None


def test_an_older_bundle_knows_no_texts(run):
    result, data, _ = run
    manifest = result.bundle / "manifest.json"
    tree = json.loads(manifest.read_text())
    del tree["files"]["train_texts.u64"]
    manifest.write_text(json.dumps(tree))
    (result.bundle / "train_texts.u64").unlink()
    metrics, _ = api.evaluate(result.bundle, str(data))
    assert (metrics.leaked, metrics.without_leaked) == (0, None)


def test_a_damaged_list_of_texts(run):
    from smallprint.core.files import sha256_file

    result, _, _ = run
    file = result.bundle / "train_texts.u64"
    known = np.frombuffer(file.read_bytes(), dtype="<u8")
    assert len(known) == 120
    assert (np.diff(known.astype(float)) > 0).all()
    file.write_bytes(b"123")
    manifest = result.bundle / "manifest.json"
    tree = json.loads(manifest.read_text())
    tree["files"]["train_texts.u64"] = sha256_file(file)
    manifest.write_text(json.dumps(tree))
    with pytest.raises(BundleError, match="3 bytes"):
        api.load(result.bundle)
