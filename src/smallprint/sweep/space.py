"""What is searched, by kind of model. In: settings. Out: domains, settings known to be good, and how a trial's become a `Config`.

It suggests nothing itself: a trial of Optuna's does, or anything that has its three methods.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Protocol

from smallprint.core.config import SVM, Config, ModelConfig
from smallprint.core.errors import ConfigError
from smallprint.core.settings import build_config, tree_of, value_of, value_problems
from smallprint.core.sweep_config import Domain

Settings = dict[str, Any]
Space = dict[str, Domain]
BY_GRADIENT = {"model.head": ["linear", "mlp"]}
WITH_SVM = {"model.head": [SVM]}


class Suggests(Protocol):
    """What a space asks for values: Optuna's trial."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Gives a whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Gives a number."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """Gives a choice."""


def kind_of(config: Config) -> str:
    """Gives the kind of model by which a space is chosen: tfidf, static, frozen, lora, upper or full.

    Raises:
        ConfigError: A stack, whose members are searched one by one.
    """
    if config.model.family == "stack":
        raise ConfigError(
            "model.backbone=stack has nothing to search of its own.",
            "tfidf or an encoder",
            "Sweep its members one by one, and give the stack what they found in stack.members.",
        )
    if config.model.family == "linear":
        return "tfidf"
    if config.model.family == "static":
        return "static"
    if config.model.adapter != "full":
        return "frozen" if config.model.adapter == "frozen" else "lora"
    return "upper" if config.model.train_layers is not None else "full"


def default_space(config: Config, task: str, n_layers: int | None) -> Space:
    """Gives what is searched where the settings name nothing.

    Args:
        config: Tells the kind of model; parts of one's own are left as they are.
        task: binary, multiclass or multilabel.
        n_layers: Of the encoder; None where they cannot be told apart.
    """
    kind = kind_of(config)
    if kind == "static":
        return {
            "model.static.cost": _log(0.05, 20),
            "model.static.class_weights": Domain(choices=["balanced", "none"]),
        }
    if kind == "tfidf":
        return {
            "model.tfidf.cost": _log(0.05, 20),
            "model.tfidf.words": Domain(low=1, high=3),
            "model.tfidf.characters": Domain(low=3, high=6),
            "model.tfidf.class_weights": Domain(choices=["balanced", "none"]),
        }
    if kind == "frozen":
        return _frozen_space(config, n_layers)
    space: Space = {
        "training.learning_rate": _log(5e-5, 3e-3) if kind == "lora" else _log(1e-5, 5e-4),
        "training.head_learning_rate": _log(2e-4, 1e-2),
        "model.dropout": Domain(low=0.0, high=0.4),
        "model.class_weights": Domain(choices=["none", "balanced"]),
    }
    if kind == "lora":
        space |= {"model.lora.r": _log(4, 64), "model.lora.dropout": Domain(low=0.0, high=0.3)}
    else:
        space["training.layer_decay"] = Domain(low=0.7, high=1.0)
    if kind == "upper" and n_layers is not None:
        space["model.train_layers"] = Domain(low=1, high=max(2, n_layers - 1))
    if task != "multiclass" and ":" not in config.model.loss:
        space["model.loss"] = Domain(choices=["auto", "focal", "asymmetric"])
    return space


def _frozen_space(config: Config, n_layers: int | None) -> Space:
    own_head = config.model.head not in ("linear", "mlp", SVM)
    gradient = {} if own_head else BY_GRADIENT
    space: Space = {} if own_head else {"model.head": Domain(choices=[SVM, "mlp", "linear"])}
    if n_layers is not None and n_layers >= 3:
        space["model.layers"] = Domain(choices=layer_choices(n_layers))
    if not own_head:
        space["model.svm.cost"] = _log(0.3, 100, WITH_SVM)
        space["model.svm.spread"] = _log(0.2, 8, WITH_SVM)
    space["training.head_learning_rate"] = _log(2e-4, 3e-2, gradient)
    space["model.dropout"] = Domain(low=0.0, high=0.5, when=gradient)
    space["model.class_weights"] = Domain(choices=["none", "balanced"], when=gradient)
    return space


