"""Which versions an alias stood at, and who may move it now. In: a client and a name. Out: a list of versions, or a lock.

The history of each alias is a tag of the registered model; the lock is an entry of the registry itself, so that it holds for
programs on other machines too.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

from smallprint.core.errors import BundleError

HISTORY = "smallprint.history."  # and the alias: a tag of the registered model
LOCK = ".smallprint-lock"  # after the model's name: a registered model that is there as long as the lock is held; with -HOLDER: remains
MOST = 200  # versions that a history remembers
WAIT_SECONDS = 60.0  # for the lock
TAKEN = ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST")  # the last: it was, and has gone since
STALE_SECONDS = 45.0  # what is done under it takes some requests; a holder that old has died
SWEEP_SECONDS = 3600.0  # after which nobody can still be about to take over what remains of a broken lock


@contextlib.contextmanager
def locked(client: Any, name: str) -> Iterator[None]:
    """Lets one program at a time move aliases of a model, in whatever store.

    A lock whose holder died is moved aside to a name of that holder. Names are unique in a store, so that of many who wait only
    one can do it, and nobody moves the lock that the next holder made meanwhile.

    Raises:
        BundleError: Somebody else holds it for a minute.
    """
    from mlflow.exceptions import MlflowException

    mine, entry, until = uuid.uuid4().hex, f"{name}{LOCK}", time.monotonic() + WAIT_SECONDS
    while True:
        note = {"holder": mine, "since": str(time.time()), "who": f"{socket.gethostname()} {os.getpid()}"}
        try:
            client.create_registered_model(entry, tags=note, description="Held while an alias is moved.")
            break
        except MlflowException as error:
            if error.error_code not in TAKEN:
                raise
        with contextlib.suppress(MlflowException):  # it may have gone away just now
            held = client.get_registered_model(entry).tags
            # none: given back between the two queries of a store, and the lock there now may be of the next holder
            if {"since", "holder"} <= held.keys() and time.time() > float(held["since"]) + STALE_SECONDS:
                client.rename_registered_model(entry, f"{entry}-{held['holder']}")
                continue
        if time.monotonic() > until:
            raise BundleError(
                f"Somebody else is promoting '{name}'.", "one promotion at a time", "Try again in a minute."
            )
        time.sleep(0.2)
    held_since = time.monotonic()
    try:
        yield
    finally:
        with contextlib.suppress(MlflowException):
            _release(client, entry, mine, time.monotonic() - held_since)


def _release(client: Any, entry: str, mine: str, held_seconds: float) -> None:
    """Gives the lock back, if nobody has taken it over, and sweeps up what remains of broken ones.

    One that was held long somebody may be about to move aside: what remains of it stays for a while, so that they cannot.
    """
    from mlflow.exceptions import MlflowException

    if client.get_registered_model(entry).tags.get("holder") == mine:
        with contextlib.suppress(MlflowException):
            client.rename_registered_model(entry, f"{entry}-{mine}")
            if held_seconds < STALE_SECONDS / 2:
                client.delete_registered_model(f"{entry}-{mine}")
    for remains in client.search_registered_models(f'name LIKE "{entry}-%"', max_results=100):
        if time.time() > float(remains.tags.get("since", "0")) + SWEEP_SECONDS:
            client.delete_registered_model(remains.name)


def read_history(model: Any, alias: str) -> list[int]:
    """Gives the versions that an alias stood at, the last is where it stands; what was moved by hand is counted in.

    Args:
        model: As MLflow gives a registered model.
        alias: The alias.
    """
    kept = json.loads(model.tags.get(HISTORY + alias, "[]"))
    now = model.aliases.get(alias)
    if now is None:
        return []
    now = int(now)
    if now in kept:  # what stands behind it was not finished, or was undone by hand
        return [*kept[: len(kept) - kept[::-1].index(now)]]
    return [*kept, now]


def write_history(client: Any, name: str, alias: str, versions: list[int]) -> None:
    """Writes it into the model's tag."""
    client.set_registered_model_tag(name, HISTORY + alias, json.dumps(versions[-MOST:]))


__all__ = ["HISTORY", "LOCK", "locked", "read_history", "write_history"]
