"""Does the sampler find more than chance does? TPE (and GP) beside random search at an equal budget. Writes benchmarks/results/sweep.json.

    python benchmarks/sweep.py --autogluon /path/to/python    # of an environment with autogluon.tabular[lightgbm]
    python benchmarks/sweep.py [--repeats 5] [--trials 20] [--data unfair-tos] [--samplers tpe random]

A frozen MiniLM on UNFAIR-ToS, its texts read once for all; the default space, warm start and pruning are the same for every sampler, and so
is the seed of a repeat. Value: macro average precision of validation; macro F1 at thresholds tuned on validation beside it (for that reason
too good). Each sampler has a process of its own with one thread, all at the same time. Test is not opened.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from readme import ROOT, write_section
from smallprint.core.config import Config
from smallprint.core.files import write_json
from smallprint.core.results import ScoredSplit
from smallprint.core.settings import load_config
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.shrunk import choose_thresholds
from smallprint.sweep.command import _resolve
from smallprint.sweep.judge import Judge, open_judge
from smallprint.sweep.loop import Budget, run_trials
from smallprint.sweep.page import describe_domain
from smallprint.sweep.space import base_settings, default_space, known_good
from smallprint.sweep.study import open_study
from smallprint.sweep.tracking import SweepTracking
from smallprint.training.stored import VectorCache

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
FOLDERS = {"unfair-tos": DATA / "unfair_tos", "sample": "sample"}
RESULTS = ROOT / "benchmarks" / "results" / "sweep.json"


@dataclass(frozen=True)
class Noting(Judge):
    """A judge that notes the macro F1 of each fit."""

    noted: list[float] = field(default_factory=list)

    def fit(self, *given: Any, **named: Any) -> Any:
        value, parts = super().fit(*given, **named)
        scored = ScoredSplit(
            "validation", self.labels.task, self.labels.names, self.pool.texts, parts[0].targets, parts[0].scores
        )
        thresholds = choose_thresholds(scored.targets, scored.scores, self.labels.task, "shrunk")
        self.noted.append(compute_metrics(scored, thresholds).values["f1_macro"])
        return value, parts


def search(judge: Judge, config: Config, trials: int, cache: VectorCache, folder: Path) -> list[dict[str, Any]]:
    """Gives value, F1, seconds and settings of each trial of one sweep."""
    base, n_layers = _resolve(config, judge.labels.task)
    space = default_space(base, judge.labels.task, n_layers)
    starts = [("default", base_settings(base, space)), *(("known", part) for part in known_good(base, space, n_layers))]
    noting = Noting(judge.splits, judge.labels, 1, judge.said)
    study = open_study(folder, {"of": "benchmark"}, space, base, starts)
    run_trials(study, noting, Budget(trials), cache, SweepTracking(study, base, print), print)
    rows, f1 = study.rows(), iter(noting.noted)
    study.close()
    return [
        {"value": row.value, "state": row.state, "seconds": row.seconds, "settings": row.settings}
        | {"f1": next(f1) if row.state == "complete" else None}
        for row in rows
    ]


def work(given: argparse.Namespace, sampler: str) -> None:
    """Runs all repeats of one sampler and writes what they gave."""
    settings = [
        "model.adapter=frozen",
        "tracking.enabled=false",
        f"sweep.sampler={sampler}",
        "sweep.folds=1",
        *given.set,
    ]
    judge = open_judge(str(FOLDERS[given.data]), load_config(None, settings))
    cache, repeats, began = VectorCache(range(1, 7), scoring=True), [], time.monotonic()
    warm, _ = _resolve(load_config(None, [*settings, "training.epochs=1"]), judge.labels.task)
    with tempfile.TemporaryDirectory() as place:
        judge.fit(warm, Path(place), cache, lambda fold: _Silent())
    read = time.monotonic() - began
    for repeat in range(given.repeats):
        if time.monotonic() - began > 60 * given.most_minutes:
            break
        config = load_config(None, [*settings, f"training.seed={1000 + repeat}"])
        with tempfile.TemporaryDirectory() as place:
            repeats.append(search(judge, config, given.trials, cache, Path(place)))
        write_json(Path(given.part), {"read_seconds": read, "repeats": repeats})


class _Silent:
    def log_metrics(self, values: dict[str, float], step: int = 0) -> None: ...

    def log_points(self, points: list[tuple[str, float, int]]) -> None: ...


def best_by_trial(repeat: list[dict[str, Any]], what: str) -> list[float]:
    """Gives the number of the best trial so far (by value) after each trial."""
    best, found = -1.0, 0.0
    curve = []
    for trial in repeat:
        if trial["state"] == "complete" and trial["value"] > best:
            best, found = trial["value"], trial[what]
        curve.append(found)
    return curve


def best_by_time(repeat: list[dict[str, Any]], seconds: float) -> float:
    """Gives the best value found within so many seconds of trials."""
    spent, best = 0.0, 0.0
    for trial in repeat:
        spent += trial["seconds"]
        if spent <= seconds and trial["state"] == "complete":
            best = max(best, trial["value"])
    return best


def summarise(arms: dict[str, Any], trials: int) -> dict[str, Any]:
    """Gives means over repeats, and TPE's difference to random, paired by repeat."""
    found: dict[str, Any] = {}
    marks = sorted({n for n in (5, 10, 15, trials) if n <= trials})
    for name, arm in arms.items():
        values = np.array([best_by_trial(repeat, "value") for repeat in arm["repeats"]])
        f1 = np.array([best_by_trial(repeat, "f1") for repeat in arm["repeats"]])
        seconds = [sum(trial["seconds"] for trial in repeat) for repeat in arm["repeats"]]
        found[name] = {
            "best_value": {
                str(n): [float(values[:, n - 1].mean()), float(values[:, n - 1].std(ddof=1))] for n in marks
            },
            "best_f1": [float(f1[:, -1].mean()), float(f1[:, -1].std(ddof=1))],
            "seconds": float(np.mean(seconds)),
            "all": values[:, -1].tolist(),
        }
    budget = min(arm["seconds"] for arm in found.values())
    for name, arm in arms.items():
        found[name]["best_value_by_time"] = {
            f"{share:.2f}": float(np.mean([best_by_time(repeat, share * budget) for repeat in arm["repeats"]]))
            for share in (0.25, 0.5, 0.75, 1.0)
        }
    for name in found:
        if name != "random" and "random" in found:
            apart = np.array(found[name]["all"]) - np.array(found["random"]["all"])
            spread = float(apart.std(ddof=1) / np.sqrt(len(apart)))
            found[name]["less_random"] = {"mean": float(apart.mean()), "standard_error": spread, "each": apart.tolist()}
    return {"seconds_compared": budget, **found}