def layer_choices(n_layers: int) -> list[list[int]]:
    """Gives sets of an encoder's layers worth pooling: the last, halves and thirds of the way, the last few, all but the first."""
    thirds = sorted({max(1, round(n_layers * part / 3)) for part in (1, 2, 3)})
    halves = sorted({max(1, n_layers // 2), n_layers})
    last = list(range(max(1, n_layers - 2), n_layers + 1))
    found: list[list[int]] = []
    for choice in ([n_layers], halves, thirds, last, list(range(2, n_layers + 1))[-6:]):
        if choice not in found:
            found.append(choice)
    return found


def known_good(config: Config, space: Space, n_layers: int | None) -> list[Settings]:
    """Gives settings that did well elsewhere, to be tried after the run's own; those outside the space are left out."""
    kind, found = kind_of(config), []
    if kind == "frozen" and n_layers is not None:
        thirds = layer_choices(n_layers)[2] if len(layer_choices(n_layers)) > 2 else [n_layers]
        usual = {"model.svm.cost": 5.0, "model.svm.spread": 1.5}
        found = [{"model.head": SVM, "model.layers": thirds, **usual}]
    elif kind == "upper":
        found = [{"training.learning_rate": 1e-4}]
    return [
        part for part in found if part.keys() <= space.keys() and all(_inside(space[k], v) for k, v in part.items())
    ]


def suggest(trial: Suggests, space: Space, base: Config) -> Settings:
    """Gives a trial's settings: what goes with no other's value first, then what does."""
    settings: Settings = {}
    for key in sorted(space, key=lambda key: bool(space[key].when)):
        if _heard(space[key], settings, base):
            settings[key] = _suggest_one(trial, key, space[key])
    return settings


def config_of(base: Config, settings: Mapping[str, Any]) -> Config:
    """Gives the settings of a trial: its own, and for the rest those of the sweep, but for what its head does not take.

    Raises:
        ConfigError: They do not go together.
    """
    usual = ModelConfig()
    head = settings.get("model.head", base.model.head)
    idle = ("loss", "class_weights", "dropout") if head == SVM else ("svm",)
    model = base.model.model_copy(update={name: getattr(usual, name) for name in idle})
    fresh = base.model_copy(update={"model": model, "sweep": type(base.sweep)()})
    return build_config(tree_of(settings, fresh))


def parameters_of(settings: Mapping[str, Any], space: Space) -> Settings:
    """Gives settings as a study stores them; numbers outside a range are moved to its nearest end, strange choices to the first."""
    return {key: _encode(space[key], _nearest(space[key], value)) for key, value in settings.items() if key in space}


def settings_in(parameters: Mapping[str, Any], space: Space) -> Settings:
    """Gives stored parameters as settings."""
    return {key: _decode(space[key], value) for key, value in parameters.items()}


def base_settings(base: Config, space: Space) -> Settings:
    """Gives the run's own value of each setting that is searched and heard."""
    found = {key: value_of(base, key) for key in space}
    return {key: value for key, value in found.items() if _heard(space[key], found, base)}


def is_whole(key: str, domain: Domain) -> bool:
    """Gives whether a range is of whole numbers: its ends are, and the setting takes no other."""
    ends = isinstance(domain.low, int) and isinstance(domain.high, int)
    return ends and bool(value_problems(key, (domain.low or 0) + 0.5))


def _suggest_one(trial: Suggests, key: str, domain: Domain) -> Any:
    if domain.choices is not None:
        return _decode(domain, trial.suggest_categorical(key, [_encode(domain, choice) for choice in domain.choices]))
    low, high = domain.low or 0, domain.high or 0
    if is_whole(key, domain):
        return trial.suggest_int(key, int(low), int(high), log=domain.log)
    return trial.suggest_float(key, float(low), float(high), log=domain.log)


def _heard(domain: Domain, settings: Mapping[str, Any], base: Config) -> bool:
    return all(settings.get(other, value_of(base, other)) in wanted for other, wanted in domain.when.items())


def _inside(domain: Domain, value: Any) -> bool:
    return bool(_nearest(domain, value) == value)


def _nearest(domain: Domain, value: Any) -> Any:
    if domain.choices is not None:
        return value if value in domain.choices else domain.choices[0]
    low, high = domain.low or 0, domain.high or 0
    if not isinstance(value, int | float):
        return math.sqrt(low * high) if domain.log else (low + high) / 2
    return min(max(value, low), high)


def _encode(domain: Domain, value: Any) -> Any:
    """Gives a choice as Optuna stores it: lists as JSON."""
    return json.dumps(value) if domain.choices is not None and isinstance(value, list | dict) else value


def _decode(domain: Domain, value: Any) -> Any:
    if domain.choices is None:
        return value
    return next((choice for choice in domain.choices if _encode(domain, choice) == value), value)


def _log(low: float, high: float, when: dict[str, list[Any]] | None = None) -> Domain:
    return Domain(low=low, high=high, log=True, when=when or {})
