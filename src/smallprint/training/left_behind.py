"""Runs whose process died or whose store was away. In: the run root. Out: their journals sent, and the dead marked: KILLED in the store,
stopped in their folder.

Done when the next training begins, once its own store has answered; of a sweep's trials also while it lasts. Runs that go on hold a
lock, and are left alone.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.files import write_json
from smallprint.core.mlflow_store import tracking_uri
from smallprint.core.progress import Say, counted
from smallprint.core.settings import load_config
from smallprint.training.journal import FILE, Journal, is_held, take_over
from smallprint.training.sending import MAIN, Sender

KEPT = "tracking"  # folder in a sweep's, with one for each run that is in the store alone
SWEEP, WORKERS = (
    "sweep",
    "workers",
)  # of these the one that all processes of the sweep share; folder of a lock for each process


def send_left_behind(root: Path, own: Path, uri: str, say: Say) -> int:
    """Sends what runs of a root could not, and gives how many there were.

    Args:
        root: The run root.
        own: Folder of the run that begins.
        uri: The store that answers; runs of another one are left alone.
        say: Takes a line, where there were any.
    """
    places = ("*", f"*/{KEPT}/{SWEEP}", f"*/{KEPT}/*", "*/winner") if root.is_dir() else ()
    return send_folders(
        [file.parent for place in places for file in sorted(root.glob(f"{place}/run.json"))], own, uri, say
    )


def send_folders(folders: Iterable[Path], own: Path, uri: str, say: Say) -> int:
    """Sends what these runs could not, as `send_left_behind` does."""
    sent = 0
    for folder in folders:
        if folder.resolve() == own.resolve():
            continue
        try:
            sent += _send_one(folder, uri)
        except Exception:  # somebody else's run, damaged perhaps: nothing of this one depends on it
            continue
    if sent:
        say(f"Tracking: {counted(sent, 'run')} that had ended without it {'was' if sent == 1 else 'were'} sent.")
    return sent


def tidy(folder: Path) -> None:
    """Takes away the folder of a run that is in the store alone, once all of it is there.

    For who had its journal alone: one without a journal may belong to a run that is about to begin.
    """
    if folder.parent.name == KEPT and not (folder / FILE).exists():
        with contextlib.suppress(OSError):  # another process has begun a journal in it meanwhile: it stays
            (folder / "run.json").unlink(missing_ok=True)
            folder.rmdir()


def is_worked_on(sweep: Path) -> bool:
    """Whether a process works on a sweep at this moment."""
    return any(is_held(lock) for lock in (sweep / WORKERS).glob("*.lock"))


def _send_one(folder: Path, uri: str) -> int:
    if folder.parent.name == KEPT and folder.name == SWEEP and is_worked_on(folder.parents[1]):
        return 0  # whoever held its journal has gone, another process goes on
    journal = take_over(folder)
    if journal is None:
        return 0
    seen_to = False
    try:
        settings = folder.parents[1] if folder.parent.name == KEPT else folder
        config = load_config(settings / "config.yaml")
        if not config.tracking.enabled or tracking_uri(config) != uri:
            return 0
        sent = _send(folder, journal, config, uri)
        seen_to = True
        return sent
    finally:
        journal.close(keep=not seen_to)
        if seen_to:
            tidy(folder)


def _send(folder: Path, journal: Journal, config: Config, uri: str) -> int:
    state: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    ended = any(entry["kind"] == "end" and entry["run"] == MAIN for entry in journal.waiting)
    if not journal.waiting and state.get("status") != "started":
        return 0

    def remember(ids: dict[str, str]) -> None:
        write_json(folder / "run.json", {**state, **state_of(ids)})

    for entry in journal.waiting:
        entry["again"] = True
    sender = Sender(uri, config.tracking.experiment, ids_of(state), remember)
    if not ended:  # killed: nothing of its own could say so
        empty = not journal.waiting
        now = int((folder / "run.json").stat().st_mtime * 1000) if empty else int(time.time() * 1000)
        over = {entry["run"] for entry in journal.waiting if entry["kind"] == "end"}
        names = dict.fromkeys([*sender.ids, *(entry["run"] for entry in journal.waiting)])
        for name in [name for name in names if name not in over and _is_open(sender, name)]:
            journal.add({"run": name, "kind": "end", "status": "KILLED", "time": now})
    done, error = sender.send(journal.waiting)
    journal.drop(done)
    if not ended and error is None:  # a training can be resumed, a blend is made again: neither goes on by itself
        write_json(folder / "run.json", {**state, **state_of(sender.ids), "status": "stopped"})
    return int(error is None)


def _is_open(sender: Sender, name: str) -> bool:
    """Whether a run still counts as running in the store; one that is not there yet will."""
    return name not in sender.ids or sender.status(sender.ids[name]) == "RUNNING"


def ids_of(state: dict[str, Any]) -> dict[str, str]:
    """Gives MLflow's ids of a run and those nested in it from what run.json holds."""
    main = state.get("mlflow_run_id")
    return ({MAIN: main} if main else {}) | dict(state.get("mlflow_nested", {}))


def state_of(ids: dict[str, str]) -> dict[str, Any]:
    """Gives the ids as run.json holds them."""
    nested = {name: run_id for name, run_id in ids.items() if name != MAIN}
    return {"mlflow_run_id": ids.get(MAIN), **({"mlflow_nested": nested} if nested else {})}


__all__ = ["KEPT", "SWEEP", "WORKERS", "ids_of", "is_worked_on", "send_folders", "send_left_behind", "state_of", "tidy"]
