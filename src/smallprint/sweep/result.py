"""What came out of a sweep: as a plain dict for sweep.json, and in words. In: trials, seeds, a claim, the winner's run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smallprint.core.progress import counted
from smallprint.core.results import TrainResult
from smallprint.evaluation.side_by_side import FEWEST
from smallprint.runs import HEADLINES, versions
from smallprint.sweep.claim import FEWEST_SEEDS, LEVEL, Claim, can_tell
from smallprint.sweep.judge import Judge
from smallprint.sweep.space import Settings
from smallprint.sweep.study import Row, Study
from smallprint.sweep.winner import Seeds

FORMAT = 1


def best_of(rows: Sequence[Row]) -> Row:
    """Gives the completed trial with the highest value; of equals the first."""
    return max((row for row in rows if row.state == "complete"), key=lambda row: (row.value or 0.0, -row.index))


def build_result(
    study: Study,
    rows: Sequence[Row],
    judge: Judge,
    own: Settings,
    winner: Seeds,
    default: Seeds,
    claim: Claim | None,
    trained: TrainResult,
) -> dict[str, Any]:
    """Gives what sweep.json holds.

    Args:
        study: Open.
        rows: Its trials.
        judge: Data and folds.
        own: The run's own value of each setting that is searched.
        winner: Over seeds.
        default: Over seeds.
        claim: How they compare; None where the defaults won.
        trained: The winner's run.
    """
    best = best_of(rows)
    from optuna import __version__ as optuna_version

    difference = None if claim is None else {**asdict(claim), "level": LEVEL, "better": claim.better}
    return {
        "format": FORMAT,
        "data": study.recall("about")["data"],
        "task": judge.labels.task,
        "measure": "average_precision_macro",
        "judged_by": judge.judged_by,
        "examples_judged": len(judge.pool),
        "examples_train": len(judge.splits.train),
        "sampler": study.base.sweep.sampler,
        "seed": study.base.training.seed,
        "space": {key: domain.model_dump(exclude_defaults=True) for key, domain in study.space.items()},
        "trials": [asdict(row) for row in rows],
        "best": {"index": best.index, "settings": best.settings, "value": best.value, "start": best.start},
        "default_settings": own,
        "winner": winner.told(),
        "default": default.told(),
        "difference": difference,
        "verdict": verdict({"difference": difference}),
        "test": {"n_examples": trained.test.n_examples, "values": trained.test.values},
        "test_opened": len(study.recall("test_opened") or []),
        "run": str(trained.run),
        "importances": study.importances(),
        "versions": {**versions(), "optuna": optuna_version},
    }


def verdict(found: dict[str, Any]) -> str:
    """Gives in a sentence what may be said of the winner."""
    difference = found["difference"]
    if difference is None:
        return "No settings that were tried did better than the run's own."
    low, high = difference["low"], difference["high"]
    unit = "group" if difference["over_groups"] else "example"
    told = (
        f"{difference['difference']:+.4f} [{low:+.4f}, {high:+.4f}], {difference['level']:.0%} interval over "
        f"{counted(difference['seeds'], 'seed')} and {counted(difference['units'], unit)}"
    )
    if not can_tell(difference["seeds"], difference["units"]):
        fewer = f"{counted(FEWEST_SEEDS, 'seed')} or {counted(FEWEST, unit)}"
        return f"Whether the winner is better than the defaults cannot be told from fewer than {fewer}: {told}."
    if difference["better"]:
        return f"The winner is better than the defaults: {told}."
    if difference["high"] < 0:
        return f"The winner is worse than the defaults: {told}."
    return f"The winner is not shown to be better than the defaults: {told}."


def spread_of(seeds: dict[str, Any]) -> str:
    """Gives mean and standard deviation over seeds."""
    spread = "" if seeds["spread"] is None else f" ±{seeds['spread']:.4f}"
    return f"{seeds['mean']:.4f}{spread}"


def settings_of(settings: Settings) -> str:
    """Gives settings as `--set` takes them."""
    return " ".join(f"{key}={told(value)}" for key, value in settings.items())


def told(value: Any) -> str:
    """Gives a value in few characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace(" ", "") if isinstance(value, list) else str(value)


def tell_result(found: dict[str, Any], folder: Path) -> list[str]:
    """Gives the lines that end a sweep."""
    states = [trial["state"] for trial in found["trials"]]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed") if state in states
    )
    n, lines = len(found["winner"]["seeds"]), [f"{counted(len(states), 'trial')}: {counts}."]
    if found["difference"] is not None:
        lines.append(
            f"Winner, {counted(n, 'seed')}: {spread_of(found['winner'])}   {settings_of(found['best']['settings'])}"
        )
    lines += [f"Defaults, {counted(n, 'seed')}: {spread_of(found['default'])}", verdict(found)]
    values = found["test"]["values"]
    shown = ", ".join(f"{name} {values[name]:.3f}" for name in HEADLINES if name in values)
    lines.append(f"Test ({found['test']['n_examples']:,} examples): {shown}")
    if found["test_opened"] > 1:
        lines.append(
            f"Test was opened {found['test_opened']} times, for as many winners: its numbers are somewhat too good."
        )
    return [
        *lines,
        f"Winner's run: {found['run']}",
        f"Page: {folder / 'sweep.html'}",
        f"Numbers: {folder / 'sweep.json'}",
    ]
