"""Models by name: loaded from their bundles, and replaced while requests go on where a bundle was replaced."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallprint.core.errors import SmallprintError
from smallprint.inference.engine import Engine, load_engine
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.manifest import read_manifest
from smallprint.packaging.registered import find_version, read_word
from smallprint.serve.batcher import Batcher
from smallprint.serve.points import points_of
from smallprint.serve.problems import Problem
from smallprint.serve.settings import ServeSettings

log = logging.getLogger("smallprint.serve")
MANIFEST = "manifest.json"
LANES = 2  # calls of an engine at the same time, where it takes two; others have the first lane in turn
AGAIN_SECONDS = 60.0  # until a version that was refused is tried again: it may not have arrived whole
Stamp = tuple[str, int, int | str]


@dataclass(frozen=True)
class Served:
    """One version of a model.

    Attributes:
        name: As clients call it.
        engine: What answers.
        batcher: What asks it.
        card: What is told of it.
        stamp: Tells when its bundle was replaced.
    """

    name: str
    engine: Engine
    batcher: Batcher
    card: dict[str, Any]
    stamp: Stamp


class Models:
    """All that a server answers with.

    Args:
        settings: Names and folders.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.served: dict[str, Served] = {}
        self.lanes = [ThreadPoolExecutor(1, thread_name_prefix="score") for _ in range(LANES)]
        self._refused: dict[str, tuple[Stamp, float]] = {}

    def load(self) -> None:
        """Loads every model.

        Raises:
            BundleError: One is damaged or not there.
        """
        for name, folder in self.settings.models:
            self.served[name] = self._load(name, folder)

    def find(self, name: str | None) -> Served:
        """Gives a model by its name; the first where none is named.

        Raises:
            Problem: There is no such model, or none is loaded yet.
        """
        if not self.served:
            raise Problem("not-ready", "The model is being loaded.")
        if name is None:
            return self.served[self.settings.models[0][0]]
        if name not in self.served:
            raise Problem("not-found", f"There is no such model. There are: {', '.join(self.served)}.")
        return self.served[name]

    async def watch(self) -> None:
        """Takes new versions, for ever: requests that are with the old one are answered by it."""
        while self.settings.reload_seconds:
            await asyncio.sleep(self.settings.reload_seconds)
            for name, folder in self.settings.models:
                await self._renew(name, folder)

    async def _renew(self, name: str, folder: str) -> None:
        try:
            stamp = await asyncio.to_thread(_stamp, folder)  # a registry may take its time
        except Exception:
            return  # it is being replaced at this moment, or the registry is away
        refused, since = self._refused.get(name, (None, 0.0))
        if stamp == self.served[name].stamp or (stamp == refused and time.monotonic() < since + AGAIN_SECONDS):
            return
        try:
            self.served[name] = await asyncio.to_thread(self._load, name, folder)
            log.info("model %s: new version %s", name, self.served[name].card["version"][:12])
        except Exception as error:  # whatever is wrong with it, the next one is looked for
            self._refused[name] = stamp, time.monotonic()
            ours = isinstance(error, (SmallprintError, OSError))  # what others say may hold a text
            if stamp != refused:
                why = str(error).partition("\n")[0] if ours else type(error).__name__
                log.error("model %s: its new version is refused (%s)", name, why)

    def _load(self, name: str, folder: str) -> Served:
        stamp = _stamp(folder)
        place = find_bundle(folder)
        engine = load_engine(place)
        engine.predict(["."])  # what is made on first use is made now
        settings = self.settings
        batcher = Batcher(
            engine, self.lanes, batch=settings.batch, waiting=settings.waiting, seconds=settings.answer_seconds
        )
        return Served(name, engine, batcher, _card(name, engine, read_manifest(place)), stamp)


def _stamp(folder: str) -> Stamp:
    if (word := read_word(folder)) is not None:
        return find_version(word).stamp
    place = find_bundle(folder)
    found = (place / MANIFEST).stat()
    return str(place.resolve()), found.st_mtime_ns, found.st_ino


def _card(name: str, engine: Engine, manifest: dict[str, Any]) -> dict[str, Any]:
    """Gives what is told of a model: no path, and nothing of its examples."""
    data = manifest["data"]
    return {
        "name": name,
        "version": engine.version,
        "family": manifest.get("family", "encoder"),
        "created": manifest["created"],
        "task": engine.labels.task,
        "labels": list(engine.labels.names),
        "score_names": list(engine.labels.score_names),
        "thresholds": [float(value) for value in engine.thresholds],
        "max_length": engine.max_length,
        "policy": None if engine.policy is None else engine.policy.to_dict(),
        "points": points_of(engine),
        "calibrated": engine.calibration is not None,
        "metrics": manifest["metrics"].get("test", manifest["metrics"]),
        "data": {key: data[key] for key in ("rows", "labels") if key in data},
        "versions": manifest["versions"],
        "files": manifest["files"],
    }


def name_of(model: str) -> tuple[str, str]:
    """Gives name and folder of NAME=MODEL, or of a folder or a registered model, which is called by its own name."""
    name, given, folder = model.partition("=")
    if given and name and "/" not in name:
        return name, folder
    if (word := read_word(model)) is not None:
        return word.name, model
    place = Path(model).absolute()
    return (place.parent.name if place.name == "bundle" else place.name) or "model", model


__all__ = ["Models", "Served", "name_of"]
