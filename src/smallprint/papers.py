"""What a finished run is told by: its report, and its model card with the data sheet. In: a run folder. Out: files in it.

Everything is read from the folder, so that each can be written again without training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.files import sha256_file, write_json, write_text
from smallprint.core.mlflow_store import without_passwords
from smallprint.core.results import Array, ScoredSplit
from smallprint.core.run import HELD_OUT, Run, scores_file
from smallprint.core.settings import load_config, render_config
from smallprint.evaluation.parts import Part
from smallprint.evaluation.policy import Promise, can_promise, trade
from smallprint.evaluation.report import Span, render_report
from smallprint.evaluation.report_data import tell_data
from smallprint.evaluation.score_files import read_scores, units, write_scores
from smallprint.evaluation.score_intervals import score_intervals
from smallprint.evaluation.side_by_side import Row, compare_lead
from smallprint.evaluation.thresholds import DEFAULT
from smallprint.evaluation.workload import RECALLS
from smallprint.evaluation.worst import find_worst_errors
from smallprint.families.baseline import BASELINE, Baseline
from smallprint.inference.engine import Engine, load_engine
from smallprint.inference.evidence import tell_evidence
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.card import CARD, SHEET, render_card, render_sheet
from smallprint.packaging.card_facts import CardFacts
from smallprint.packaging.manifest import SETTINGS, read_manifest
from smallprint.runs import read_metrics, versions

BASELINE_FILE = "baseline.json"
MEMBERS_FILE = "members.json"
SWEEP_FILE = "sweep.json"  # in the folder above the winner's


def keep_baseline(run: Run, baseline: Baseline | None, groups: Sequence[str | None]) -> None:
    """Writes the baseline's test scores and thresholds into the run folder, where there is a baseline."""
    if baseline is None:
        return
    write_scores(run.folder, baseline.scored, groups)
    write_json(run.folder / BASELINE_FILE, {"thresholds": [float(value) for value in baseline.thresholds]})


def keep_members(run: Run, members: Sequence[Part]) -> None:
    """Writes what each member of a stack adds into the run folder, where there is a stack."""
    if members:
        write_json(run.folder / MEMBERS_FILE, [asdict(part) for part in members])


def write_report(
    run: Run,
    command: str,
    engine: Engine | None = None,
    *,
    quote: bool = True,
    path: Path | None = None,
    plots: Mapping[str, str] | None = None,
) -> Path:
    """Writes report.html (or `path`) from what the run folder holds, with or without texts, and gives its path.

    Args:
        run: That has finished.
        command: That made it.
        engine: The model, where it is at hand; else its bundle is loaded if evidence is wanted.
        quote: Show texts of examples.
        path: Where it is written; the run's own place when left out.
        plots: What `draw_plots` gave of the test split; drawn when left out.

    Raises:
        TrainingError: The run has not finished.
    """
    scored, groups, saved = read_test(run)
    validation, test = read_metrics(saved["validation"]), read_metrics(saved["test"])
    data = {**saved["data"], **({"test_groups": groups} if any(group is not None for group in groups) else {})}
    thresholds = np.asarray(saved["thresholds"], dtype=np.float64)
    wanted, compared = run.config.evaluation, compare_baseline(run, scored, thresholds, groups, saved)
    promises = promised(run, saved)
    evidence = find_marks(run, scored, thresholds, engine) if quote else {}
    page = render_report(
        title=f"{run.name}: {test.task}",
        run={
            "command": command or f"smallprint train {run.state['data']} --config config.yaml",
            "config": render_config(without_passwords(run.config), explain=False),
            "seed": run.config.training.seed,
            "bundle": str(run.bundle),
            "versions": run.state.get("versions") or versions(),
            "git_commit": run.state.get("commit"),
            **{f"{split}_fingerprint": print_ for split, print_ in saved["data"]["fingerprints"].items()},
        },
        data={key: value for key, value in tell_data(data).items() if key != "fingerprints"} | checked(run),
        history=saved["history"],
        validation=validation,
        test=test,
        scored=scored,
        worst=wanted.worst_errors if quote else 0,
        doubtful=wanted.doubtful if quote else 0,
        baseline=compared,
        promises=promises,
        evidence=evidence,
        calibrated=bool(run.state.get("calibrated")),
        chosen_on="held-out scores of train and validation"
        if (run.folder / scores_file(HELD_OUT)).exists()
        else "validation",
        plots=plots,
        steps=simpler(scored, thresholds, groups, compared),
        members=[Part(**part) for part in _read_json(run.folder / MEMBERS_FILE) or []],
        sweep=swept(run),
    )
    return write_text(path or run.report, page)


