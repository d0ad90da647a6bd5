"""A sweep from end to end: open the data, open the study, run trials, retrain the winner over seeds, open test once, say it.

SWEEP/config.yaml   the settings          SWEEP/study.db    the trials, in Optuna's own form
SWEEP/sweep.json    what came out         SWEEP/sweep.html  the same, as a page
SWEEP/winner/       the run of the winner, as `smallprint train` leaves it
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.extras import import_extra
from smallprint.core.files import write_text
from smallprint.core.parts import Parts
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.core.settings import build_config, render_config, tree_of
from smallprint.families import check_family
from smallprint.runs import name_of
from smallprint.sweep.judge import Judge, open_judge
from smallprint.sweep.space import Settings, Space, base_settings, default_space, kind_of, known_good
from smallprint.sweep.study import Row, Study, open_study
from smallprint.sweep.trial import Deadline, run_trial
from smallprint.training.stored import VectorCache
from smallprint.training.tracking import Tracker

FAILED_FIRST = 5  # trials: where as many failed and none went well, the others will not either


@dataclass(frozen=True)
class Budget:
    """What a sweep may cost.

    Attributes:
        trials: How many, those of earlier calls and other processes counted.
        minutes: After which no trial begins; None is no limit.
        seeds: With which the winner is trained again before anything is said of it.
    """

    trials: int
    minutes: float | None = None
    seeds: int = 3


def sweep_data(
    data: Any,
    config: Config | None = None,
    *,
    budget: Budget,
    out: str | Path | None = None,
    worker: bool = False,
    say: Say = say_nothing,
) -> dict[str, Any]:
    """Searches for better settings and gives what sweep.json holds.

    Args:
        data: As for `train`.
        config: Settings to start from; `sweep` says what is searched.
        budget: Trials, minutes, seeds.
        out: Folder of the sweep; where it holds one of the same data and settings, that goes on.
        worker: Only run trials: another process does the rest.
        say: Takes lines for a person.

    Raises:
        SmallprintError: Anything that the user can mend.
    """
    import_extra("optuna", "A sweep needs", "sweep")
    config = config or Config()
    _check_budget(budget)
    kind_of(config)
    check_family(config, Parts())
    judge = open_judge(data, config)
    for line in judge.said:
        say(line)
    base, n_layers = _resolve(config, judge.labels.task)
    space = base.sweep.space or default_space(base, judge.labels.task, n_layers)
    folder = _folder(out, base, data)
    about = _about(data, base, space, judge)
    defaults = base_settings(base, space)
    starts = [("default", defaults), *(("known", part) for part in known_good(base, space, n_layers))]
    study = open_study(folder, about, space, base, starts)
    write_text(folder / "config.yaml", render_config(config))
    say(f"Sweep in {folder}: {', '.join(space)}; judged by average precision of {judge.judged_by}.")
    layers = space.get("model.layers")
    cache = VectorCache(
        sorted({layer for choice in (layers.choices or [] if layers else []) for layer in choice}), scoring=True
    )
    try:
        run_trials(study, judge, budget, cache, say)
    except (KeyboardInterrupt, SystemExit):
        say(f"Stopped. Go on with the same command and --out {folder}")
        raise
    if worker:
        return {}
    rows = study.rows()
    return {"trials": [row.__dict__ for row in rows]}


def run_trials(study: Study, judge: Judge, budget: Budget, cache: VectorCache, say: Say) -> None:
    """Runs trials until the budget is spent, this process's part of them.

    Raises:
        TrainingError: Those that were run have all failed.
    """
    started = time.monotonic()
    deadline = Deadline(started + 60 * budget.minutes if budget.minutes is not None else None)
    done = 0
    while not deadline.passed:
        asked = study.ask(budget.trials)
        if asked is None:
            break
        trial, row = asked
        ended = run_trial(study, trial, row, judge, cache, deadline, Tracker(_untracked(study.base), "", say))
        done += 1
        rows = study.rows()
        say(_tell(ended, rows, budget, (time.monotonic() - started) / done, deadline))
        if len(rows) >= FAILED_FIRST and all(other.state == "failed" for other in rows):
            break
    rows = study.rows()
    if not any(row.state in ("complete", "running") for row in rows):
        raise _none_completed(rows)


def _tell(ended: Row, rows: Sequence[Row], budget: Budget, pace: float, deadline: Deadline) -> str:
    values = [row.value for row in rows if row.state == "complete" and row.value is not None]
    told = {"complete": f"average precision {ended.value or 0:.4f}"}.get(ended.state, f"{ended.state}: {ended.why}")
    best = f", best {max(values):.4f}" if values else ""
    left = pace * max(0, budget.trials - len(rows))
    if deadline.at is not None:
        left = min(left, max(0.0, deadline.at - time.monotonic()))
    name = f" ({ended.start})" if ended.start else ""
    return (
        f"  trial {ended.index + 1}/{budget.trials}{name} {ended.seconds or 0:.1f} s  {told}{best}  "
        f"about {int(left) // 60}:{int(left) % 60:02d} left"
    )


def _none_completed(rows: Sequence[Row]) -> TrainingError:
    failed = Counter(row.why for row in rows if row.state == "failed")
    if not failed:
        return TrainingError(
            "No trial was completed.", "time for one at least", "Give more --minutes, or start again: it goes on."
        )
    told = "\n".join(f"  {n} x {why}" for why, n in failed.most_common(5))
    return TrainingError(
        f"All {counted(len(rows), 'trial')} failed:\n{told}",
        "settings with which a model can be trained",
        "Try them with `smallprint train` first, or narrow sweep.space.",
    )


def _check_budget(budget: Budget) -> None:
    if budget.trials < 1 or budget.seeds < 1 or (budget.minutes is not None and budget.minutes <= 0):
        minutes = "" if budget.minutes is None else f", {budget.minutes:g} minutes"
        raise ConfigError(
            f"The budget is {counted(budget.trials, 'trial')}{minutes}, {counted(budget.seeds, 'seed')}.",
            "at least one trial and one seed, and more than no time",
            "Give --trials, such as 20.",
        )


def _resolve(config: Config, task: str) -> tuple[Config, int | None]:
    """Gives settings with what training would choose by itself written out, and the number of an encoder's layers."""
    if config.model.family == "linear":
        return config, None
    from smallprint.modeling.backbone import load_backbone
    from smallprint.modeling.upper_layers import find_layers
    from smallprint.training.optimizer import default_learning_rate

    backbone = load_backbone(config.model.backbone, config.model.revision)
    chosen: Settings = {}
    if config.training.learning_rate is None:
        chosen["training.learning_rate"] = default_learning_rate(backbone, config.model.adapter, task)
    n_layers: int | None = None
    with contextlib.suppress(ConfigError):
        n_layers = len(find_layers(backbone)[1])
    if kind_of(config) == "frozen" and config.model.layers is None and n_layers is not None:
        chosen["model.layers"] = [n_layers]
    return build_config(tree_of(chosen, config)), n_layers


