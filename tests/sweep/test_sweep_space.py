"""Spaces by kind of model, and how a trial's settings become a `Config`."""

import pytest

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError
from smallprint.core.parts import Parts
from smallprint.core.settings import build_config
from smallprint.core.sweep_config import Domain
from smallprint.families import check_family
from smallprint.sweep.space import (
    base_settings,
    config_of,
    default_space,
    is_whole,
    kind_of,
    known_good,
    layer_choices,
    parameters_of,
    settings_in,
    suggest,
)

KINDS = {
    "tfidf": {"backbone": "tfidf"},
    "frozen": {"adapter": "frozen"},
    "lora": {"adapter": "lora"},
    "upper": {"train_layers": 3},
    "full": {},
}


def make(kind: str) -> Config:
    return build_config({"model": KINDS[kind], "training": {"learning_rate": 5e-5}})


class Extreme:
    """Suggests an end of each range."""

    def __init__(self, high: bool, choice: int = 0):
        self.high, self.choice = high, choice

    def suggest_int(self, name, low, high, *, log=False):
        return high if self.high else low

    def suggest_float(self, name, low, high, *, log=False):
        return high if self.high else low

    def suggest_categorical(self, name, choices):
        return choices[self.choice % len(choices)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_every_corner_of_a_default_space_is_a_config_that_can_be_trained(kind, task):
    base = make(kind)
    assert kind_of(base) == kind
    space = default_space(base, task, None if kind == "tfidf" else 6)
    build_config({"sweep": {"space": {key: domain.model_dump() for key, domain in space.items()}}})
    for high in (False, True):
        for choice in range(6):
            settings = suggest(Extreme(high, choice), space, base)
            config = config_of(base, settings)
            check_family(config, Parts())
            for key, value in settings.items():
                assert base_settings(config, {key: Domain(low=0, high=1)})[key] == value
    for start in known_good(base, space, 6):
        check_family(config_of(base, start), Parts())


def test_a_setting_is_asked_for_only_where_it_is_heard():
    base = make("frozen")
    space = default_space(base, "multilabel", 6)
    svm, mlp = (suggest(Extreme(True, choice), space, base) for choice in (0, 1))
    assert svm["model.head"] == "svm"
    assert "model.svm.cost" in svm
    assert "training.head_learning_rate" not in svm
    assert mlp["model.head"] == "mlp"
    assert "model.svm.cost" not in mlp
    assert "training.head_learning_rate" in mlp


def test_settings_that_the_head_of_a_trial_does_not_take_are_left_out():
    base = build_config({"model": {"adapter": "frozen", "dropout": 0.3, "class_weights": "balanced"}})
    config = config_of(base, {"model.head": "svm", "model.svm.cost": 2.0})
    assert (config.model.dropout, config.model.svm.cost) == (Config().model.dropout, 2.0)
    check_family(config, Parts())
    back = config_of(config, {"model.head": "mlp"})
    assert back.model.svm == Config().model.svm


def test_parameters_read_back_lists_too_and_what_is_outside_is_moved_in():
    space = {"model.layers": Domain(choices=[[6], [3, 6]]), "training.epochs": Domain(low=2, high=9)}
    parameters = parameters_of({"model.layers": [3, 6], "training.epochs": 40, "training.seed": 1}, space)
    assert parameters == {"model.layers": "[3, 6]", "training.epochs": 9}
    assert settings_in(parameters, space) == {"model.layers": [3, 6], "training.epochs": 9}


def test_whole_numbers_stay_whole_and_numbers_that_look_whole_do_not():
    assert is_whole("training.epochs", Domain(low=1, high=5))
    assert not is_whole("model.svm.cost", Domain(low=1, high=5))


def test_layers_are_within_the_encoder():
    for n in (3, 4, 6, 12, 24):
        choices = layer_choices(n)
        assert all(choice and set(choice) <= set(range(1, n + 1)) and choice[-1] == n for choice in choices)
        assert len(choices) == len({tuple(choice) for choice in choices})


def test_a_stack_is_refused():
    with pytest.raises(ConfigError, match="members"):
        kind_of(build_config({"model": {"backbone": "stack"}}))
