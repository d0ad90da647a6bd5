"""A sweep from end to end: open the data, open the study, run trials, retrain the winner over seeds, open test once, say it.

SWEEP/config.yaml   the settings          SWEEP/study.db    the trials, in Optuna's own form
SWEEP/sweep.json    what came out         SWEEP/sweep.html  the same, as a page
SWEEP/winner/       the run of the winner, as `smallprint train` leaves it
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from smallprint import papers
from smallprint.core.config import Config
from smallprint.core.errors import ConfigError
from smallprint.core.extras import import_extra
from smallprint.core.files import write_json, write_text
from smallprint.core.parts import Parts
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.core.run import open_run
from smallprint.core.settings import build_config, render_config, tree_of
from smallprint.families import check_backbones, check_family
from smallprint.runs import name_of
from smallprint.sweep.judge import Judge, open_judge
from smallprint.sweep.loop import Budget, check_completed, run_trials
from smallprint.sweep.page import render_page
from smallprint.sweep.processes import helped, parent_is_gone
from smallprint.sweep.result import best_of, build_result, tell_result
from smallprint.sweep.space import Settings, Space, base_settings, default_space, kind_of, known_good
from smallprint.sweep.study import DEFAULT, Row, Study, open_study
from smallprint.sweep.tracking import FOUND, SweepTracking
from smallprint.sweep.winner import compare, retrain, train_winner
from smallprint.sweep.workers import check_locks, last
from smallprint.training.stored import VectorCache


def sweep_data(
    data: Any,
    config: Config | None = None,
    *,
    budget: Budget,
    out: str | Path | None = None,
    processes: int = 1,
    worker: bool = False,
    say: Say = say_nothing,
) -> dict[str, Any]:
    """Searches for better settings and gives what sweep.json holds.

    Args:
        data: As for `train`.
        config: Settings to start from; `sweep` says what is searched.
        budget: Trials, minutes, seeds.
        out: Folder of the sweep; where it holds one of the same data and settings, that goes on.
        processes: Of this machine that run trials; others may join by the same folder.
        worker: Only run trials: the process that started this one does the rest.
        say: Takes lines for a person.

    Raises:
        SmallprintError: Anything that the user can mend.
    """
    import_extra("optuna", "A sweep needs", "sweep")
    check_locks()
    config = config or Config()
    _check_budget(budget)
    kind_of(config)
    check_family(config, Parts())
    check_backbones(config, Parts())

    # data, space, study: test stays closed
    judge = open_judge(data, config)
    for line in judge.said if not worker else ():
        say(line)
    base, n_layers = _resolve(config, judge.labels.task)
    space = base.sweep.space or default_space(base, judge.labels.task, n_layers)
    folder = _folder(out, base, data)
    starts = [(DEFAULT, base_settings(base, space)), *(("known", part) for part in known_good(base, space, n_layers))]
    study = open_study(folder, _about(data, base, space, judge), space, base, starts)
    write_text(folder / "config.yaml", render_config(config))
    say(f"Sweep in {folder}: {', '.join(space)}; judged by average precision of {judge.judged_by}.")
    if kind_of(base) == "frozen":
        say("The encoder reads each text once, in the first trial; the others take what it gave.")
    layers = space.get("model.layers")
    foreseen = {layer for choice in (layers.choices or [] if layers else []) for layer in choice}
    cache = VectorCache(sorted(foreseen), scoring=True, by_order=True)  # average precision asks for no more
    tracking = SweepTracking(study, base, say)
    parent = os.getppid()
    status: str | None = "FAILED"
    try:
        with helped(data, folder, budget, processes):
            run_trials(study, judge, budget, cache, tracking, say, lambda: not (worker and parent_is_gone(parent)))
        if worker:
            status = None
            return {}
        found = _conclude_last(data, study, judge, budget, cache, tracking, say)
        status = "FINISHED" if found else None
        return found
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        if not worker:
            say(f"Stopped. Go on with the same command and --out {folder}")
        raise
    finally:
        study.close()
        tracking.finish(status)


def _conclude_last(
    data: Any, study: Study, judge: Judge, budget: Budget, cache: VectorCache, tracking: SweepTracking, say: Say
) -> dict[str, Any]:
    """Lets the last process to end tell what came out, again where others completed trials meanwhile; {} for who is not the last."""
    rows: list[Row] = []

    def busy() -> bool:
        rows[:] = study.rows()
        return any(row.state == "running" for row in rows)

    while True:
        with last(study.folder, "end", busy) as ours:
            if not ours:
                say("Other processes are still at it: the last of them trains the winner.")
                return {}
            check_completed(rows)
            found = _conclude(data, study, rows, judge, budget, cache, tracking, say)
        # after the lock: who asked for it before has completed its trials, who asks from now on gets it
        if _completed(study.rows()) == _completed(rows):
            return found
        say("Another process has completed trials meanwhile:")


def _completed(rows: Sequence[Row]) -> int:
    return sum(row.state == "complete" for row in rows)


def _conclude(
    data: Any,
    study: Study,
    rows: Sequence[Row],
    judge: Judge,
    budget: Budget,
    cache: VectorCache,
    tracking: SweepTracking,
    say: Say,
) -> dict[str, Any]:
    """Trains winner and defaults over seeds and the winner's run, and writes and tells what came out."""
    base, folder = study.base, study.folder
    best = best_of(rows)
    own = base_settings(base, study.space)
    settings = {} if best.start == DEFAULT else best.settings
    say(f"Best: trial {best.index + 1}. {'Winner and defaults are' if settings else 'The defaults are'} trained again:")
    default = retrain("defaults", base, {}, judge, budget.seeds, folder, cache, tracking.seed, say)
    winner, claim = default, None
    if settings:
        winner = retrain("winner", base, settings, judge, budget.seeds, folder, cache, tracking.seed, say)
        claim = compare(winner, default, judge)
    say("The winner's own run, which opens test:")
    cache.by_order = False
    trained, now = train_winner(data, base, settings, folder, cache, _without(judge.said, say), tracking.name)
    cache.by_order = True
    if now:
        study.remember("test_opened", [*(study.recall("test_opened") or []), best.index])
    found = build_result(study, rows, judge, own, winner, default, claim, trained)
    write_json(folder / FOUND, found)
    write_text(folder / "sweep.html", render_page(found))
    run = open_run(trained.run)
    papers.write_report(run, run.state.get("command", ""))  # now it can tell what was varied
    numbers = {"winner/mean": found["winner"]["mean"], "default/mean": found["default"]["mean"]}
    tracking.parent.log_metrics(numbers | {"trials": float(len(rows))})
    for name in (FOUND, "sweep.html"):
        tracking.parent.log_file(folder / name)
    for line in tell_result(found, folder):
        say(line)
    return found


def _without(lines: Sequence[str], say: Say) -> Say:
    """Gives a `say` that says all but these lines, which were said."""

    def others(line: str) -> None:
        if line not in lines:
            say(line)

    return others


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
    if config.model.family in ("linear", "static"):
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
    searched = {
        f"sweep.space.{key}": domain.model_dump(mode="json", exclude_defaults=True) for key, domain in space.items()
    }
    own = {f"sweep.{key}": getattr(base.sweep, key) for key in ("sampler", "startup", "pruning")}
    found = {"data": name_of(data), **judge.prints, "folds": judge.folds, **settings, **own, **searched}
    return dict(json.loads(json.dumps(found)))
