"""Two runs on one table, one better than the other, and a store of their own."""

import json
import shutil

import polars as pl
import pytest

from smallprint import api
from smallprint.core.settings import build_config


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory, labelled_frame):
    """`good` and `bad`: folders of runs on one table; half the labels that the bad one learned from were taken away."""
    root = tmp_path_factory.mktemp("two")
    frame = labelled_frame("multilabel", 200).with_row_index("i")
    part = pl.col("i") % 5
    frame = frame.with_columns(
        split=pl.when(part < 3)
        .then(pl.lit("train"))
        .when(part == 3)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("test")),
        group=(pl.col("i") // 5 % 10).cast(pl.String),
    ).drop("i")
    table, spoilt = root / "d.parquet", root / "spoilt.parquet"
    frame.write_parquet(table)
    wrong = pl.when(pl.col("split") == "test").then(pl.col("labels")).otherwise(pl.col("labels").list.slice(0, 1))
    frame.with_columns(labels=wrong).write_parquet(spoilt)
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False, "root": str(root / "runs")}})
    return {
        "good": api.train(str(table), config=config, out=root / "good").run,
        "bad": api.train(str(spoilt), config=config, out=root / "bad").run,
        "table": table,
    }


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A SQLite store without runs: making one takes seconds, copying it none."""
    from smallprint.core.mlflow_store import open_client

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    open_client(f"sqlite:///{file}", make=True).search_experiments()
    return file


@pytest.fixture
def store(empty_store, tmp_path, monkeypatch):
    """Address of a fresh store, which the commands use, with a cache of its own and `runs` in the present folder."""
    (tmp_path / "runs").mkdir()
    shutil.copy(empty_store, tmp_path / "runs" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLPRINT_CACHE", str(tmp_path / "cache"))
    uri = f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture
def changed():
    """`changed(folder, **values)`: a manifest with other values in it."""

    def change(folder, **values):
        file = folder / "manifest.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
        return folder

    return change