def _folder(out: str | Path | None, config: Config, data: Any) -> Path:
    if out is None:
        stem = Path(name_of(data)).stem.lower() or "data"
        folder = Path(config.tracking.root) / f"sweep-{stem}-{datetime.now():%Y%m%d-%H%M%S}"
    else:
        folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file.", "a folder for --out", "Name another.")
    if folder.exists() and any(folder.iterdir()) and not (folder / "study.db").exists():
        raise ConfigError(
            f"{folder} is not empty, and holds no sweep.", "a new or empty folder, or one of a sweep", "Name another."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _about(data: Any, base: Config, space: Space, judge: Judge) -> dict[str, Any]:
    """Gives what a study is of: two that differ in any of it do not compare."""
    settings = {
        f"{section}.{key}": value
        for section, values in base.model_dump(mode="json", exclude={"tracking", "sweep", "evaluation"}).items()
        for key, value in values.items()
    }
    searched = {key: domain.model_dump(mode="json", exclude_defaults=True) for key, domain in space.items()}
    own = {f"sweep.{key}": getattr(base.sweep, key) for key in ("sampler", "startup", "pruning")}
    found = {"data": name_of(data), **judge.prints, "folds": judge.folds, **settings, **own, "sweep.space": searched}
    return dict(json.loads(json.dumps(found)))


def _untracked(config: Config) -> Config:
    return config.model_copy(update={"tracking": config.tracking.model_copy(update={"enabled": False})})
