"""The trials of a sweep: one after the other until the budget is spent, however many processes share it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from smallprint.core.errors import TrainingError
from smallprint.core.progress import Say, counted
from smallprint.sweep.judge import Judge
from smallprint.sweep.study import Row, Study
from smallprint.sweep.tracking import SweepTracking
from smallprint.sweep.trial import Deadline, run_trial
from smallprint.training.stored import VectorCache

FAILED_FIRST = 5  # trials: where as many failed and none went well, the others will not either


@dataclass(frozen=True)
class Budget:
    """What a sweep may cost.

    Attributes:
        trials: How many, those of earlier calls and other processes counted.
        minutes: After which no trial begins; None is no limit.
        seeds: With which the winner is trained again before anything is said of it.
    """

    trials: int
    minutes: float | None = None
    seeds: int = 3


def run_trials(
    study: Study,
    judge: Judge,
    budget: Budget,
    cache: VectorCache,
    tracking: SweepTracking,
    say: Say,
    go_on: Callable[[], bool] = lambda: True,
) -> None:
    """Runs trials until the budget is spent, this process's part of them.

    Args:
        study: Open.
        judge: Data and folds.
        budget: Of all processes together.
        cache: What frozen encoders gave before.
        tracking: The parent run.
        say: Takes lines for a person.
        go_on: Gives whether another trial shall begin.
    """
    deadline = Deadline(time.monotonic() + 60 * budget.minutes if budget.minutes is not None else None)
    while not deadline.passed and go_on():
        asked = study.ask(budget.trials)
        if asked is None:
            break
        trial, row = asked
        tracker = tracking.begin(f"trial {row.index + 1}", row.settings)
        try:
            ended = run_trial(study, trial, row, judge, cache, deadline, tracker, say)
        except BaseException:
            tracking.end(tracker, "KILLED")
            raise
        tracking.end_trial(tracker, ended)
        rows = study.rows()
        say(_tell(ended, rows, budget, deadline))
        if len(rows) >= FAILED_FIRST and all(other.state == "failed" for other in rows):
            break


def check_completed(rows: Sequence[Row]) -> None:
    """Checks that there is a trial to choose.

    Raises:
        TrainingError: All have failed, or none has come to its end.
    """
    if not any(row.state in ("complete", "running") for row in rows):
        raise _none_completed(rows)


def _tell(ended: Row, rows: Sequence[Row], budget: Budget, deadline: Deadline) -> str:
    values = [row.value for row in rows if row.state == "complete" and row.value is not None]
    told = {"complete": f"average precision {ended.value or 0:.4f}"}.get(ended.state, f"{ended.state}: {ended.why}")
    best = f", best {max(values):.4f}" if values else ""
    # the median: the first trial reads what the others only look up
    left = median([row.seconds for row in rows if row.seconds is not None] or [0.0]) * max(0, budget.trials - len(rows))
    if deadline.at is not None:
        left = min(left, max(0.0, deadline.at - time.monotonic()))
    name = f" ({ended.start})" if ended.start else ""
    return (
        f"  trial {ended.index + 1}/{budget.trials}{name} {ended.seconds or 0:.1f} s  {told}{best}  "
        f"about {int(left) // 60}:{int(left) % 60:02d} left"
    )


def _none_completed(rows: Sequence[Row]) -> TrainingError:
    failed = Counter(row.why for row in rows if row.state == "failed")
    if not failed:
        return TrainingError(
            "No trial was completed.", "time for one at least", "Give more --minutes, or start again: it goes on."
        )
    told = "\n".join(f"  {n} x {why}" for why, n in failed.most_common(5))
    return TrainingError(
        f"All {counted(len(rows), 'trial')} failed:\n{told}",
        "settings with which a model can be trained",
        "Try them with `smallprint train` first, or narrow sweep.space.",
    )
