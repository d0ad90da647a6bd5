"""What a finished run is told by: its report, and its model card with the data sheet. In: a run folder. Out: files in it.

Everything is read from the folder, so that each can be written again without training.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.files import write_text
from smallprint.core.results import ScoredSplit
from smallprint.core.run import HELD_OUT, Run, scores_file
from smallprint.core.settings import load_config, render_config
from smallprint.evaluation.report import render_report
from smallprint.evaluation.score_files import read_scores, units
from smallprint.evaluation.score_intervals import score_intervals
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.card import CARD, SHEET, render_card, render_sheet
from smallprint.packaging.card_facts import CardFacts
from smallprint.packaging.manifest import SETTINGS, read_manifest
from smallprint.runs import read_metrics, versions


def write_report(run: Run, command: str) -> Path:
    """Writes report.html from what the run folder holds and gives its path.

    Raises:
        TrainingError: The run has not finished.
    """
    scored, groups, saved = read_test(run)
    validation, test = read_metrics(saved["validation"]), read_metrics(saved["test"])
    data = {**saved["data"], **({"test_groups": groups} if any(group is not None for group in groups) else {})}
    page = render_report(
        title=f"{run.name}: {test.task}",
        run={
            "command": command or f"smallprint train {run.state['data']} --config config.yaml",
            "config": render_config(run.config, explain=False),
            "seed": run.config.training.seed,
            "bundle": str(run.bundle),
            "versions": run.state.get("versions") or versions(),
            "git_commit": run.state.get("commit"),
        },
        data=data,
        history=saved["history"],
        validation=validation,
        test=test,
        scored=scored,
        worst=run.config.evaluation.worst_errors,
        calibrated=bool(run.state.get("calibrated")),
        chosen_on="held-out scores of train and validation"
        if (run.folder / scores_file(HELD_OUT)).exists()
        else "validation",
    )
    return write_text(run.report, page)


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
    return write_text(run.folder / CARD, render_card(facts))


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
    drawn = units(groups) if any(group is not None for group in groups) else None
    return CardFacts(
        name=run.folder.absolute().name if repository is None else repository.split("/")[-1],
        manifest={**read_manifest(find_bundle(run.folder)), "metrics": {"test": test.values}},
        config=run.config,
        data_name=_public_name(str(state["data"])),
        labels=test.per_label,
        intervals=score_intervals(scored, thresholds, drawn),
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


def _read_json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _public_name(data: str) -> str:
    """The data's name without the folders of this machine."""
    return data if data.startswith("hub:") else PurePath(data).name
