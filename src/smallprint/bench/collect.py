"""Trains what a table needs, or finds it trained. In: systems, seeds, data. Out: each system's scores, cost and size.

A run that is there and finished is not trained again; one that was stopped goes on. So a bench that was stopped does too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from smallprint import api
from smallprint.bench.measure import SeedScores
from smallprint.bench.systems import System
from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, DataError
from smallprint.core.progress import Say
from smallprint.core.results import Array
from smallprint.core.run import open_run, scores_file
from smallprint.core.settings import load_config, render_config
from smallprint.evaluation.score_files import read_scores
from smallprint.runs import name_of
from smallprint.training.stored import VectorCache

TIMED_TEXTS = 1000


@dataclass(frozen=True)
class Cost:
    """What a system costs: seconds of training its slowest seed (None where all were stopped in between), MB of its
    bundle, clauses a second on this machine. All are None of runs that came from another machine without their bundles.
    """

    train_seconds: float | None
    size_mb: float | None
    clauses_per_second: float | None


@dataclass(frozen=True)
class Collected:
    """One system, all seeds.

    Attributes:
        system: Which.
        seeds: Scores, a seed each.
        cost: Of one seed.
    """

    system: System
    seeds: list[SeedScores]
    cost: Cost


@dataclass(frozen=True)
class Truth:
    """What is true of validation and test: 0/1 `[n, n_labels]`, and each example's document (or None)."""

    label_names: list[str]
    validation: Array
    test: Array
    validation_groups: list[Any]
    test_groups: list[Any]
    test_texts: list[str]


def run_folder(root: Path, name: str, seed: int) -> Path:
    """Gives where the run of a system and seed lies."""
    return root / f"{name}-seed{seed}"


def train_seed(system: System, data: str, seed: int, root: Path, cache: VectorCache, say: Say) -> Path:
    """Trains one seed of a system, unless it is there, and gives its run folder.

    Raises:
        ConfigError: The folder holds a run with other settings.
    """
    folder = run_folder(root, system.name, seed)
    own = [
        f"training.seed={seed}",
        f"tracking.root={json.dumps(str(root))}",
        "data.task=multilabel",
        "evaluation.baseline=none",
    ]
    if system.teacher:
        own.append(f"training.teacher={json.dumps(str(run_folder(root, system.teacher, seed).absolute()))}")
    config = load_config(None, [*own, *system.settings])
    if (folder / "run.json").is_file():
        run = open_run(folder)
        if run.state["data"] != name_of(data):
            raise ConfigError(
                f"{folder} was trained on {run.state['data']}.", f"{data}", "Remove it, or name another --out."
            )
        if _compared(run.config) != _compared(config):
            raise _other_settings(folder)
        if run.state["status"] == "finished":
            say(f"{system.title}, seed {seed}: found in {folder}")
            return folder
        say(f"{system.title}, seed {seed}: going on in {folder}")
        api.train(resume=folder, cache=cache, say=say)
        return folder
    say(f"{system.title}, seed {seed}:")
    api.train(data, config=config, out=folder, cache=cache, say=say, parent=f"{system.title}, {root.name}")
    return folder


def check_settings(folder: Path, system: System, seed: int) -> None:
    """Checks that a finished run is of this row and seed, as far as can be told without its weights: those of a stack are not compared.

    Raises:
        ConfigError: It is not.
    """
    run = open_run(folder)
    if run.config.model.family == "stack":
        return
    kept: dict[str, str | None] = (
        {"model.backbone": run.config.model.backbone} if system.needs_base or system.needs_decoder else {}
    )
    kept |= {"training.teacher": run.config.training.teacher} if system.teacher else {}
    own = [
        f"training.seed={seed}",
        "data.task=multilabel",
        *(f"{name}={json.dumps(value)}" for name, value in kept.items()),
    ]
    named = [setting for setting in system.settings if setting.partition("=")[0] not in kept]
    if _compared(run.config) != _compared(load_config(None, [*own, *named])):
        raise _other_settings(folder)


