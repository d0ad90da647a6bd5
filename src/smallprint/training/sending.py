"""Entries of a journal to MLflow. In: an address and entries. Out: how many the store has taken. Sending twice changes nothing.

Every point has the time at which it was measured, and every run a key of its own, so that what arrived although its answer
did not is found again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from smallprint.core.mlflow_store import experiment_of, open_client, quiet_mlflow, short_waits
from smallprint.training.journal import Entry

KEY = "smallprint.key"  # tag by which a run is found again
MAIN = ""  # name of the run itself among its nested ones
AT_ONCE = {"metrics": 1000, "params": 100, "tags": 100}
FINAL = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS")
MAX_VALUE = 500  # characters of a parameter
TRIES = 5  # to log data that another run logs too


class Sender:
    """A connection to the store.

    Args:
        uri: Its address.
        experiment: Its name.
        ids: MLflow's ids of the run (its name is '') and of those nested in it, as far as they are known.
        remember: Takes the ids when there is a new one.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        ids: dict[str, str],
        remember: Callable[[dict[str, str]], None],
    ) -> None:
        self.uri, self.experiment, self.ids, self._remember = uri, experiment, ids, remember
        self.refused: list[str] = []
        self._client: Any = None
        self._experiment_id = ""
        self._seen: set[str] = set()

    def send(self, entries: Sequence[Entry]) -> tuple[int, Exception | None]:
        """Gives how many entries need not be sent again, and what stopped it."""
        done = 0
        with short_waits(), quiet_mlflow():
            try:
                self._connect()
                from mlflow.exceptions import MlflowException

                for entry, count in _joined(entries):
                    try:
                        self._send(entry)
                    except MlflowException as error:
                        if error.error_code not in FINAL:
                            raise
                        self.refused.append(f"{entry['kind']}: {error}")
                    done += count
            except Exception as error:  # whatever the store's client raises must not end a training
                return done, error
        return done, None

    def status(self, run_id: str) -> str:
        """Gives the status of a run in the store."""
        with short_waits(), quiet_mlflow():
            self._connect()
            return str(self._client.get_run(run_id).info.status)

    def _connect(self) -> None:
        if self._client is None:
            self._client = open_client(self.uri, make=True)

    def _send(self, entry: Entry) -> None:
        kind, name = entry["kind"], entry["run"]
        if kind == "start":
            self._start(name, entry)
        elif name not in self.ids:
            return  # the store refused to make it
        elif kind == "metrics":
            from mlflow.entities import Metric

            self._batches("metrics", [Metric(*point) for point in entry["points"]], name)
        elif kind == "params":
            from mlflow.entities import Param

            self._batches("params", [Param(key, value[:MAX_VALUE]) for key, value in entry["values"].items()], name)
        elif kind == "tags":
            from mlflow.entities import RunTag

            self._batches("tags", [RunTag(key, value) for key, value in entry["values"].items()], name)
        elif kind == "file":
            self._file(name, Path(entry["path"]), entry["folder"])
        elif kind == "data":
            self._data(name, [_dataset(values) for values in entry["datasets"]])
        elif kind == "end":
            self._client.set_terminated(self.ids[name], entry["status"], end_time=entry["time"])

    def _batches(self, kind: str, values: list[Any], name: str) -> None:
        for start in range(0, len(values), AT_ONCE[kind]):
            self._client.log_batch(self.ids[name], **{kind: values[start : start + AT_ONCE[kind]]})

    def _data(self, name: str, datasets: list[Any]) -> None:
        """Logs data sets; where another run logs the same at this moment, its rows are there the next time."""
        from mlflow.exceptions import MlflowException

        for left in reversed(range(TRIES)):
            try:
                self._client.log_inputs(self.ids[name], datasets=datasets)
                return
            except MlflowException as error:
                if not left or not re.search(r"UniqueViolation|IntegrityError|UNIQUE constraint", str(error)):
                    raise

    def _file(self, name: str, path: Path, folder: str) -> None:
        if path.is_dir():
            self._client.log_artifacts(self.ids[name], str(path), folder or None)
        elif path.is_file():
            self._client.log_artifact(self.ids[name], str(path), folder or None)
        else:
            self.refused.append(f"file: {path.name} is no longer there")

    def _start(self, name: str, entry: Entry) -> None:
        """Makes a run, or goes on with it."""
        if name in self.ids:
            self._client.update_run(self.ids[name], status="RUNNING")
            return
        experiment = self._experiment_id = self._experiment_id or experiment_of(self._client, self.uri, self.experiment)
        found = self._find(experiment, entry["key"]) if entry.get("again") else None
        tags = {KEY: entry["key"]}
        if name != MAIN and MAIN in self.ids:
            tags["mlflow.parentRunId"] = self.ids[MAIN]
        elif entry.get("parent"):
            tags["mlflow.parentRunId"] = self._parent(experiment, entry["parent"])
        if found is None:
            run = self._client.create_run(experiment, start_time=entry["time"], tags=tags, run_name=entry["name"])
            found = run.info.run_id
        self.ids[name] = found
        self._remember(self.ids)

    def _parent(self, experiment: str, name: str) -> str:
        """Gives the run that holds others of one kind, such as the seeds of a system; it is made where there is none."""
        key = parent_key(name)
        found = self._find(experiment, key)
        if found is None:
            run = self._client.create_run(experiment, tags={KEY: key}, run_name=name)
            found = str(run.info.run_id)
            self._client.set_terminated(found, "FINISHED")
        return found

    def _find(self, experiment: str, key: str) -> str | None:
        quoted = key.replace("'", "")
        found = self._client.search_runs([experiment], f"tags.`{KEY}` = '{quoted}'", max_results=1)
        return str(found[0].info.run_id) if found else None


def parent_key(name: str) -> str:
    """Gives the key of the run that holds others of one kind, without the sign in which a search for it is quoted."""
    return f"parent {name}".replace("'", "")


def _joined(entries: Sequence[Entry]) -> Iterator[tuple[Entry, int]]:
    """Gives entries, metrics of one run that follow each other as one, and how many each stands for."""
    for (kind, run), part in groupby(entries, key=lambda entry: (entry["kind"], entry["run"])):
        several = list(part)
        if kind == "metrics":
            yield {"kind": kind, "run": run, "points": [p for entry in several for p in entry["points"]]}, len(several)
        else:
            yield from ((entry, 1) for entry in several)


def _dataset(values: dict[str, Any]) -> Any:
    """Gives a split as MLflow's dataset: its name, fingerprint, place and number of rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=values["name"],
        digest=values["fingerprint"][:36],
        source_type="smallprint",
        source=json.dumps({"uri": values["source"]}),
        profile=json.dumps({"num_rows": values["rows"], "fingerprint": values["fingerprint"]}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", values["split"])])


__all__ = ["KEY", "MAIN", "Sender", "parent_key"]
