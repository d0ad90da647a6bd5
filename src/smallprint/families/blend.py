"""Finished runs whose scores are averaged. In: run folders. Out: their scores of validation and test, and the mean of their logits.

Nothing is fitted: weights are equal, or given. Models are not loaded here, and no folder of a member is written into.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from smallprint.core.config import STACK, Config, ModelConfig, StackConfig, TrainingConfig
from smallprint.core.errors import BundleError, ConfigError, DataError, SmallprintError, TrainingError
from smallprint.core.results import Array, ScoredSplit
from smallprint.core.run import Run, open_run
from smallprint.core.settings import load_config, setting_names, value_of
from smallprint.evaluation.checks import check_arrays
from smallprint.evaluation.score_files import read_scores
from smallprint.evaluation.stack import Stack

OWN_SECTIONS = ("evaluation", "tracking", "card")  # settings that a blend may have of its own


@dataclass(frozen=True)
class FinishedRun:
    """A run that was trained to its end.

    Attributes:
        name: Of the member: its folder's, with what names no folder of a bundle replaced.
        run: The run.
        saved: What its metrics.json holds.
        validation: Its scores of validation.
        groups: Of validation's examples.
        test: Its scores of test.
        test_groups: Of test's examples.
    """

    name: str
    run: Run
    saved: dict[str, Any]
    validation: ScoredSplit
    groups: list[str | None]
    test: ScoredSplit
    test_groups: list[str | None]


def read_finished(folders: Sequence[str | Path]) -> list[FinishedRun]:
    """Gives the runs of these folders, which stand on the same examples.

    Raises:
        ConfigError: There are fewer than two, one stands twice, or one is a blend itself.
        TrainingError: One is no run, or has not finished.
        BundleError: What it wrote cannot be read.
        DataError: They have other labels, another task, or other examples of validation or test.
    """
    places = [Path(folder).expanduser().resolve() for folder in folders]
    if len(places) < 2:
        raise ConfigError(
            f"{len(places)} run was named." if places else "No run was named.",
            "at least two finished runs, to average",
            "Name the others too.",
        )
    if twice := [place for place in places if places.count(place) > 1]:
        raise ConfigError(
            f"The run {twice[0]} was named twice.", "each run once", "Give it twice the weight instead: --weights 2,1."
        )
    found: list[FinishedRun] = []
    for place in places:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", place.name)[:58] or "member"
        taken, name, number = {member.name for member in found}, stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        found.append(_read(place, name))
        _check_alike(found[0], found[-1])
    return found


def share_weights(weights: Sequence[float] | None, n: int) -> Array:
    """Gives the members' weights with sum 1, float64 `[n]`: equal, or in the ratio of those that are given.

    Raises:
        ConfigError: Another number of weights, one below 0 or not finite, or none above 0.
    """
    if weights is None:
        return np.full(n, 1 / n)
    given = np.asarray(weights, dtype=np.float64)
    told = ",".join(f"{value:g}" for value in given)
    expected, do = f"{n} numbers of 0 or more, one a run, in the order of the runs", "For example --weights 2,1,1."
    if len(given) != n:
        raise ConfigError(f"{len(given)} weights were given ({told}) for {n} runs.", expected, do)
    if not np.isfinite(given).all() or (given < 0).any():
        raise ConfigError(f"The weights {told} hold a number below 0, or none at all.", expected, do)
    if not given.any():
        raise ConfigError(f"The weights {told} are all 0.", f"{expected}, not all of them 0", do)
    given = given / given.max()  # first, so that the sum of large ones is finite
    return np.asarray(given / given.sum())


def build_stack_of(weights: Array, members: Sequence[FinishedRun]) -> Stack:
    """Gives the stack that averages: these weights, no offset."""
    task, n_outputs = members[0].test.task, members[0].test.scores.shape[1]
    return Stack(weights, np.zeros(n_outputs), task)


def average(stack: Stack, splits: Sequence[ScoredSplit]) -> ScoredSplit:
    """Gives a split with the mean of the members' logits, one split a member in the order of the stack's weights."""
    return replace(splits[0], scores=stack.apply([split.scores for split in splits]))


def config_of_blend(members: Sequence[FinishedRun], weights: Array, settings: Sequence[str] = ()) -> Config:
    """Gives the settings of a blend: those of its members, and for data, evaluation, tracking and card the first run's.

    Args:
        members: The runs.
        weights: `[n_members]`.
        settings: `section.key=value` of evaluation, tracking and card, which win.

    Raises:
        ConfigError: A setting of another section, or a wrong one.
    """
    if other := [each for each in settings if each.partition(".")[0] not in OWN_SECTIONS]:
        raise ConfigError(
            f"{other[0]} cannot be set for a blend, which trains nothing.",
            f"settings of {', '.join(OWN_SECTIONS)}",
            "Leave it out; train a run with it, and blend that.",
        )
    first = members[0].run.config
    base = Config(
        data=first.data.model_copy(update={"extra": None}),
        model=ModelConfig(backbone=STACK),
        training=TrainingConfig(seed=first.training.seed),
        evaluation=first.evaluation,
        tracking=first.tracking,
        card=first.card,
    )
    listed = {member.name: _settings_of(member.run.config, base) for member in members}
    blended = StackConfig(members=listed, weights=[float(weight) for weight in weights])
    return load_config(None, settings, base.model_copy(update={"stack": blended}))


def _settings_of(config: Config, base: Config) -> list[str]:
    """Gives how a member's model and training differ from the defaults, as `section.key=value`; its teacher's place is left out."""
    usual = base.model_copy(update={"model": ModelConfig(), "stack": StackConfig()})
    names = [name for name in setting_names() if name.partition(".")[0] in ("model", "stack", "training")]
    return [
        f"{name}={json.dumps(value_of(config, name))}"
        for name in names
        if name != "training.teacher" and value_of(config, name) != value_of(usual, name)
    ]


def _read(folder: Path, name: str) -> FinishedRun:
    expected, do = "the folder of a run that was trained to its end", "Name another run, or train this one to its end."
    if not (folder / "run.json").is_file():
        raise TrainingError(
            f"{folder} {'holds no run' if folder.exists() else 'does not exist'}.", f"{expected} (it has run.json)", do
        )
    try:
        run = open_run(folder, clear=False)
        if run.state.get("status") != "finished" or not run.metrics.is_file():
            raise TrainingError(f"The run {folder} has not finished.", expected, do)
        if run.config.stack.weights is not None:
            raise ConfigError(
                f"{folder} is a blend itself.",
                "runs that were trained",
                "Name its members in its place, and their weights with --weights.",
            )
        saved = json.loads(run.metrics.read_text(encoding="utf-8"))
        validation, groups = read_scores(folder, "validation", saved)
        test, test_groups = read_scores(folder, "test", saved)
        for split in (validation, test):
            check_arrays(split.targets, split.scores, split.task)
    except (TrainingError, ConfigError):
        raise
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError, SmallprintError) as error:
        told = error.found if isinstance(error, SmallprintError) else f"{type(error).__name__}: {error}".splitlines()[0]
        raise BundleError(f"The run {folder} cannot be read ({told})", "what training wrote", do) from None
    return FinishedRun(name, run, saved, validation, groups, test, test_groups)


def _check_alike(first: FinishedRun, other: FinishedRun) -> None:
    """Refuses a run of another task, other labels or other examples; row numbers are told, texts never."""
    a, b = first.run.folder, other.run.folder
    do = "Blend runs that were trained on the same data with the same splits; `smallprint split` writes files for all of them."
    if first.test.task != other.test.task:
        raise DataError(f"{a} is {first.test.task}, {b} is {other.test.task}.", "runs of one task", do)
    names, others = first.test.label_names, other.test.label_names
    if names != others:
        odd = sorted(set(names) ^ set(others))
        told = f"other labels, by {', '.join(odd[:5])}" if odd else "the same labels in another order"
        raise DataError(f"{b} has {told} than {a}." if odd else f"{b} has {told}.", f"the labels of {a}", do)
    for one, two in ((first.validation, other.validation), (first.test, other.test)):
        if len(one.texts) != len(two.texts):
            raise DataError(
                f"{one.split} has {len(two.texts):,} examples in {b}, and {len(one.texts):,} in {a}.",
                f"the same {one.split} examples in the same order",
                do,
            )
        rows = [row for row, (x, y) in enumerate(zip(one.texts, two.texts, strict=True)) if x != y]
        what = "text"
        if not rows:
            apart = np.asarray(one.targets) != np.asarray(two.targets)
            rows, what = np.flatnonzero(apart.reshape(len(one.texts), -1).any(axis=1)).tolist(), "label"
        if rows:
            raise DataError(
                f"{b} has other {what}s than {a} in {len(rows):,} rows of {one.split}, first in row {rows[0] + 1:,}.",
                f"the same {one.split} examples in the same order",
                do,
            )


__all__ = ["FinishedRun", "average", "build_stack_of", "config_of_blend", "read_finished", "share_weights"]
