"""MLflow's store: which it is, a client of it, and what is wrong with it in words. In: settings or an address. Out: a client.

It logs nothing and registers nothing. MLflow is imported only when a client is opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.errors import BundleError, SmallprintError
from smallprint.core.extras import missing_extra

SQLITE = "sqlite:///"
MOST_WORDS = 200  # characters of what a store answered


def tracking_uri(config: Config | None = None) -> str:
    """Gives the store: the setting, else MLFLOW_TRACKING_URI, else a SQLite file in the run root."""
    tracking = (config or Config()).tracking
    root = Path(tracking.root).absolute()
    return tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{(root / 'mlflow.db').as_posix()}"


def shown(uri: str) -> str:
    """Gives an address, or words with addresses, as they may be shown: without what may be a password.

    >>> shown("postgresql://anna:p@ss@host/runs and https://host/?password=p&x=1")
    'postgresql://host/runs and https://host/?password=...&x=1'
    """
    return re.sub(r"\b(password|passwd|token)=[^&\s'\"]+", r"\1=...", re.sub(r"//[^/\s]*@", "//", uri))


def without_passwords(config: Config) -> Config:
    """Gives settings as others may read them: the store's address without what may be a password."""
    uri = config.tracking.uri
    tracking = config.tracking.model_copy(update={"uri": None if uri is None else shown(uri)})
    return config.model_copy(update={"tracking": tracking})


def database_file(uri: str) -> Path | None:
    """Gives the file of a SQLite store; None for any other."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def open_client(uri: str, *, make: bool = False) -> Any:
    """Gives a client of the store.

    Args:
        uri: Its address.
        make: A SQLite file that is not there is made.

    Raises:
        BundleError: There is no such SQLite file.
    """
    file = database_file(uri)
    if file is not None and make:
        file.parent.mkdir(parents=True, exist_ok=True)
    elif file is not None and not file.is_file():
        raise BundleError(
            f"There is no tracking store at {file}.",
            "a store in which models were registered",
            "Go to the folder that holds `runs`, or name the store: export MLFLOW_TRACKING_URI=...",
        )
    with quiet_mlflow():
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri)


def experiment_of(client: Any, uri: str, name: str) -> str:
    """Gives the id of an experiment, which is made where there is none; a SQLite store keeps its files beside its own."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    file = database_file(uri)
    artifacts = None if file is None else (file.absolute().parent / "artifacts").as_uri()
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, artifact_location=artifacts))
    except MlflowException as error:  # another process was faster
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(client.get_experiment_by_name(name).experiment_id)


@contextlib.contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turns whatever a store or its client raises into one message; waits are short, and errors of ours pass.

    Raises:
        BundleError: The store is away, locked, read-only or of another version, or its answer is none.
        MissingExtraError: MLflow is not installed.
    """
    try:
        with short_waits(), quiet_mlflow():
            yield
    except (SmallprintError, KeyboardInterrupt, SystemExit):
        raise
    except ModuleNotFoundError as error:
        raise missing_extra(error, "A store of MLflow needs") or told(uri, error) from None
    except Exception as error:  # MLflow's client raises what the libraries below it do
        raise told(uri, error) from None


def told(uri: str, error: Exception) -> BundleError:
    """Gives the error of a store in words."""
    said, place = f"{type(error).__name__}: {error}", shown(uri)
    expected = "a store that answers"
    if "database is locked" in said:
        return BundleError(f"The store {place} is locked by another program.", expected, "Try again in a moment.")
    if re.search(r"readonly database|read-only|unable to open database|disk I/O error", said, re.IGNORECASE):
        return BundleError(
            f"The store {place} may not be written.",
            "a store that may be written",
            "Check the permissions of the file and its folder, and the disk. Nothing was changed.",
        )
    if "out-of-date database schema" in said or "Can't locate revision" in said:
        return BundleError(
            f"The store {place} was written by another version of MLflow.",
            "the version that is installed here",
            f"Copy it for safety, then: mlflow db upgrade {place}; or update MLflow.",
        )
    if re.search(r"(?<!port=)(?<![\d:/])40[13](?!\d)|PERMISSION_DENIED|UNAUTHENTICATED", said):
        return BundleError(
            f"The store {place} does not let you in.",
            "a user that may read and register models",
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
        )
    away = r"Max retries|Connection|timed out|Timeout|OperationalError|could not connect|refused"
    if re.search(away, said):
        return BundleError(
            f"The store {place} does not answer ({type(error).__name__}).",
            expected,
            "Start it, or name another: export MLFLOW_TRACKING_URI=...  Nothing was changed.",
        )
    words = " ".join(shown(str(error)).split())[:MOST_WORDS]
    return BundleError(
        f"The store {place} answered what is not understood ({type(error).__name__}: {words}).",
        "an MLflow store",
        "Check the address: MLFLOW_TRACKING_URI, or tracking.uri.",
    )


@contextlib.contextmanager
def used(uri: str) -> Iterator[None]:
    """Makes the store the one that parts of MLflow look at which take no address, and puts back the one before."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    import mlflow

    was = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(was)
        if before is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


@contextlib.contextmanager
def short_waits() -> Iterator[None]:
    """Lets MLflow try three times, ten seconds each, and print nothing, where nothing else is set: by itself it waits for minutes."""
    ours = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    added = {name: value for name, value in ours.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Lets nothing of MLflow and its database be heard: what goes wrong is raised too, and told by us."""
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


__all__ = [
    "database_file",
    "experiment_of",
    "open_client",
    "quiet_mlflow",
    "short_waits",
    "shown",
    "store_errors",
    "told",
    "tracking_uri",
    "used",
    "without_passwords",
]
