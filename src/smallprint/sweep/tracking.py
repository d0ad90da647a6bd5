"""A sweep in MLflow: one parent run, and under it a run for each trial. Numbers and settings go there; texts never.

Where the store is away, trials wait in SWEEP/tracking, a folder each, as runs do in theirs; they are sent when it answers: by this sweep,
the next call of it, or the next training of the run root that it lies in.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.errors import SmallprintError
from smallprint.core.files import write_json
from smallprint.core.progress import Say, say_nothing
from smallprint.sweep.study import Row, Study
from smallprint.sweep.workers import alone
from smallprint.training.left_behind import KEPT, SWEEP, is_worked_on, send_folders, state_of, tidy
from smallprint.training.sending import MAIN, parent_key
from smallprint.training.tracking import Tracker

FOUND = "sweep.json"  # what came out
NAME = "tracking_name"  # under which the study remembers what its parent run is found by


class SweepTracking:
    """The parent run of a sweep, which every process that works on it shares.

    Args:
        study: Remembers the parent's id.
        config: Settings of tracking.
        say: Is told once where the store does not answer.
    """

    def __init__(self, study: Study, config: Config, say: Say) -> None:
        self._config, self._study, self._say, self._told = config, study, say, False
        self._kept = study.folder / KEPT
        self._found_before = self._found()
        self.name = self._shared_name() if config.tracking.enabled else ""
        known = study.recall("mlflow_run_id")
        self._new = known is None
        self.parent = Tracker(
            config,
            study.folder.name,
            say,
            {MAIN: known} if known else None,
            key=parent_key(self.name),
            **self._place(SWEEP),
        )
        self.parent.log_tags({"smallprint.sweep": str(study.folder.absolute())})
        self._look()

    def begin(self, name: str, settings: dict[str, Any]) -> Tracker:
        """Gives the tracker of a run below the parent: of a trial, or of a seed. `end` ends it."""
        self.parent.log_tags({"smallprint.latest": name})  # a store that has gone, or is back, is noticed here
        self._look()
        place = self._place(uuid.uuid4().hex)
        tracker = Tracker(self._config, name, say_nothing, parent=self.name, held=not self.parent.answers, **place)
        tracker.log_parameters(settings)
        return tracker

    def end(self, tracker: Tracker, status: str) -> None:
        """Ends such a run; where the store did not take all of it, the rest waits."""
        tracker.finish(status)
        if tracker.folder is not None:
            tidy(tracker.folder)

    @contextmanager
    def seed(self, name: str) -> Iterator[Tracker]:
        """Gives the tracker of a training over seeds, and ends it."""
        tracker, status = self.begin(name, {}), "FAILED"
        try:
            yield tracker
            status = "FINISHED"
        finally:
            self.end(tracker, status)

    def end_trial(self, tracker: Tracker, row: Row) -> None:
        """Ends a trial's run."""
        if row.value is not None:
            tracker.log_metrics({"average_precision": row.value})
        tracker.log_tags({"smallprint.trial": str(row.index), "smallprint.state": row.state, "smallprint.why": row.why})
        self.end(tracker, "FAILED" if row.state == "failed" else "FINISHED")

    def finish(self, status: str | None) -> None:
        """Ends the parent run if no other process works on the sweep, else leaves that to it; sends what waits, also what others left.

        For who has closed the study: of two that end together the later one then sees that the other has gone.

        Args:
            status: What became of the sweep; None where another process was to find that out.
        """
        with alone(self._study.folder, "parent"):
            if is_worked_on(self._study.folder):
                self.parent.leave()
                return
            self.end(self.parent, status or ("KILLED" if self._found() == self._found_before else "FINISHED"))
        self._look(self._study.folder)
        with contextlib.suppress(OSError):  # something waits in it, or it was never made
            self._kept.rmdir()

    def _found(self) -> int:
        """When it was last written what came out, in ns; 0 for never."""
        try:
            return (self._study.folder / FOUND).stat().st_mtime_ns
        except OSError:
            return 0

    def _look(self, own: Path | None = None) -> None:
        """Sends what waits where the store answers, and says once where it does not; the parent's too unless that goes on."""
        if self.parent.uri is None:
            return
        if self.parent.run_id and self._new:
            self._new = False
            self._study.remember("mlflow_run_id", self.parent.run_id)
        if self.parent.answers:
            self._told = False
            folders = sorted(file.parent for file in self._kept.glob("*/run.json"))
            send_folders(folders, own or self._kept / SWEEP, self.parent.uri, self._say)
        elif not self._told:
            self._told = True
            root = Path(self._config.tracking.root)
            found_there = self._study.folder.resolve().parent == root.resolve()
            later = (
                f"by the same command later, or by the next training in {root}"
                if found_there
                else "or by the same command later"
            )
            self._say(f"Tracking: trials are kept in {self._kept} and sent when it answers: by this sweep, {later}.")

    def _place(self, name: str) -> dict[str, Any]:
        """Gives where a tracker keeps what could not be sent yet."""
        if not self._config.tracking.enabled:
            return {}
        folder = self._kept / name
        _note(folder, {})
        return {"folder": folder, "remember": lambda ids: _note(folder, state_of(ids))}

    def _shared_name(self) -> str:
        with alone(self._study.folder, NAME):
            name = self._study.recall(NAME)
            if name is None:
                name = f"{self._study.folder.name} {uuid.uuid4().hex[:8]}"
                self._study.remember(NAME, name)
        return str(name)


def _note(folder: Path, ids: dict[str, Any]) -> None:
    with contextlib.suppress(OSError, SmallprintError):  # a full disk: then what is logged is kept in memory alone
        folder.mkdir(parents=True, exist_ok=True)
        if ids or not (folder / "run.json").exists():
            write_json(folder / "run.json", {"status": "started", **ids})
