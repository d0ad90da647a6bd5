"""Tracking in MLflow. In: a run, parameters, metrics, files. Out: nothing: a store that is away stops no training.

What is logged are numbers, settings, fingerprints and times; texts of examples never, unless `tracking.log_report` is on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as L

from smallprint.core.config import Config
from smallprint.core.progress import Say
from smallprint.core.results import Metrics
from smallprint.core.run import Run

EVERY_STEPS = 10  # a point of the loss curve each so many steps
MAX_PARAMETER = 500  # characters of a logged parameter


def tracking_uri(config: Config) -> str:
    """Gives the store: the setting, else MLFLOW_TRACKING_URI, else a SQLite file in the run root."""
    root = Path(config.tracking.root).absolute()
    return config.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"


class MetricLog(Protocol):
    """What a fit logs to: a `Tracker`, or what stands in front of one."""

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Logs numbers at a step."""

    def log_points(self, points: list[tuple[str, float, int]]) -> None:
        """Logs (name, value, step) points."""


class Tracker:
    """One MLflow run, as long as its store answers; the first failure is said once and ends tracking for this run.

    Args:
        config: Settings.
        name: The run's name.
        say: Takes the line that says the store is away.
        run_id: Of a run to go on with.
    """

    def __init__(self, config: Config, name: str, say: Say, run_id: str | None = None) -> None:
        self.uri: str | None = tracking_uri(config) if config.tracking.enabled else None
        self.run_id, self._say = run_id, say
        self._client: Any = None
        if self.uri:
            self._try(lambda: self._start(config, name))

    def log_parameters(self, parameters: dict[str, Any]) -> None:
        """Logs settings, flat, each cut at what MLflow holds."""
        if self._client:
            from mlflow.entities import Param

            params = [Param(key, str(value)[:MAX_PARAMETER]) for key, value in parameters.items()]
            for start in range(0, len(params), 100):
                part = params[start : start + 100]
                self._try(lambda part=part: self._client.log_batch(self.run_id, params=part))  # type: ignore[misc]

    def log_metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Logs numbers at a step."""
        self.log_points([(key, value, step) for key, value in values.items()])

    def log_points(self, points: list[tuple[str, float, int]]) -> None:
        """Logs (name, value, step) points, a thousand at a time."""
        if not self._client:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for start in range(0, len(points), 1000):
            metrics = [
                Metric(key.replace("@", "_at_"), float(value), now, step)
                for key, value, step in points[start : start + 1000]
            ]
            if self._client:
                self._try(lambda metrics=metrics: self._client.log_batch(self.run_id, metrics=metrics))  # type: ignore[misc]

    def log_start(self, run: Run, config: Config, summary: dict[str, Any]) -> None:
        """Logs settings, fingerprints and the settings file, and writes the MLflow run id down for a resume."""
        if self.run_id:
            run.update(mlflow_run_id=self.run_id)
        settings = {f"{part}.{k}": v for part, values in config.model_dump().items() for k, v in values.items()}
        self.log_parameters(settings)
        rows, prints = summary["rows"], summary["fingerprints"]
        self.log_tags(
            {
                "smallprint.run": str(run.folder.absolute()),
                "smallprint.task": str(summary["task"]),
                **{f"smallprint.data.{split}.fingerprint": prints[split] for split in prints},
                **{f"smallprint.data.{split}.rows": str(rows[split]) for split in rows},
            }
        )
        self.log_file(run.folder / "config.yaml")

    def log_end(self, run: Run, validation: Metrics, test: Metrics) -> None:
        """Logs final metrics, where the bundle lies, and the report if its texts may leave."""
        for metrics in (validation, test):
            self.log_metrics({f"final/{metrics.split}/{key}": value for key, value in metrics.values.items()})
        self.log_tags(
            {"smallprint.bundle": str(run.bundle.absolute()), "smallprint.report": str(run.report.absolute())}
        )
        self.log_file(run.metrics)
        if run.config.tracking.log_report:
            self.log_file(run.report)

    def log_tags(self, tags: dict[str, str]) -> None:
        """Sets tags."""
        for key, value in tags.items():
            if self._client:
                self._try(lambda key=key, value=value: self._client.set_tag(self.run_id, key, value))  # type: ignore[misc]

    def log_file(self, path: Path) -> None:
        """Logs a file as an artifact."""
        if self._client:
            self._try(lambda: self._client.log_artifact(self.run_id, str(path)))

    def finish(self, status: str) -> None:
        """Ends the run as FINISHED, FAILED or KILLED."""
        if self._client:
            self._try(lambda: self._client.set_terminated(self.run_id, status))

    def _start(self, config: Config, name: str) -> None:
        with _quiet_mlflow():
            from mlflow import MlflowClient

            if str(self.uri).startswith("sqlite:///"):
                Path(str(self.uri).removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            client = MlflowClient(tracking_uri=self.uri)
            experiment = client.get_experiment_by_name(config.tracking.experiment)
            if experiment is None:
                artifacts = None
                if str(self.uri).startswith("sqlite:///"):
                    artifacts = (Path(config.tracking.root).absolute() / "artifacts").as_uri()
                experiment_id = client.create_experiment(config.tracking.experiment, artifact_location=artifacts)
            else:
                experiment_id = experiment.experiment_id
            if self.run_id:
                client.update_run(self.run_id, status="RUNNING")
            else:
                self.run_id = client.create_run(experiment_id, run_name=name).info.run_id
            self._client = client

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            with _short_waits():
                action()
        except Exception as error:  # whatever the store's client raises must not end a training
            self._client = None
            self._say(
                f"Tracking: the store {self.uri} does not answer ({type(error).__name__}); the run goes on without it."
            )


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

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Notes a point of the loss curve."""
        if trainer.global_step % EVERY_STEPS == 0:
            step = trainer.global_step
            self._points.append(("train/loss", float(trainer.callback_metrics["train/loss"]), step))
            self._points.append(("learning_rate", float(trainer.optimizers[0].param_groups[0]["lr"]), step))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sends the epoch's points."""
        step = trainer.global_step
        for key, value in trainer.callback_metrics.items():
            if key.startswith("validation/"):
                self._points.append((key, float(value), step))
        self.tracker.log_points(self._points)
        self._points = []


@contextlib.contextmanager
def _short_waits() -> Iterator[None]:
    """Lets MLflow try three times, ten seconds each, where nothing else is set: by itself it waits for minutes."""
    ours = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    added = {name: value for name, value in ours.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _quiet_mlflow() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
