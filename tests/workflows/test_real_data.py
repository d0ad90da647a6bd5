"""Real data, where the data folder is: detection only, no training. Skipped, and said so, where it is absent."""

import os
from pathlib import Path

import pytest

from smallprint.core.config import DataConfig
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import split_source

DATA = Path(os.environ.get("SMALLPRINT_DATA", Path(__file__).parents[3] / "shared"))
needs_data = pytest.mark.skipif(not (DATA / "unfair_tos").is_dir(), reason=f"no data at {DATA} (set SMALLPRINT_DATA)")


@needs_data
@pytest.mark.data
def test_unfair_tos_is_understood():
    source = open_source(DATA / "unfair_tos")
    schema = detect_schema(source, DataConfig())
    assert (schema.task, len(schema.names), schema.names[7]) == ("multilabel", 8, "Arbitration")
    splits = split_source(source, schema, DataConfig(), seed=0)
    assert (len(splits.train), len(splits.validation)) == (5532, 2275)
    assert sum(bool(row) for row in splits.train.labels) == 630
    assert sum(bool(row) for row in splits.validation.labels) == 230


@needs_data
@pytest.mark.data
def test_unfair_tos_as_binary_means_any_label():
    config = DataConfig(task="binary")
    source = open_source(DATA / "unfair_tos")
    schema = detect_schema(source, config)
    assert schema.names == ["none", "any"]
    assert sum(row == ["any"] for row in split_source(source, schema, config, 0).train.labels) == 630


@needs_data
@pytest.mark.data
def test_banking77_is_understood():
    config = DataConfig(text="text", labels="category")
    schema = detect_schema(open_source(DATA / "banking77"), config)
    assert (schema.task, len(schema.names)) == ("multiclass", 77)
