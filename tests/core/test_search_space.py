"""A search space is checked against the settings it searches: everything wrong is told at once, with what comes nearest."""

import pytest
import yaml

from smallprint.core.errors import ConfigError
from smallprint.core.settings import build_config, load_config, render_config

RATE = {"low": 1e-5, "high": 1e-3, "log": True}


def refusal(space) -> str:
    with pytest.raises(ConfigError) as error:
        build_config({"sweep": {"space": space}})
    return str(error.value)


def test_all_problems_are_told_at_once():
    told = refusal(
        {
            "training.learning_rat": RATE,
            "training.epochs": {"low": 1.5, "high": 4},
            "model.dropout": {"low": 0.5, "high": 0.1},
            "model.head": {"choices": []},
            "training.seed": {"low": 1, "high": 9},
            "data.text": {"choices": ["a", "b"]},
            "model.adapter": {"choices": ["full", "lora"]},
            "model.class_weights": {"choices": ["none", "balancd"]},
            "model.lora.r": {"low": 0, "high": 8, "log": True},
            "model.svm.cost": {**RATE, "when": {"model.hed": ["svm"]}},
        }
    )
    assert "'training.learning_rat' in sweep.space is no setting; the nearest is 'training.learning_rate'" in told
    assert "training.epochs' is 1.5" in told
    assert "low (0.5) is not below high (0.1)" in told
    assert "there are no choices" in told
    assert "'training.seed' cannot be searched" in told
    assert "'data.text' cannot be searched" in told
    assert "'model.adapter' cannot be searched: a sweep is of one way" in told
    assert "balancd" in told
    assert "a log range begins above 0" in told
    assert "'model.hed' in `when` of 'model.svm.cost' is no setting; the nearest is 'model.head'" in told


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        ({}, "low and high are needed, or choices"),
        ({"low": 1}, "low and high are needed"),
        ({"low": 1, "high": 2, "choices": [1]}, "not both"),
        ({"choices": [3, 3]}, "stands twice"),
        ({"lo": 1, "high": 2}, "Unknown setting"),
        (5, "valid dictionary"),
    ],
)
def test_a_domain_that_is_none(domain, told):
    assert told in refusal({"training.epochs": domain})


def test_an_empty_space_is_refused():
    assert "sweep.space is empty" in refusal({})


def test_other_wrong_settings_are_told_beside():
    with pytest.raises(ConfigError) as error:
        build_config({"training": {"epochs": 0}, "sweep": {"folds": 0, "space": {"training.epoch": RATE}}})
    assert all(part in str(error.value) for part in ("training.epochs", "sweep.folds", "nearest is 'training.epochs'"))


def test_nested_and_dotted_names_are_the_same_and_are_printed_so_that_they_read_back():
    nested = build_config(
        {"sweep": {"space": {"training": {"learning_rate": RATE}, "model": {"lora": {"r": {"low": 4, "high": 8}}}}}}
    )
    dotted = build_config({"sweep": {"space": {"training.learning_rate": RATE, "model.lora.r": {"low": 4, "high": 8}}}})
    assert nested == dotted
    assert build_config(yaml.safe_load(render_config(nested))) == nested
    assert (
        load_config(None, ["sweep.space={training.epochs: {low: 1, high: 3}}"]).sweep.space["training.epochs"].high == 3
    )