def _other_settings(folder: Path) -> ConfigError:
    return ConfigError(
        f"{folder} was trained with other settings.", "the settings of this row", "Remove it, or name another --out."
    )


def is_finished(folder: Path) -> bool:
    """Gives whether a run is there and was trained to its end."""
    return (folder / "run.json").is_file() and open_run(folder).state["status"] == "finished"


def read_run(folder: Path, seed: int) -> tuple[SeedScores, Truth]:
    """Gives the scores that a finished run wrote, and the truth that it wrote beside them."""
    saved = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    (validation, validation_groups), (test, test_groups) = (
        read_scores(folder, split, saved) for split in ("validation", "test")
    )
    truth = Truth(test.label_names, validation.targets, test.targets, validation_groups, test_groups, test.texts)
    return SeedScores(seed, validation.scores, test.scores, np.array(saved["thresholds"])), truth


def check_same_examples(folder: Path, one: Truth, other: Truth) -> None:
    """Checks that a run was measured on the same examples, in the same order, as the runs beside it.

    Raises:
        DataError: It was not, as where each seed carves splits of its own.
    """
    if not same_examples(one, other):
        raise DataError(
            f"{folder} was measured on other examples than the runs beside it.",
            "ready train, validation and test splits, the same for every seed",
            "Give a folder with train, validation and test files.",
        )


def same_examples(one: Truth, other: Truth) -> bool:
    """Gives whether two runs were measured on the same examples in the same order."""
    return (
        one.test_texts == other.test_texts
        and np.array_equal(one.test, other.test)
        and np.array_equal(one.validation, other.validation)
        and one.label_names == other.label_names
    )


def measure_cost(folders: Sequence[Path]) -> Cost:
    """Gives the cost of a system: what its runs wrote down, and the speed of the first one's bundle, timed here.

    Of its seeds the slowest counts: later ones may use again what a frozen encoder gave the first. A run that went on
    after a stop knows the seconds since then alone, and is left out.
    """
    if not (folders[0] / "bundle").is_dir():
        return Cost(None, None, None)
    timings = _timings(folders)
    seconds = [timing["seconds_total"] for timing in timings if not timing["resumed"]]
    bundle = folders[0] / "bundle"
    size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    texts = pl.read_parquet(folders[0] / scores_file("validation"))["text"].head(TIMED_TEXTS).to_list()
    engine = api.load(bundle)
    engine.score(texts[:64])  # warm
    start = time.perf_counter()
    engine.score(texts)
    return Cost(max(seconds, default=None), size / 1e6, len(texts) / (time.perf_counter() - start))


def _timings(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Gives what finished runs wrote down of their time."""
    return [json.loads((folder / "timings.json").read_text(encoding="utf-8")) for folder in folders]


def measure_trainings(folders: Iterable[Path]) -> dict[str, Any]:
    """Gives what all trainings took, each counted once: `n` of them and their `seconds`, one after the other.

    A run that went on after a stop knows the seconds since then alone; `resumed` counts these.
    """
    timings = _timings(dict.fromkeys(folders))
    return {
        "n": len(timings),
        "seconds": round(sum(timing["seconds_total"] for timing in timings)),
        "resumed": sum(timing["resumed"] for timing in timings),
    }


def _compared(config: Config) -> str:
    """Gives the settings by which runs are the same: tracking, report and card are no part of it, nor members of no stack."""
    fresh = Config()
    shown = {name: getattr(fresh.evaluation, name) for name in ("baseline", "doubtful", "evidence", "worst_errors")}
    evaluation = config.evaluation.model_copy(update=shown)
    unused = {
        "tracking": fresh.tracking,
        "card": fresh.card,
        "evaluation": evaluation,
        **({} if config.model.family == "stack" else {"stack": Config().stack}),
    }
    return render_config(config.model_copy(update=unused), explain=False)