def checked(run: Run) -> dict[str, str]:
    """Gives what `check` found in train and validation as a fact for the report, gravest first."""
    report = _read_json(run.folder / "check.json")
    if report is None:
        return {}
    told = [f"{found['severity']}: {found['found']}" for found in report["findings"]]
    return {"check_found": " ".join(told) or "nothing"}


def compare_baseline(
    run: Run, scored: ScoredSplit, thresholds: Array, groups: Sequence[str | None], saved: dict[str, Any]
) -> Row | None:
    """Gives the leading measure of the linear baseline and of the model, with the paired difference; None without one."""
    kept = _read_json(run.folder / BASELINE_FILE)
    if kept is None or len(scored.texts) < 2:
        return None
    other, _ = read_scores(run.folder, BASELINE, saved)
    limits = np.asarray(kept["thresholds"], dtype=np.float64)
    return compare_lead(other, scored, (limits, thresholds), _drawn(groups))


def simpler(scored: ScoredSplit, thresholds: Array, groups: Sequence[str | None], baseline: Row | None) -> list[Row]:
    """Gives less than the model beside the model, on test: the linear baseline, and the model with no threshold tuned."""
    found = [] if baseline is None else [replace(baseline, measure="words alone: TF-IDF with a linear SVM")]
    if scored.task == "multiclass" or (thresholds == DEFAULT).all() or len(scored.texts) < 2:
        return found
    row = compare_lead(scored, scored, (np.full_like(thresholds, DEFAULT), thresholds), _drawn(groups))
    return [*found, replace(row, measure=f"the model at threshold {DEFAULT:g}")]


def swept(run: Run) -> dict[str, Any] | None:
    """Gives what the sweep varied whose winner this run is; None where it is none's."""
    try:
        found = _read_json(run.folder.absolute().parent / SWEEP_FILE)
    except ValueError:  # another program's, as the next may be
        return None
    if not isinstance(found, dict) or "verdict" not in found or Path(str(found.get("run"))).name != run.name:
        return None
    before, here, shares = found["default_settings"], found["best"]["settings"], found["importances"]
    keys = sorted(found["space"], key=lambda key: -shares.get(key, 0.0))
    rows = [
        {"key": key, "before": _told(before.get(key)), "here": _told(here.get(key)), "share": shares.get(key)}
        for key in keys
    ]
    kept = {key: found[key] for key in ("judged_by", "verdict")}
    return {**kept, "trials": len(found["trials"]), "rows": rows, "weighed": bool(shares)}


def promised(run: Run, saved: dict[str, Any]) -> list[Promise]:
    """Gives what each recall costs as a promise for new documents, where there are documents enough to make one."""
    split = HELD_OUT if (run.folder / scores_file(HELD_OUT)).exists() else "validation"
    scored, groups = read_scores(run.folder, split, saved)
    enough = scored.task != "multiclass" and np.asarray(scored.targets).any()
    if not enough or not can_promise(groups):
        return []
    return trade(scored.targets, scored.scores, groups, [recall for recall in RECALLS if recall < 1])


def find_marks(run: Run, scored: ScoredSplit, thresholds: Array, engine: Engine | None) -> dict[int, list[Span]]:
    """Gives by row the words that carried the score of an error shown in the report, as the settings want it."""
    wanted = run.config.evaluation
    if wanted.evidence == "off" or (wanted.evidence == "auto" and run.config.model.family not in ("linear", "static")):
        return {}
    if engine is None:
        engine = load_engine(run.bundle)
    marks: dict[int, list[Span]] = {}
    for error in find_worst_errors(scored, thresholds, wanted.worst_errors):
        found = tell_evidence(engine, scored.texts[error.row], error.label)
        marks[error.row] = [(part["start"], part["end"]) for part in found]
    return marks


