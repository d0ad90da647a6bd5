import json

import polars as pl

from smallprint.core.config import DataConfig
from smallprint.data.examples import fingerprint
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import Splits, split_source
from smallprint.data.summary import summarize


def explode():
    raise AssertionError("test was opened")


def summary(train, validation, **settings):
    source, config = open_source({"train": train, "validation": validation, "test": train}), DataConfig(**settings)
    schema = detect_schema(source, config)
    splits = split_source(source, schema, config, 1)
    return summarize(Splits(splits.train, splits.validation, explode, splits.made), schema), splits


TRAIN = pl.DataFrame(
    {"text": ["aa", "aa", "bbbb", "c"], "labels": [["x"], ["x", "y"], [], []], "company": ["P", "P", "Q", None]}
)
VALIDATION = pl.DataFrame({"text": ["aa", "new"], "labels": [["y"], []], "company": ["Q", "R"]})


def test_numbers_of_both_splits():
    numbers, splits = summary(TRAIN, VALIDATION)
    assert numbers["rows"] == {"train": 4, "validation": 2}
    assert numbers["labels"] == {"train": {"x": 2, "y": 1}, "validation": {"x": 0, "y": 1}}
    assert numbers["without_label"] == {"train": 0.5, "validation": 0.5}
    assert numbers["text_characters"]["train"] == {"min": 1, "p25": 2, "median": 2, "p75": 2, "p95": 4, "max": 4}
    assert numbers["groups"] == {"train": 2, "validation": 2}
    assert numbers["groups_in_both"] == 1
    assert numbers["duplicates"] == {"train": 1, "validation_in_train": 1}
    assert numbers["fingerprints"]["train"] == fingerprint(splits.train)
    assert numbers["made"] == splits.made


def test_it_is_ready_for_json():
    numbers, _ = summary(TRAIN, VALIDATION)
    assert json.loads(json.dumps(numbers)) == numbers


def test_any_label_and_no_groups():
    numbers, _ = summary(TRAIN.drop("company"), VALIDATION.drop("company"), task="binary")
    assert numbers["labels"]["train"] == {"none": 2, "any": 2}
    assert numbers["without_label"]["validation"] == 0.5
    assert numbers["groups"] == {"train": None, "validation": None}
    assert numbers["groups_in_both"] == 0
