"""A stack's part of a bundle: a bundle for each of its models, and how they are combined.

In: a `StackScorer` or files. Out: files or the same again. It checks no hashes: `bundle.py` has done that.

    stack.json              weight of each member, offset of each output, the models of each member, and its calibration if it has one
    members/NAME-NUMBER/    a whole bundle; of what it says besides its model nothing is used here
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from smallprint.core.errors import BundleError
from smallprint.core.files import write_json
from smallprint.data.labels import LabelSet
from smallprint.evaluation.stack import Stack
from smallprint.modeling.scorer import Scorer
from smallprint.modeling.stack_scorer import Member, StackScorer
from smallprint.packaging.calibration_files import read_calibration
from smallprint.packaging.manifest import AGAIN, CalibrationEntry, read_described

STACK_FILE, MEMBERS = "stack.json", "members"

# place, name of the member, one of its models
SaveMember = Callable[[Path, str, Scorer], None]


class Inner(Protocol):
    """A bundle inside the bundle, loaded."""

    @property
    def scorer(self) -> Scorer:
        """Its model."""

    @property
    def labels(self) -> LabelSet:
        """Its labels."""


class MemberEntry(BaseModel):
    """One member in stack.json."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    models: Annotated[int, Field(ge=1, le=100)]
    weight: float
    calibration: CalibrationEntry | None = None  # only members of a blend have one


class StackFile(BaseModel):
    """What stack.json must hold."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    combine: Literal["logits", "log scores"]
    members: Annotated[list[MemberEntry], Field(min_length=1)]
    offsets: list[float]


def save_stack(folder: Path, scorer: StackScorer, save_member: SaveMember) -> dict[str, Any]:
    """Writes the stack's files into the bundle's `folder` and gives what the manifest says of it."""
    stack = scorer.stack
    entries = []
    for member, weight in zip(scorer.members, stack.weights, strict=True):
        for number, model in enumerate(member.scorers, start=1):
            save_member(folder / MEMBERS / f"{member.name}-{number}", member.name, model)
        own = {} if member.calibration is None else {"calibration": member.calibration.to_dict()}
        entries.append({"name": member.name, "models": len(member.scorers), "weight": float(weight), **own})
    combine = "log scores" if stack.task == "multiclass" else "logits"
    write_json(folder / STACK_FILE, {"combine": combine, "members": entries, "offsets": stack.offsets.tolist()})
    return {"family": "stack", "versions": {"numpy": np.__version__}}


def load_stack(folder: Path, labels: LabelSet, load: Callable[[Path], Inner]) -> StackScorer:
    """Gives the stack of a bundle's folder.

    Args:
        folder: Of the bundle.
        labels: Task and label names.
        load: Loads the bundle of a member.

    Raises:
        BundleError: A file cannot be read, or a member does not fit the labels.
    """
    path = folder / STACK_FILE
    listed = read_described(path, StackFile)
    if len(listed.offsets) != labels.n_outputs:
        raise BundleError(
            f"{path} has {len(listed.offsets)} offsets, but the manifest names {len(labels.names)} labels.",
            f"{labels.n_outputs}, one per output",
            AGAIN,
        )
    if (listed.combine == "log scores") != (labels.task == "multiclass"):
        raise BundleError(f"{path} combines {listed.combine} for a {labels.task} task.", "the other way", AGAIN)
    members = []
    for entry in listed.members:
        places = [folder / MEMBERS / f"{entry.name}-{number + 1}" for number in range(entry.models)]
        bundles = [load(place) for place in places]
        for place, bundle in zip(places, bundles, strict=True):
            if (bundle.labels.task, bundle.labels.names) != (labels.task, labels.names):
                raise BundleError(f"{place} has other labels than the stack.", "the same task and labels", AGAIN)
        calibration = None if entry.calibration is None else read_calibration(entry.calibration, labels, path)
        members.append(Member(entry.name, [bundle.scorer for bundle in bundles], calibration))
    weights = np.array([entry.weight for entry in listed.members])
    return StackScorer(members, Stack(weights, np.array(listed.offsets), labels.task))


__all__ = ["STACK_FILE", "SaveMember", "load_stack", "save_stack"]
