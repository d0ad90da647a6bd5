"""Optuna's file and samplers. In: a folder, a seed. Out: a storage, a sampler, and our own errors where the file refuses."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.errors import TrainingError

FILE = "study.db"
LOCKED_SECONDS = 30.0  # that another process may hold the file


def open_storage(folder: Path) -> Any:
    """Gives the SQLite storage of a sweep, made where there is none."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    url = f"sqlite:///{(folder / FILE).absolute().as_posix()}"
    return optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": LOCKED_SECONDS}})


def build_sampler(base: Config, index: int) -> Any:
    """Gives the sampler of the trial with this index; the same seed and index suggest the same after the same trials."""
    import numpy as np
    import optuna

    seed = int(np.random.SeedSequence([base.training.seed, index]).generate_state(1)[0])
    settings = base.sweep
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if settings.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if settings.sampler == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=settings.startup, deterministic_objective=True)
        # group: settings that go with some heads alone are drawn together too, from the trials of these heads
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=settings.startup, multivariate=True, group=True)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turns what a study's file can refuse into a message.

    Raises:
        TrainingError: It is locked, may not be written, or is no study.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError, PermissionError) as error:
        said = f"{error} {error.__cause__ or ''}".lower()
        place = folder / FILE
        if "locked" in said:
            found, do = (
                f"{place} is locked by another program.",
                "Close what has it open, then start the sweep again: it goes on.",
            )
        elif (
            "readonly" in said or "read-only" in said or "unable to open" in said or isinstance(error, PermissionError)
        ):
            found, do = f"{place} may not be written.", "Check the permissions, or name another folder by --out."
        elif "not a database" in said or "malformed" in said or "no such" in said:
            found, do = (
                f"{place} is no study, or is damaged.",
                "Remove it to begin anew, or name another folder by --out.",
            )
        else:
            found, do = f"{place} could not be used: {type(error).__name__}.", "Start the sweep again: it goes on."
        raise TrainingError(found, "a SQLite file that this sweep may read and write", do) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Drops warnings that a user can do nothing about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