def beside_autogluon(python: str, minutes: float, results: Path) -> None:
    """Searches for `minutes` on "unfair or not" with each kind of cheap model, and lets AutoGluon work as long."""
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    others: dict[str, Any] = {"minutes": minutes}
    for kind, settings in (("frozen", ["model.adapter=frozen"]), ("tfidf", ["model.backbone=tfidf"])):
        config = load_config(None, [*settings, "data.task=binary", "tracking.enabled=false", "sweep.folds=1"])
        began = time.monotonic()
        judge = open_judge(str(FOLDERS["unfair-tos"]), config)
        base, n_layers = _resolve(config, "binary")
        space = default_space(base, "binary", n_layers)
        starts = [("default", base_settings(base, space)), *(("known", p) for p in known_good(base, space, n_layers))]
        with tempfile.TemporaryDirectory() as place:
            study = open_study(Path(place), {"of": "benchmark"}, space, base, starts)
            cache = VectorCache(range(1, 7), scoring=True)
            run_trials(study, judge, Budget(500, minutes), cache, SweepTracking(study, base, print), print)
            rows = study.rows()
            study.close()
        best = max((row for row in rows if row.state == "complete"), key=lambda row: row.value or 0)
        others[f"smallprint, {kind}"] = {
            "average_precision": best.value,
            "first": rows[0].value,
            "trials": len(rows),
            "settings": best.settings,
            "seconds": time.monotonic() - began,
        }
    with tempfile.TemporaryDirectory() as place:
        folder = FOLDERS["unfair-tos"]
        command = [
            python,
            str(Path(__file__).parent / "autogluon_peer.py"),
            *(f"{folder}/{s}.parquet" for s in ("train", "validation")),
        ]
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OMP_NUM_THREADS")}
        subprocess.run([*command, str(60 * minutes), f"{place}/out.json"], check=True, env=environment)
        others["AutoGluon tabular"] = json.loads(Path(f"{place}/out.json").read_text())
    write_json(results, {**found, "others": others})
    lines = [
        "| system | average precision of validation, unfair or not | seconds | models or trials |",
        "|---|---|---|---|",
    ]
    for name, row in others.items():
        if isinstance(row, dict):
            count = row.get("trials", len(row.get("models", [])))
            lines.append(f"| {name} | {100 * row['average_precision']:.1f} | {row['seconds']:.0f} | {count} |")
    print("\n".join(lines))
    if results == RESULTS:
        write_section("sweep_others", "\n".join(lines), ROOT / "docs" / "sweep.md")


