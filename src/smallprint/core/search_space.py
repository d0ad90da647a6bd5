"""Checks a search space against the settings that it searches. In: the space. Out: a sentence for each thing wrong, all of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from smallprint.core.sweep_config import flatten_space

SEARCHED = ("model.", "training.")
FIXED = {
    "model.backbone": "a sweep is of one backbone",
    "model.adapter": "a sweep is of one way to train it",
    "model.revision": "a sweep is of one backbone",
    "training.seed": "trials that differ in their seed alone are no better for it",
    "training.monitor": "it is what trials are compared by",
    "training.teacher": "a sweep is of one teacher",
    "training.devices": "it changes no result",
    "training.num_nodes": "it changes no result",
    "training.strategy": "it changes no result",
    "training.cache_mb": "it changes no result",
    "training.checkpoint_minutes": "it changes no result",
}
Check = Callable[[str, Any], list[str]]


def space_problems(space: Any, names: Sequence[str], check: Check) -> list[str]:
    """Gives what is wrong with the keys and values of a space; its form is checked elsewhere.

    Args:
        space: Setting to domain, as it was given.
        names: Every setting.
        check: Gives what is wrong with a value of a setting.
    """
    space = flatten_space(space)
    if not isinstance(space, Mapping):
        return []
    if not space:
        return ["sweep.space is empty: it needs a setting to search."]
    problems = []
    for key, domain in space.items():
        if odd := _key_problems(key, names):
            problems += odd
            continue
        parts = domain if isinstance(domain, Mapping) else {}
        values = [parts[name] for name in ("low", "high") if parts.get(name) is not None]
        choices = parts.get("choices")
        values += choices if isinstance(choices, list) else []
        problems += [f"sweep.space: {problem}" for value in values for problem in check(key, value)]
        when = parts.get("when")
        for other, wanted in when.items() if isinstance(when, Mapping) else ():
            if other not in names:
                problems.append(
                    f"'{other}' in `when` of '{key}' is no setting; the nearest is '{_nearest(other, names)}'."
                )
            elif isinstance(wanted, list):
                problems += [f"sweep.space, `when` of '{key}': {p}" for value in wanted for p in check(other, value)]
    return problems


def _key_problems(key: str, names: Sequence[str]) -> list[str]:
    allowed = [name for name in names if name.startswith(SEARCHED) and name not in FIXED]
    if key not in names:
        return [f"'{key}' in sweep.space is no setting; the nearest is '{_nearest(key, allowed)}'."]
    if key in FIXED:
        return [f"'{key}' cannot be searched: {FIXED[key]}."]
    if not key.startswith(SEARCHED):
        return [f"'{key}' cannot be searched: settings of the model and of training can."]
    return []


def _nearest(key: str, names: Sequence[str]) -> str:
    return difflib.get_close_matches(key, names, n=1, cutoff=0.0)[0]


__all__ = ["FIXED", "SEARCHED", "space_problems"]
