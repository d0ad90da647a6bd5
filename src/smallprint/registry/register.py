"""A bundle becomes a version of a registered model. In: a candidate. Out: the version's number. No alias is moved.

The bundle is copied into the store as an MLflow model; where that fails halfway, the copy is marked as failed and no version names it.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.files import sha256_file
from smallprint.core.mlflow_store import experiment_of, open_client, shown, store_errors, used
from smallprint.core.progress import Say
from smallprint.core.run import Run
from smallprint.evaluation.headline import LEADING
from smallprint.inference.engine import Engine
from smallprint.packaging.manifest import MANIFEST
from smallprint.packaging.registered import HASH, Registered
from smallprint.registry.flavour import save_mlflow_model


@dataclass(frozen=True)
class Candidate:
    """What shall be promoted.

    Attributes:
        bundle: Its folder.
        manifest: What its manifest holds.
        engine: The same, loaded.
        run: The run that made it, where that is known.
        registered: The version that it is already, or None.
    """

    bundle: Path
    manifest: dict[str, Any]
    engine: Engine
    run: Run | None
    registered: Registered | None


def register(uri: str, name: str, candidate: Candidate, say: Say) -> int:
    """Copies the bundle into the store, as an MLflow model, and gives the number of its version."""
    run = candidate.run
    with store_errors(uri), used(uri), tempfile.TemporaryDirectory(prefix="smallprint-") as temporary:
        from mlflow.exceptions import MlflowException
        from mlflow.models import Model

        client = open_client(uri, make=True)
        tracked = _tracked_run(client, run)
        experiment = (
            tracked.info.experiment_id
            if tracked
            else experiment_of(client, uri, (run.config if run else Config()).tracking.experiment)
        )
        tags = _tags(candidate)
        logged = client.create_logged_model(
            experiment,
            name=re.sub(r"[^A-Za-z0-9_ -]", "-", name),
            source_run_id=tracked.info.run_id if tracked else None,
            tags=tags,
            model_type="smallprint",
        )
        try:
            entry = Model(model_uuid=logged.model_id, model_id=logged.model_id, run_id=logged.source_run_id)
            folder = Path(temporary) / "model"
            save_mlflow_model(candidate.bundle, candidate.engine, folder, entry)
            client.log_model_artifacts(logged.model_id, str(folder))
            client.finalize_logged_model(logged.model_id, "READY")
        except BaseException:
            _give_up(client, logged.model_id)
            raise
        try:
            client.create_registered_model(name, tags={"smallprint": "1"})
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                raise
        version = client.create_model_version(
            name, f"models:/{logged.model_id}", run_id=logged.source_run_id, tags=tags, model_id=logged.model_id
        )
    say(f"Registered as version {version.version} of {name} in {shown(uri)}.")
    return int(version.version)


def _give_up(client: Any, model_id: str) -> None:
    """Marks what was only half logged as failed, if the store still answers."""
    with contextlib.suppress(Exception):
        client.finalize_logged_model(model_id, "FAILED")


def _tags(candidate: Candidate) -> dict[str, str]:
    """Gives what a version tells of itself: no text of an example."""
    manifest, run = candidate.manifest, candidate.run
    task = manifest["task"]
    metrics = manifest["metrics"].get("test", {})
    tags = {
        HASH: sha256_file(candidate.bundle / MANIFEST),
        "smallprint.task": str(task),
        "smallprint.family": str(manifest.get("family", "encoder")),
        "smallprint.measure": LEADING[task],
        "smallprint.version": str(manifest["versions"].get("smallprint", "")),
        "smallprint.trained": str(manifest["created"]),
        "smallprint.n_test": str(manifest["data"].get("rows", {}).get("test", "")),
        "smallprint.data.test.fingerprint": str(manifest["data"].get("fingerprints", {}).get("test", "")),
        "smallprint.scores": json.dumps({key: round(value, 6) for key, value in metrics.items()}),
    }
    if run is not None:
        tags["smallprint.run"] = str(run.folder.absolute())
        if isinstance(data := run.state.get("data"), str):
            tags["smallprint.data"] = data
    return tags


def _tracked_run(client: Any, run: Run | None) -> Any:
    """Gives MLflow's run of a training, where it is in the same store."""
    from mlflow.exceptions import MlflowException

    run_id = None if run is None else run.state.get("mlflow_run_id")
    if not run_id:
        return None
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


__all__ = ["Candidate", "register"]