def table_of(found: dict[str, Any]) -> str:
    """Gives the samplers side by side."""
    about, summary = found["about"], found["summary"]
    data = {"unfair-tos": "UNFAIR-ToS", "sample": "the sample corpus"}[about["data"]]
    names = [name for name in ("tpe", "gp", "random") if name in summary]
    marks = list(summary[names[0]]["best_value"])
    lines = [
        f"Frozen MiniLM on {data}, {about['trials']} trials, {about['repeats']} repeats.",
        "",
        f"| sampler | {' | '.join(f'best of {n}' for n in marks)} | macro F1 of the best | seconds of trials | less random search |",
        "|---" * (len(marks) + 4) + "|",
    ]
    for name in names:
        row = summary[name]
        cells = [f"{100 * mean:.2f} ±{100 * spread:.2f}" for mean, spread in row["best_value"].values()]
        apart = row.get("less_random")
        told = f"{100 * apart['mean']:+.2f} (standard error {100 * apart['standard_error']:.2f})" if apart else ""
        f1 = f"{100 * row['best_f1'][0]:.1f} ±{100 * row['best_f1'][1]:.1f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {f1} | {row['seconds']:.0f} | {told} |")
    return "\n".join(lines)


def write_docs(results: Path) -> None:
    """Writes the tables of docs/sweep.md from what was measured."""
    found = json.loads(results.read_text()) if results.exists() else {}
    if "summary" in found:
        write_section("sweep", table_of(found), ROOT / "docs" / "sweep.md")


def spaces() -> str:
    """Gives the default spaces of an encoder of six layers as a table."""
    kinds = {
        "tfidf": ["model.backbone=tfidf"],
        "static": ["model.backbone=static"],
        "frozen": ["model.adapter=frozen"],
        "lora": ["model.adapter=lora"],
        "upper layers": ["model.train_layers=3"],
        "full": [],
    }
    lines = ["| model | searched (multilabel, six layers) |", "|---|---|"]
    for kind, settings in kinds.items():
        space = default_space(load_config(None, settings), "multilabel", 6)
        told = [
            f"`{key}`: {describe_domain(domain.model_dump(exclude_defaults=True))}" for key, domain in space.items()
        ]
        lines.append(f"| {kind} | {'<br>'.join(told)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--data", choices=list(FOLDERS), default="unfair-tos")
    parser.add_argument("--samplers", nargs="+", default=["tpe", "random"])
    parser.add_argument("--set", nargs="*", default=[], help="more settings")
    parser.add_argument("--docs", action="store_true", help="only write the tables of docs/sweep.md")
    parser.add_argument("--autogluon", metavar="PYTHON", help="only compare with AutoGluon, which this Python has")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each, with --autogluon")
    parser.add_argument("--most-minutes", type=float, default=10.0, help="after which no repeat begins")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    write_section("spaces", spaces(), ROOT / "docs" / "sweep.md")
    if given.docs:
        write_docs(given.results)
        return
    if given.autogluon:
        beside_autogluon(given.autogluon, given.minutes, given.results)
        return
    if given.only:
        work(given, given.only)
        return
    arms = {}
    with tempfile.TemporaryDirectory() as place:
        began = time.monotonic()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        started = {
            name: subprocess.Popen(
                [sys.executable, __file__, *sys.argv[1:], "--only", name, "--part", f"{place}/{name}.json"],
                env=environment,
            )
            for name in given.samplers
        }
        codes = [process.wait() for process in started.values()]
        if any(codes):
            raise SystemExit("A sampler's process failed.")
        for name in given.samplers:
            arms[name] = json.loads(Path(f"{place}/{name}.json").read_text())
    done = min(len(arm["repeats"]) for arm in arms.values())
    if done < 2:
        raise SystemExit("One repeat shows no spread, and no more fitted into the time: give more --most-minutes.")
    for arm in arms.values():
        arm["repeats"] = arm["repeats"][:done]
    summary = summarise(arms, given.trials)
    where = {"cores": os.cpu_count(), "python": platform.python_version(), "minutes": (time.monotonic() - began) / 60}
    about = {"data": given.data, "trials": given.trials, "repeats": done, "settings": given.set}
    others = json.loads(given.results.read_text()).get("others", {}) if given.results.exists() else {}
    write_json(given.results, {"about": about, "where": where, "summary": summary, "arms": arms, "others": others})
    print(table_of(json.loads(given.results.read_text())))
    if given.results == RESULTS:
        write_docs(given.results)


if __name__ == "__main__":
    main()