def write_card(run: Run, settings: list[str] | None = None) -> Path:
    """Writes README.md (the model card) and DATASHEET.md into a finished run's folder and gives the card's path.

    Args:
        run: That has finished.
        settings: `card.KEY=VALUE`: what the owner states; kept in the run's settings.

    Raises:
        ConfigError: A setting of another section.
        TrainingError: The run has not finished.
    """
    if settings:
        if other := [each for each in settings if not each.startswith("card.")]:
            raise ConfigError(f"{other[0]} is no setting of the card.", "card.KEY=VALUE", "See `smallprint config`.")
        run = Run(run.folder, load_config(None, settings, run.config), run.writes)
    facts = facts_of_run(run)
    if settings:
        write_text(run.folder / "config.yaml", render_config(run.config))
    write_text(run.folder / SHEET, render_sheet(facts))
    card = write_text(run.folder / CARD, render_card(facts))
    run.update(card_sha256=sha256_file(card))  # by which a card that was edited by hand is known
    return card


def facts_of_run(run: Run, repository: str | None = None) -> CardFacts:
    """Gives what the card of a finished run is made of.

    Args:
        run: That has finished.
        repository: OWNER/NAME on the Hub, once it has one.

    Raises:
        TrainingError: The run has not finished.
    """
    scored, groups, saved = read_test(run)
    test, state = read_metrics(saved["test"]), run.state
    findings, timings = _read_json(run.folder / "check.json"), _read_json(run.timings)
    thresholds = saved["thresholds"]
    compared = compare_baseline(run, scored, np.asarray(thresholds, dtype=np.float64), groups, saved)
    return CardFacts(
        name=run.folder.absolute().name if repository is None else repository.split("/")[-1],
        manifest={**read_manifest(find_bundle(run.folder)), "metrics": {"test": test.values}},
        config=run.config,
        data_name=_public_name(str(state["data"])),
        labels=test.per_label,
        intervals=score_intervals(scored, np.asarray(thresholds), _drawn(groups)),
        baseline=None if compared is None else compared.a,
        leaked=test.leaked,
        findings=None if findings is None else [(found["severity"], found["found"]) for found in findings["findings"]],
        seconds=None if timings is None else timings.get("seconds_total"),
        epochs=saved.get("epochs"),
        versions=state.get("versions", {}),
        commit=state.get("commit"),
        repository=repository,
    )


def facts_of_bundle(bundle: Path, repository: str | None = None) -> CardFacts:
    """Gives what the card of a bundle is made of whose run is not at hand.

    Args:
        bundle: Its folder.
        repository: OWNER/NAME on the Hub, once it has one.

    Raises:
        BundleError: It is damaged.
    """
    manifest = read_manifest(bundle)
    name = bundle.absolute().name if repository is None else repository.split("/")[-1]
    config: Config = load_config(bundle / SETTINGS)
    return CardFacts(name=name, manifest=manifest, config=config, repository=repository)


def read_test(run: Run) -> tuple[ScoredSplit, list[str | None], dict[str, Any]]:
    """Gives the scored test split of a finished run, each example's group, and what metrics.json holds.

    Raises:
        TrainingError: The run has not finished.
    """
    if not run.metrics.exists() or not (run.folder / scores_file("test")).exists():
        raise TrainingError(
            f"The run {run.folder} has no scores yet.",
            "a run that was trained to its end",
            f"Go on with: smallprint train --resume {run.folder}",
        )
    saved = json.loads(run.metrics.read_text(encoding="utf-8"))
    return *read_scores(run.folder, "test", saved), saved


def _drawn(groups: Sequence[str | None]) -> list[object] | None:
    return units(groups) if any(group is not None for group in groups) else None


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _told(value: Any) -> str:
    """A setting's value in few characters; a dash where the others leave it unheard."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _public_name(data: str) -> str:
    """The data's name without the folders of this machine."""
    return data if data.startswith("hub:") else PurePath(data).name
