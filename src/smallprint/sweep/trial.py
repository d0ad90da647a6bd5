"""One trial: settings in, a model fitted and judged, its curve told to the study as it grows; ended early where it lags."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smallprint.core.errors import ConfigError, DataError, TrainingError
from smallprint.core.progress import Say
from smallprint.sweep.judge import Judge
from smallprint.sweep.space import config_of
from smallprint.sweep.study import DEFAULT, Row, Study
from smallprint.training.module import MONITOR
from smallprint.training.stored import VectorCache
from smallprint.training.tracking import MetricLog

LONG_SECONDS = 20.0  # of a training that is heard of before its end
LAGS, TIME = "below the median of the others", "the time was over"
FAILURES = (TrainingError, ConfigError, DataError)  # of these settings; anything else ends the sweep


def patient(say: Say) -> Say:
    """Gives a way to say things that lets epochs pass alone, and these only once the training takes long."""
    began = time.monotonic()

    def later(line: str) -> None:
        if line.startswith("  epoch") and time.monotonic() - began >= LONG_SECONDS:
            say(f"  {line}")

    return later


class PrunedError(Exception):
    """Ends the fit of a trial that need not go on."""


@dataclass(frozen=True)
class Deadline:
    """When no more trials shall run; a trial on its way ends at its next epoch, if any was completed before.

    Attributes:
        at: `time.monotonic()`, or None.
    """

    at: float | None

    @property
    def passed(self) -> bool:
        """Whether it is later than that."""
        return self.at is not None and time.monotonic() >= self.at


class Curve:
    """What the fit of a trial logs to: it passes everything on, and tells the study each epoch's validation score.

    Args:
        log: Where everything goes.
        report: Takes a value and its step, and gives whether the trial shall end; None: epochs are not reported.
        stop: Gives whether the time is over.
    """

    def __init__(self, log: MetricLog, report: Callable[[float, int], bool] | None, stop: Callable[[], bool]) -> None:
        self._log, self._report, self._stop, self._epoch = log, report, stop, 0

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Passes numbers on: what is fitted in one go has no curve."""
        self._log.log_metrics(values, step)

    def log_points(self, points: list[tuple[str, float, int]]) -> None:
        """Passes an epoch's points on, and ends the trial where it lags or the time is over."""
        self._log.log_points(points)
        values = [value for name, value, _ in points if name == MONITOR]
        if not values:
            return
        lags = self._report is not None and self._report(values[-1], self._epoch)
        self._epoch += 1
        if lags or self._stop():
            raise PrunedError(LAGS if lags else TIME)

    def nested(self, run: str) -> MetricLog:
        """Gives the log of a part of the fit: it has no say in when the trial ends."""
        return self._log.nested(run)

    def finish(self, status: str = "FINISHED") -> None:
        """Ends nothing: the trial's own run is ended by the sweep."""


def run_trial(
    study: Study, trial: Any, row: Row, judge: Judge, cache: VectorCache, deadline: Deadline, log: MetricLog, say: Say
) -> Row:
    """Runs a trial to its end and tells the study how it ended.

    Raises:
        SmallprintError: Something that no other settings would mend, as a full disk; the trial is asked for again.
    """
    started = time.monotonic()
    folder = study.folder / "trials" / str(row.index)
    shutil.rmtree(folder, ignore_errors=True)
    may_stop = any(other.state == "complete" for other in study.rows())
    by_epoch = (lambda value, step: study.report(trial, value, step)) if judge.folds == 1 else None

    def judged(fold: int, mean: float) -> None:
        if judge.folds == 1:
            return
        lags = study.report(trial, mean, fold)
        if fold + 1 < judge.folds and (lags or (may_stop and deadline.passed)):
            raise PrunedError(LAGS if lags else TIME)

    state, value, why = "complete", None, ""
    try:
        config = config_of(study.base, {} if row.start == DEFAULT else row.settings)
        curve = Curve(log, by_epoch, lambda: may_stop and deadline.passed)
        value, _ = judge.fit(config, folder, cache, lambda fold: curve, patient(say), judged)
    except PrunedError as end:
        state, why = "pruned", str(end)
    except FAILURES as error:
        state, why = "failed", str(error).splitlines()[0]
    except BaseException:  # Ctrl-C, a full disk, a bug: somebody else may do better
        study.leave_behind(trial)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    study.tell(trial, state, value, why)
    return Row(row.index, state, row.settings, value, row.start, [], time.monotonic() - started, why)
