"""Fits a stack: members by folds of train and validation, and how their scores are combined, from scores of unseen examples.

Each member is fitted once a fold on the other folds, and scores that one. A member that needs no examples to choose an
epoch by is then fitted on all of them; of one that does, the folds' models are kept and averaged. So nothing that was
labelled lies idle, and thresholds stand on every example's score, not on one small split's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from smallprint.core.config import SVM, Config
from smallprint.core.errors import DataError
from smallprint.core.parts import Parts
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import Array, FitResult
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits, fold_examples
from smallprint.evaluation.parts import leave_each_out
from smallprint.evaluation.stack import crossfit_stack, fit_stack
from smallprint.families.checks import member_config, unheard
from smallprint.families.fitted import Fit, Fitted, reached, tell
from smallprint.modeling.kernel_head import check_size
from smallprint.modeling.scorer import Scorer
from smallprint.modeling.stack_scorer import Member, StackScorer
from smallprint.training.callbacks import peak_memory_mb
from smallprint.training.fit import FINISHED, seed_everything
from smallprint.training.stored import VectorCache
from smallprint.training.tracking import MetricLog

BuildFit = Callable[[Splits, LabelSet, Config, Parts, Path, Say, VectorCache], Fit]


def build_stack(
    splits: Splits, labels: LabelSet, config: Config, folder: Path, say: Say, cache: VectorCache, build: BuildFit
) -> Fit:
    """Gives the function that fits it; see `build_fit`, which is `build`: it fits the members."""
    members = {name: member_config(config, name) for name in config.stack.members}
    own, extra = splits.own_train, splits.extra
    pool = Examples("train", pl.concat([own.frame, splits.validation.frame]))
    for name, member in members.items():
        if member.model.head == SVM:
            check_size(
                len(pool) + len(extra or ()), f"Take the member '{name}' out of stack.members, or give it another head."
            )
    say(f"A stack of {', '.join(members)}, over {config.stack.folds} folds of {len(pool):,} examples.")
    for line in unheard(config):
        say(line)
    say = _once(say)
    folds = fold_examples(pool, labels.names, config.stack.folds, config.training.seed, "stack.folds")
    truth = labels.encode(pool.labels)

    def fit(tracker: MetricLog) -> Fitted:
        start = time.monotonic()
        scores: list[Array] = []
        kept: list[Member] = []
        results: list[FitResult] = []
        for name, settings in members.items():
            unseen = np.zeros((len(pool), labels.n_outputs), dtype=np.float32)
            scorers: list[Scorer] = []
            refitted = needs_no_choice(settings)
            spent: list[float] = []
            for fold in range(config.stack.folds):
                place = folder / name / str(fold + 1)
                finished, began = (place / FINISHED).exists(), time.monotonic()
                say(_announce(name, fold, config.stack.folds, finished, spent))
                part = leave_out(pool, folds == fold, extra)
                seed_everything(config.training.seed)  # each alike, whatever was trained or resumed before it
                inner = tracker.nested(f"{name}/{fold + 1}")
                fitted = build(part, labels, settings, Parts(), place, say, cache)(inner)
                inner.finish()
                spent += [] if finished else [time.monotonic() - began]
                unseen[folds == fold] = fitted.validation
                if not refitted:
                    scorers.append(fitted.scorer)
                results.append(fitted.result)
            if refitted:
                say(f"Member '{name}', all examples.")
                seed_everything(config.training.seed)
                # its scores of validation, which it learns from, would be too good to be said or tracked
                whole, silent = Splits(_with(pool, extra), splits.validation, _closed, ""), Silent()
                fit_whole = build(whole, labels, settings, Parts(), folder / name / "all", say_nothing, cache)
                scorers = [fit_whole(silent).scorer]
            scores.append(unseen)
            kept.append(Member(name, scorers))
        combined = crossfit_stack(scores, truth, _units(pool), labels.task)
        stack = fit_stack(scores, truth, labels.task)
        values = reached(truth, combined, labels.task)
        told = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(members, stack.weights, strict=True))
        say(f"Weights: {told}.  Held out: {tell(values)}")
        tracker.log_metrics(values)
        over_groups = any(group is not None for group in pool.groups)
        parts = leave_each_out(list(members), scores, truth, stack, _units(pool), over_groups)
        seconds = time.monotonic() - start
        result = _result(values, results, seconds)
        return Fitted(StackScorer(kept, stack), result, combined[len(own) :], combined, parts)

    return fit


class Silent:
    """Logs nowhere what a member's fit logs."""

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Drops numbers."""

    def log_points(self, points: list[tuple[str, float, int]]) -> None:
        """Drops points."""

    def nested(self, run: str) -> Silent:
        """Gives itself."""
        return self

    def finish(self, status: str = "FINISHED") -> None:
        """Ends nothing."""


def needs_no_choice(config: Config) -> bool:
    """Gives whether a member is fitted without examples to choose an epoch by."""
    return config.model.family in ("linear", "static") or config.model.head == SVM


def leave_out(pool: Examples, outside: Array, extra: Examples | None) -> Splits:
    """Gives a fold as validation and the rest as train; extra rows are trained on by all and judged by none."""
    mask = pl.Series(outside)
    train, validation = Examples("train", pool.frame.filter(~mask)), Examples("validation", pool.frame.filter(mask))
    return Splits(_with(train, extra), validation, _closed, "")


def _with(examples: Examples, extra: Examples | None) -> Examples:
    return examples if extra is None else Examples("train", pl.concat([examples.frame, extra.frame]))


def _announce(name: str, fold: int, folds: int, finished: bool, spent: list[float]) -> str:
    """Gives the line before a fold: that it was finished before, or how long this one and those behind it will take."""
    line = f"Member '{name}', fold {fold + 1} of {folds}"
    if finished:
        return f"{line}, was finished before: read from its checkpoint."
    if not spent:
        return f"{line}:"
    seconds = int(sum(spent) / len(spent) * (folds - fold))
    return f"{line}, about {seconds // 60}:{seconds % 60:02d} left for this member:"


def _once(say: Say) -> Say:
    """Gives a way to say things that drops what was said before on settings without effect: every fold says it again."""
    said: set[str] = set()

    def once(line: str) -> None:
        if not (line.startswith("Without effect") and line in said):
            said.add(line)
            say(line)

    return once


def _closed() -> Examples:
    raise DataError("A member of a stack asked for the test split.", "train and validation alone", "Report this.")


def _units(pool: Examples) -> list[object]:
    """Gives what stays together where stacks are fitted without it: the group, or the row."""
    return [group if group is not None else row for row, group in enumerate(pool.groups)]


def _result(values: dict[str, float], results: list[FitResult], seconds: float) -> FitResult:
    timing = {
        "seconds_per_epoch": round(seconds, 3),
        "padding_share": max(result.timing["padding_share"] for result in results),
        "peak_memory_mb": peak_memory_mb(),
    }
    return FitResult([{"epoch": 0.0, **values}], 0, sum(result.steps for result in results), False, timing)
