"""Tracking in MLflow. In: a run, parameters, metrics, files. Out: nothing: a store that is away stops no training.

All goes through a journal in the run folder, and from there to the store: at once where it answers, else later, at the end, by
`--resume` or when the next training begins. What is logged are numbers, settings, fingerprints and times; texts of examples
never, unless `tracking.log_examples` is on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as L

from smallprint.core.config import Config
from smallprint.core.mlflow_store import shown, tracking_uri
from smallprint.core.progress import Say
from smallprint.training.journal import Journal
from smallprint.training.sending import MAIN, Sender
from smallprint.training.system import SystemWatch

EVERY_STEPS = 10  # a point of the loss curve each so many steps
AGAIN_SECONDS = 30.0  # until a store that was away is tried again
SLOW = 10  # a store may take one part in so many of the time


class MetricLog(Protocol):
    """What a fit logs to: a `Tracker`, or what stands in front of one."""

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Logs numbers at a step."""

    def log_points(self, points: list[tuple[str, float, int]]) -> None:
        """Logs (name, value, step) points."""

    def nested(self, run: str) -> MetricLog:
        """Gives the log of a run nested in this one, such as a fold."""

    def finish(self, status: str = "FINISHED") -> None:
        """Ends it."""


class Tracker:
    """One MLflow run and those nested in it; that its store is away is said once.

    Args:
        config: Settings.
        name: The run's name.
        say: Takes the line that says the store is away.
        ids: MLflow's ids of a run to go on with, as `remember` was given them.
        folder: Of the run, whose journal keeps what was not sent; None keeps it in memory.
        remember: Takes the ids when there is a new one.
        parent: Name of a run that this one is nested in, made where there is none.
        key: By which the store finds the run where its id is not known here, made where there is none; a new one when left out.
        held: Send nothing: what is logged stays in the folder for `send_left_behind`.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        say: Say,
        ids: dict[str, str] | None = None,
        *,
        folder: Path | None = None,
        remember: Callable[[dict[str, str]], None] = lambda ids: None,
        parent: str = "",
        key: str | None = None,
        held: bool = False,
    ) -> None:
        self.uri: str | None = tracking_uri(config) if config.tracking.enabled else None
        self._say, self._away, self._next_try = say, False, 0.0
        self._open: list[str] = []
        self._parent, self._key, self._held, self.folder = parent, key, held, folder
        self._watch: SystemWatch | None = None
        if self.uri is None:
            return
        self._journal = Journal(folder)
        again = bool(self._journal.waiting)
        for entry in self._journal.waiting:
            entry["again"] = True  # it may have arrived, though its answer did not
        self.sender = Sender(self.uri, config.tracking.experiment, dict(ids or {}), remember)
        self._again = again
        self.begin(MAIN, name)
        if config.tracking.system_metrics:
            self._watch = SystemWatch()

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, once the store has given one."""
        return None if self.uri is None else self.sender.ids.get(MAIN)

    @property
    def answers(self) -> bool:
        """Whether the store took all that was logged so far."""
        return self.uri is not None and not self._away and not self._journal.waiting

    def begin(self, run: str, name: str) -> None:
        """Begins a run: itself, or one nested in it."""
        self._open.append(run)
        waits = any(entry["kind"] == "start" and entry["run"] == run for entry in self._journal.waiting)
        if not waits or run in self.sender.ids:
            parent, key = (self._parent, self._key) if run == MAIN else ("", None)
            made = {"key": uuid.uuid4().hex} if key is None else {"key": key, "again": True}
            self._add(run, "start", name=name, time=_now(), parent=parent, **made)
        self.send()

    def nested(self, run: str) -> Nested:
        """Gives the log of a run that is nested in this one, such as a fold; it ends by its `finish`."""
        return Nested(self, run)

    def log_parameters(self, parameters: dict[str, Any]) -> None:
        """Logs settings, flat; nested ones get names with dots."""
        self._add(MAIN, "params", values=flat(parameters))
        self.send()

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Logs numbers at a step."""
        self.log_points([(key, value, step) for key, value in values.items()])

    def log_points(self, points: list[tuple[str, float, int]], run: str = MAIN) -> None:
        """Logs (name, value, step) points."""
        if points and self.uri is not None:
            now = _now()
            named = [(key.replace("@", "_at_"), float(value), now, step) for key, value, step in points]
            self._add(run, "metrics", points=named)
            if self._watch is not None and (seen := self._watch.take(points[-1][2])):
                self._add(MAIN, "metrics", points=seen)
        self.send()

    def log_tags(self, tags: dict[str, str]) -> None:
        """Sets tags."""
        self._add(MAIN, "tags", values=tags)
        self.send()

    def log_data(self, datasets: list[dict[str, Any]]) -> None:
        """Logs splits: each with `name`, `split`, `fingerprint`, `rows` and `source`."""
        self._add(MAIN, "data", datasets=datasets)
        self.send()

    def log_file(self, path: Path, folder: str = "") -> None:
        """Logs a file, or all files of a folder, as artifacts; it must stay until the store has it."""
        self._add(MAIN, "file", path=str(path.absolute()), folder=folder)
        self.send()

    def end(self, run: str, status: str) -> None:
        """Ends a run as FINISHED, FAILED or KILLED."""
        if run in self._open:
            self._open.remove(run)
            self._add(run, "end", status=status, time=_now())

    def finish(self, status: str = "FINISHED") -> None:
        """Ends the run and what is open of those nested in it, and sends what was kept."""
        if self.uri is None:
            return
        if self._watch is not None:
            self._watch.stop()
        for run in [run for run in self._open if run != MAIN] + [MAIN]:
            self.end(run, status)
        self.send(now=True)
        self._journal.close()

    def leave(self) -> None:
        """Sends what was kept and leaves the run open, for another process to end."""
        if self.uri is None:
            return
        if self._watch is not None:
            self._watch.stop()
        self.send(now=True)
        self._journal.close(keep=True)

    def send(self, now: bool = False) -> None:
        """Sends what waits, unless the store was away a moment ago or takes too much of the time."""
        if self.uri is None or self._held or not self._journal.waiting:
            return
        if not now and time.monotonic() < self._next_try:
            return
        start = time.monotonic()
        done, error = self.sender.send(self._journal.waiting)
        self._journal.drop(done)
        end = time.monotonic()
        spent = 0.0 if self.uri.startswith("sqlite") and not error else end - start  # its first use makes tables
        self._next_try = end + max(SLOW * spent if spent > 1 else 0.0, AGAIN_SECONDS if error else 0.0)
        if error is not None and self._journal.waiting:
            self._journal.waiting[0]["again"] = True  # it may have arrived, though its answer did not
        for line in self.sender.refused:
            self._say(f"Tracking: the store refused {shown(line)[:300]}")
        self.sender.refused.clear()
        if error is not None and not self._away:
            self._away = True
            kept = (
                f"what it logs is kept in {self._journal.path}, to be sent at the end, by --resume, or when the next training begins"
                if self._journal.on_disk
                else "what it logs is kept until it ends"
            )
            self._say(
                f"Tracking: the store {shown(self.uri)} does not answer ({type(error).__name__}); the run goes on, and {kept}."
            )
        elif error is None and self._away:
            self._away = False
            self._say("Tracking: the store answers again, and has what was kept.")

    def _add(self, run: str, kind: str, **values: Any) -> None:
        if self.uri is not None:
            self._journal.add({"run": run, "kind": kind, **values})


class Nested:
    """The log of a run that is nested in another, until `finish`.

    Args:
        tracker: Of the run around it.
        run: Its name, such as 'linear/1'.
    """

    def __init__(self, tracker: Tracker, run: str) -> None:
        self._tracker, self._run = tracker, run
        if tracker.uri is not None:
            tracker.begin(run, run)

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Logs numbers at a step."""
        self.log_points([(key, value, step) for key, value in values.items()])

    def log_points(self, points: list[tuple[str, float, int]]) -> None:
        """Logs (name, value, step) points."""
        self._tracker.log_points(points, self._run)

    def nested(self, run: str) -> Nested:
        """Gives the log of a further run, nested in the outermost."""
        return self._tracker.nested(f"{self._run}/{run}")

    def finish(self, status: str = "FINISHED") -> None:
        """Ends it."""
        if self._tracker.uri is not None:
            self._tracker.end(self._run, status)


