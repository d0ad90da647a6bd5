"""A sweep in MLflow: one parent run, and under it a run for each trial. Numbers and settings go there; texts never."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from smallprint.core.config import Config
from smallprint.core.progress import Say, say_nothing
from smallprint.sweep.study import Row, Study
from smallprint.training.sending import MAIN
from smallprint.training.tracking import Tracker

PARENT = "mlflow.parentRunId"  # the tag by which MLflow nests runs


class SweepTracking:
    """The parent run of a sweep, which every process that works on it shares.

    Args:
        study: Remembers the parent's id.
        config: Settings of tracking.
        say: Is told once where the store does not answer.
    """

    def __init__(self, study: Study, config: Config, say: Say) -> None:
        self._config, self._study = config, study
        known = study.recall("mlflow_run_id")
        self._new = known is None
        self.parent = Tracker(config, study.folder.name, say, {MAIN: known} if known else None)
        if not self._known() and self.parent.uri is not None:
            say("Tracking: trials are not tracked until it answers; the study's own file has them all.")

    def begin(self, name: str, settings: dict[str, Any]) -> Tracker:
        """Gives the tracker of a run below the parent: of a trial, or of a seed."""
        self.parent.send()  # a store that was away may be back
        if not self._known():
            return Tracker(untracked(self._config), name, say_nothing)
        tracker = Tracker(self._config, name, say_nothing)
        tracker.log_tags({PARENT: str(self.parent.run_id)})
        tracker.log_parameters(settings)
        return tracker

    def _known(self) -> bool:
        """Whether the store has the parent run; the study remembers it from then on."""
        if self.parent.run_id and self._new:
            self._new = False
            self._study.remember("mlflow_run_id", self.parent.run_id)
            self.parent.log_tags({"smallprint.sweep": str(self._study.folder.absolute())})
        return self.parent.run_id is not None

    @contextmanager
    def seed(self, name: str) -> Iterator[Tracker]:
        """Gives the tracker of a training over seeds, and ends it."""
        tracker, status = self.begin(name, {}), "FAILED"
        try:
            yield tracker
            status = "FINISHED"
        finally:
            tracker.finish(status)

    def end_trial(self, tracker: Tracker, row: Row) -> None:
        """Ends a trial's run."""
        if row.value is not None:
            tracker.log_metrics({"average_precision": row.value})
        tracker.log_tags({"smallprint.trial": str(row.index), "smallprint.state": row.state, "smallprint.why": row.why})
        tracker.finish("FAILED" if row.state == "failed" else "FINISHED")

    def adopt(self, run_id: str | None) -> None:
        """Puts a run that a training made under the parent."""
        if run_id and self.parent.run_id:
            tracker = Tracker(self._config, "", say_nothing, {MAIN: run_id})
            tracker.log_tags({PARENT: self.parent.run_id})
            tracker.finish("FINISHED")


def untracked(config: Config) -> Config:
    """Gives the settings with tracking off."""
    return config.model_copy(update={"tracking": config.tracking.model_copy(update={"enabled": False})})
