"""After the search: winner and defaults are trained again over new seeds, and the winner's run opens test, once.

In: an open sweep and its best trial. Out: scores by seed, kept in the sweep's folder so that a stopped sweep trains none twice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from smallprint import api
from smallprint.core.config import Config
from smallprint.core.files import atomic_folder, write_json
from smallprint.core.progress import Say
from smallprint.core.results import TrainResult
from smallprint.core.run import open_run
from smallprint.core.settings import render_config
from smallprint.runs import read_result
from smallprint.sweep.claim import Claim, compare_seeds
from smallprint.sweep.judge import Judge, Judged
from smallprint.sweep.space import Settings, config_of
from smallprint.sweep.trial import patient
from smallprint.training.stored import VectorCache
from smallprint.training.tracking import MetricLog


@dataclass(frozen=True)
class Seeds:
    """What settings reach over seeds: mean average precision by which they are judged, and what it is made of."""

    seeds: list[int]
    values: list[float]
    judged: list[list[Judged]]

    def told(self) -> dict[str, Any]:
        """Gives seeds, values, mean and standard deviation (None of one seed) for JSON."""
        spread = float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None
        return {"seeds": self.seeds, "values": self.values, "mean": float(np.mean(self.values)), "spread": spread}


def retrain(
    name: str,
    base: Config,
    settings: Settings,
    judge: Judge,
    n_seeds: int,
    folder: Path,
    cache: VectorCache,
    track: Callable[[str], AbstractContextManager[MetricLog]],
    say: Say,
) -> Seeds:
    """Gives what settings reach with seeds that the search did not use; those that are on disk are read.

    Args:
        name: What they are, for a person.
        base: Settings of the sweep.
        settings: On top of them.
        judge: Data and folds.
        n_seeds: How many.
        folder: Of the sweep.
        cache: What frozen encoders gave before.
        track: Gives what a training of this name logs to, for as long as it lasts.
        say: Takes lines for a person.
    """
    seeds = [(base.training.seed + 1 + k) % 2**32 for k in range(n_seeds)]
    values, judged = [], []
    for seed in seeds:
        seeded = base.model_copy(update={"training": base.training.model_copy(update={"seed": seed})})
        config = config_of(seeded, settings)
        place = folder / "seeds" / f"{_mark(config)}-{seed}"
        if place.is_dir():
            value, parts = _read(place)
        else:
            scratch = folder / "trials" / place.name
            with track(f"{name}, seed {seed}") as log:
                value, parts = judge.fit(config, scratch, cache, partial(_same, log), patient(say))
            shutil.rmtree(scratch, ignore_errors=True)
            _write(place, value, parts)
        say(f"  {name}, seed {seed}: average precision {value:.4f}")
        values.append(value)
        judged.append(parts)
    return Seeds(seeds, values, judged)


def compare(winner: Seeds, default: Seeds, judge: Judge) -> Claim:
    """Gives the paired difference, winner - default."""
    return compare_seeds(winner.judged, default.judged, judge.pool.groups)


def train_winner(
    data: Any, base: Config, settings: Settings, folder: Path, cache: VectorCache, say: Say, parent: str = ""
) -> tuple[TrainResult, bool]:
    """Gives the winner's run, which scores test, and whether it was trained now; one that is there is not trained again.

    A winner that another has overtaken since makes place for it. `parent` is the name of its run's parent in tracking.
    """
    config, place = config_of(base, settings), folder / "winner"
    if (place / "run.json").is_file():
        run = open_run(place)
        same = _trained_by(run.config) == _trained_by(config)
        if same and run.state["status"] == "finished":
            return read_result(run), False
        if same:
            return api.train(data, resume=place, cache=cache, say=say), True
    shutil.rmtree(place, ignore_errors=True)
    return api.train(data, config=config, out=place, cache=cache, say=say, parent=parent), True


def _same(log: MetricLog, fold: int) -> MetricLog:
    return log


def _trained_by(config: Config) -> Config:
    """Gives the settings that a training hears: what its owner states of it since, and where it is tracked, change no winner."""
    teacher = config.training.teacher
    full = None if teacher is None else str(Path(teacher).expanduser().absolute())  # as a run keeps it
    training, usual = config.training.model_copy(update={"teacher": full}), Config()
    return config.model_copy(update={"card": usual.card, "tracking": usual.tracking, "training": training})


def _mark(config: Config) -> str:
    return hashlib.sha256(render_config(config, explain=False).encode()).hexdigest()[:12]


def _write(place: Path, value: float, parts: list[Judged]) -> None:
    with atomic_folder(place) as temporary:
        write_json(temporary / "value.json", {"average_precision": value, "parts": len(parts)})
        for k, part in enumerate(parts):
            for name in ("rows", "targets", "scores"):
                np.save(temporary / f"{k}-{name}.npy", getattr(part, name), allow_pickle=False)


def _read(place: Path) -> tuple[float, list[Judged]]:
    saved = json.loads((place / "value.json").read_text(encoding="utf-8"))
    parts = [
        Judged(*(np.load(place / f"{k}-{name}.npy", allow_pickle=False) for name in ("rows", "targets", "scores")))
        for k in range(saved["parts"])
    ]
    return float(saved["average_precision"]), parts