class TrackerCallback(L.Callback):
    """Sends loss and validation metrics to a tracker, the steps of an epoch at once."""

    def __init__(self, tracker: MetricLog) -> None:
        self.tracker = tracker
        self._points: list[tuple[str, float, int]] = []

    def state_dict(self) -> dict[str, Any]:
        """Gives the points that were not sent yet, so that a run stopped within an epoch loses none."""
        return {"points": self._points}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back."""
        self._points = list(state_dict["points"])

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Notes a point of the loss curve."""
        if trainer.global_step % EVERY_STEPS == 0:
            step = trainer.global_step
            self._points.append(("train/loss", float(pl_module.latest_loss), step))  # type: ignore[arg-type]
            self._points.append(("learning_rate", float(trainer.optimizers[0].param_groups[0]["lr"]), step))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sends the epoch's points."""
        step = trainer.global_step
        for key, value in trainer.callback_metrics.items():
            if key.startswith("validation/"):
                self._points.append((key, float(value), step))
        self.tracker.log_points(self._points)
        self._points = []


def flat(tree: dict[str, Any], before: str = "") -> dict[str, str]:
    """Gives settings under names with dots, all values as text; an empty dict is a value."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = str(value)
    return found


def _now() -> int:
    return int(time.time() * 1000)


__all__ = ["MetricLog", "Nested", "Tracker", "TrackerCallback", "flat", "tracking_uri"]
