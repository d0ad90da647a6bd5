"""Does the sampler find more than chance does? TPE (and GP) beside random search at an equal budget. Writes benchmarks/results/sweep.json.

    python benchmarks/sweep.py --autogluon /path/to/python    # of an environment with autogluon.tabular[lightgbm]
    python benchmarks/sweep.py [--repeats 5] [--trials 20] [--data unfair-tos] [--samplers tpe random plain]

A frozen MiniLM on UNFAIR-ToS, its texts read once for all, the default space. `tpe` is the sweep as it is; `random` differs in the
sampler alone; `plain` is random search as it is usually done: no settings that are known to be good come first, and no trial is ended
early. The seed of a repeat is the same for all. Value: macro average precision of validation; macro F1 with each label's best threshold
on validation beside it (for that reason too good). Seconds are of processor time, one thread, reading the texts not counted. Test is
not opened.
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
from smallprint.evaluation.earned import choose_thresholds
from smallprint.evaluation.headline import LEADING
from smallprint.evaluation.metrics import compute_metrics
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
    spent: list[float] = field(default_factory=list)

    def fit(self, *given: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            value, parts = super().fit(*given, **named)
        finally:  # a trial that is ended early has its time too
            self.spent.append(time.process_time() - began)
        scored = ScoredSplit(
            "validation", self.labels.task, self.labels.names, self.pool.texts, parts[0].targets, parts[0].scores
        )
        thresholds = choose_thresholds(scored.targets, scored.scores, self.labels.task, "f1")
        self.noted.append(compute_metrics(scored, thresholds).values[LEADING[self.labels.task]])
        return value, parts


def search(
    judge: Judge, config: Config, budget: Budget, cache: VectorCache, folder: Path, plain: bool = False
) -> list[dict[str, Any]]:
    """Gives value, F1, seconds and settings of each trial of one sweep."""
    base, n_layers = _resolve(config, judge.labels.task)
    space = default_space(base, judge.labels.task, n_layers)
    starts = [("default", base_settings(base, space)), *(("known", part) for part in known_good(base, space, n_layers))]
    noting = Noting(judge.splits, judge.labels, 1, judge.said)
    study = open_study(folder, {"of": "benchmark"}, space, base, [] if plain else starts)
    run_trials(study, noting, budget, cache, SweepTracking(study, base, print), print)
    rows, f1 = study.rows(), iter(noting.noted)
    study.close()
    return [
        {"value": row.value, "state": row.state, "seconds": seconds, "settings": row.settings}
        | {"f1": next(f1) if row.state == "complete" else None}
        for row, seconds in zip(rows, noting.spent, strict=True)
    ]


def work(given: argparse.Namespace, sampler: str) -> None:
    """Runs all repeats of one sampler and writes what they gave."""
    plain = sampler == "plain"
    settings = [
        "model.adapter=frozen",
        "tracking.enabled=false",
        f"sweep.sampler={'random' if plain else sampler}",
        f"sweep.pruning={str(not plain).lower()}",
        "sweep.folds=1",
        *given.set,
    ]
    judge = open_judge(str(FOLDERS[given.data]), load_config(None, settings))
    cache, repeats, began = VectorCache(range(1, 7), scoring=True, by_order=True), [], time.monotonic()
    warm, _ = _resolve(load_config(None, [*settings, "training.epochs=1"]), judge.labels.task)
    with tempfile.TemporaryDirectory() as place:
        judge.fit(warm, Path(place), cache, lambda fold: _Silent())
    read = time.monotonic() - began
    for repeat in range(given.repeats):
        if time.monotonic() - began > 60 * given.most_minutes:
            break
        config = load_config(None, [*settings, f"training.seed={1000 + repeat}"])
        with tempfile.TemporaryDirectory() as place:
            repeats.append(search(judge, config, Budget(given.trials), cache, Path(place), plain))
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


def share_to_equal(ours: list[Any], theirs: list[Any]) -> float | None:
    """Gives the median, over repeats, of our seconds until we are as good as they are at their end, as a share of all of theirs.

    A repeat in which we never are counts as infinitely many; None where that is the median.
    """
    shares = []
    for one, other in zip(ours, theirs, strict=True):
        wanted = max(trial["value"] for trial in other if trial["state"] == "complete")
        spent, reached = 0.0, float("inf")
        for trial in one:
            spent += trial["seconds"]
            if trial["state"] == "complete" and trial["value"] >= wanted:
                reached = spent
                break
        shares.append(reached / sum(trial["seconds"] for trial in other))
    middle = float(np.median(shares))
    return middle if np.isfinite(middle) else None


def summarise(arms: dict[str, Any], trials: int) -> dict[str, Any]:
    """Gives means over repeats, and the sampler's difference to random search, paired by repeat."""
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
        for other in ("random", "plain"):
            if name not in ("random", "plain") and other in found:
                apart = np.array(found[name]["all"]) - np.array(found[other]["all"])
                spread = float(apart.std(ddof=1) / np.sqrt(len(apart)))
                found[name][f"less_{other}"] = {
                    "mean": float(apart.mean()),
                    "standard_error": spread,
                    "each": apart.tolist(),
                    "share_of_seconds_to_equal": share_to_equal(arms[name]["repeats"], arms[other]["repeats"]),
                }
    return {"seconds_compared": budget, **found}


