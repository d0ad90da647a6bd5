"""Settings of a sweep: what is searched, and how. In: YAML. Out: `SweepConfig`; whether its keys exist `search_space` checks.

It knows nothing of Optuna.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from smallprint.core.section import Section

PARTS = ("low", "high", "log", "choices", "when")


class Domain(Section):
    """Where one setting is searched: between two numbers, or among choices."""

    low: int | float | None = Field(None, description="Lowest value.")
    high: int | float | None = Field(None, description="Highest value.")
    log: bool = Field(False, description="Equal factors are equally likely, instead of equal steps.")
    choices: list[Any] | None = Field(None, description="The values, where they are no range.")
    when: dict[str, list[Any]] = Field(
        default_factory=dict, description="Other settings, and the values of theirs with which this one is searched."
    )

    @model_validator(mode="after")
    def _check(self) -> Domain:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("choices, or low and high: not both")
            if not self.choices:
                raise ValueError("there are no choices")
            if any(value in self.choices[:i] for i, value in enumerate(self.choices)):
                raise ValueError("a choice stands twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("low and high are needed, or choices")
        if not self.low < self.high:
            raise ValueError(f"low ({self.low:g}) is not below high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError("a log range begins above 0")
        return self


class SweepConfig(Section):
    """How `smallprint sweep` searches; training does not hear it."""

    space: dict[str, Domain] | None = Field(
        None,
        description="What is searched: setting -> {low, high, log} or {choices}, each with `when` where it goes with some values of "
        "another setting only. Chosen by the kind of model when left out.",
    )
    sampler: Literal["tpe", "gp", "random"] = Field(
        "tpe", description="What suggests settings: 'tpe', 'gp' (a Gaussian process) or 'random'."
    )
    startup: int = Field(6, ge=1, description="Trials before the sampler learns from what they gave.")
    pruning: bool = Field(
        True,
        description="End a trial whose best validation score so far is below the median of the others' at that epoch.",
    )
    folds: int | Literal["auto"] = Field(
        "auto",
        description="Folds of train and validation, groups whole, that a trial is judged by; 1: by validation alone; 'auto': 5 where "
        "train has fewer examples than `small`.",
    )
    small: int = Field(1500, ge=0, description="Training examples below which 'auto' takes folds.")

    @field_validator("folds")
    @classmethod
    def _check_folds(cls, folds: int | str) -> int | str:
        if isinstance(folds, int) and not 1 <= folds <= 20:
            raise ValueError("folds are 1 to 20, or 'auto'")
        return folds

    @field_validator("space", mode="before")
    @classmethod
    def _flatten(cls, space: Any) -> Any:
        return flatten_space(space)


def flatten_space(space: Any) -> Any:
    """Gives a space by dotted names, whether it came so or with sections inside one another; anything else as it came."""
    if not isinstance(space, dict):
        return space
    flat: dict[str, Any] = {}
    for name, value in space.items():
        if isinstance(value, dict) and value and not any(part in value for part in PARTS):
            flat |= {f"{name}.{key}": inner for key, inner in flatten_space(value).items()}
        else:
            flat[str(name)] = value
    return flat


__all__ = ["Domain", "SweepConfig", "flatten_space"]