def beside_autogluon(python: str, minutes: float, repeats: int, results: Path) -> None:
    """Searches for `minutes` on "unfair or not" with each kind of cheap model, and lets AutoGluon work as long, so many times."""
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    systems: dict[str, list[dict[str, Any]]] = {
        "smallprint, frozen": [],
        "smallprint, tfidf": [],
        "AutoGluon tabular": [],
    }
    before = found.get("others", {})
    if before.get("minutes") == minutes and before["repeats"] < repeats:
        systems = before["systems"]  # what was measured stands, and its seeds are not drawn again
    for repeat in range(len(systems["AutoGluon tabular"]), repeats):
        for kind, settings in (("frozen", ["model.adapter=frozen"]), ("tfidf", ["model.backbone=tfidf"])):
            settings = [*settings, "data.task=binary", "tracking.enabled=false", "sweep.folds=1"]
            config = load_config(None, [*settings, f"training.seed={1000 + repeat}"])
            began = time.monotonic()
            judge, cache = open_judge(str(FOLDERS["unfair-tos"]), config), VectorCache(range(1, 7), True, True)
            with tempfile.TemporaryDirectory() as place:
                trials = search(judge, config, Budget(500, minutes), cache, Path(place))
            best = max((trial for trial in trials if trial["state"] == "complete"), key=lambda trial: trial["value"])
            systems[f"smallprint, {kind}"].append(
                {
                    "average_precision": best["value"],
                    "f1": best["f1"],
                    "models": len(trials),
                    "settings": best["settings"],
                    "seconds": time.monotonic() - began,
                }
            )
        with tempfile.TemporaryDirectory() as place:
            script, splits = Path(__file__).parent / "autogluon_peer.py", ("train", "validation")
            files = [f"{FOLDERS['unfair-tos']}/{split}.parquet" for split in splits]
            command = [python, str(script), *files, str(60 * minutes), f"{place}/out.json", str(repeat)]
            environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OMP_NUM_THREADS")}
            subprocess.run(command, check=True, env=environment)
            systems["AutoGluon tabular"].append(json.loads(Path(f"{place}/out.json").read_text()))
        write_json(results, {**found, "others": {"minutes": minutes, "repeats": repeat + 1, "systems": systems}})
    print(others_of(json.loads(results.read_text())["others"]))
    if results == RESULTS:
        write_docs(results)


def others_of(others: dict[str, Any]) -> str:
    """Gives AutoGluon beside our sweeps as a table."""
    lines = [
        f"{others['minutes']:g} minutes each, {others['repeats']} repeats.",
        "",
        "| system | average precision, unfair or not | F1 at the best threshold | seconds | models or trials |",
        "|---|---|---|---|---|",
    ]
    for name, rows in others["systems"].items():
        cells = [_spread([100 * row[key] for row in rows]) for key in ("average_precision", "f1")]
        counts = [row["models"] if isinstance(row["models"], int) else len(row["models"]) for row in rows]
        seconds = np.mean([row["seconds"] for row in rows])
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds:.0f} | {np.mean(counts):.0f} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.1f}" + (f" ±{np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def table_of(found: dict[str, Any]) -> str:
    """Gives the samplers side by side."""
    about, summary = found["about"], found["summary"]
    data = {"unfair-tos": "UNFAIR-ToS", "sample": "the sample corpus"}[about["data"]]
    names = [name for name in ("tpe", "gp", "random", "plain") if name in summary]
    marks = list(summary[names[0]]["best_value"])
    lines = [
        f"Frozen MiniLM on {data}, {about['trials']} trials, {about['repeats']} repeats.",
        "",
        f"| search | {' | '.join(f'best of {n}' for n in marks)} | macro F1 of the best | seconds of trials "
        "| less the same at random | less plain random |",
        "|---" * (len(marks) + 5) + "|",
    ]
    for name in names:
        row = summary[name]
        cells = [f"{100 * mean:.2f} ±{100 * spread:.2f}" for mean, spread in row["best_value"].values()]
        told = " | ".join(_apart(row.get(f"less_{other}")) for other in ("random", "plain"))
        f1 = f"{100 * row['best_f1'][0]:.1f} ±{100 * row['best_f1'][1]:.1f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {f1} | {row['seconds']:.0f} | {told} |")
    return "\n".join(lines)


def _apart(apart: dict[str, Any] | None) -> str:
    if apart is None:
        return ""
    share = apart["share_of_seconds_to_equal"]
    equal = "mostly never equal" if share is None else f"equal in {100 * share:.0f}% of its time"
    return f"{100 * apart['mean']:+.2f} (standard error {100 * apart['standard_error']:.2f}), {equal}"


def write_docs(results: Path) -> None:
    """Writes the tables of docs/sweep.md from what was measured."""
    found = json.loads(results.read_text()) if results.exists() else {}
    if "summary" in found:
        write_section("sweep", table_of(found), ROOT / "docs" / "sweep.md")
    if found.get("others"):
        write_section("sweep_others", others_of(found["others"]), ROOT / "docs" / "sweep.md")


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
    parser.add_argument("--samplers", nargs="+", default=["tpe", "random", "plain"])
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
        beside_autogluon(given.autogluon, given.minutes, given.repeats, given.results)
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
