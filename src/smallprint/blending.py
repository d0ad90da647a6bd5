"""One model from runs that are finished: the mean of their logits. In: run folders. Out: a run folder like any other, in seconds.

read -> check -> load -> average -> calibrate, tune thresholds -> write. Nothing is trained: members' scores of validation and test stand
in their folders, their bundles are copied. Thresholds and calibration come from validation; test gives the final numbers alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint import papers, runs, tracked
from smallprint.core.commit import find_commit
from smallprint.core.errors import BundleError, ConfigError
from smallprint.core.mlflow_store import shown
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import TrainResult
from smallprint.core.run import Run, create_run
from smallprint.evaluation.parts import Part, leave_each_out
from smallprint.evaluation.score_files import read_scores, units
from smallprint.evaluation.stack import Stack
from smallprint.families.baseline import BASELINE, Baseline
from smallprint.families.blend import (
    FinishedRun,
    average,
    build_stack_of,
    config_of_blend,
    read_finished,
    share_weights,
)
from smallprint.families.fitted import reached, single_result, tell
from smallprint.finish import Ended, measure, tune, write_down
from smallprint.inference.engine import Engine
from smallprint.modeling.stack_scorer import Member, StackScorer
from smallprint.packaging.bundle import Bundle, find_bundle, load_bundle
from smallprint.packaging.reference import Reference, build_reference, load_reference
from smallprint.training.left_behind import ids_of
from smallprint.training.sending import MAIN

PROBED, NEAR = 4, 0.05  # texts that each bundle scores again, and how far that may lie from its run's file


def blend(
    members: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    weights: Sequence[float] | None = None,
    settings: Sequence[str] = (),
    say: Say = say_nothing,
    command: str = "",
) -> TrainResult:
    """Gives one model that answers by the mean of several models' logits (multiclass: log-scores).

    Args:
        members: Folders of finished runs on the same data and splits.
        out: Folder of the new run; a new one in the run root when left out.
        weights: One a member, 0 or more, in any scale; equal when left out.
        settings: `section.key=value` of evaluation, tracking and card; the rest is the first run's.
        say: Takes lines for a person.
        command: What was typed, for the report.

    Raises:
        ConfigError: Fewer than two runs, weights that cannot be used, or a folder for `out` that is taken.
        TrainingError: One is no finished run.
        BundleError: A run without a bundle, or with a damaged one, or one that gives other scores than the run wrote.
        DataError: Runs of other labels, another task, or other examples of validation or test.
    """
    clock = runs.Clock()
    found = read_finished(members)
    shares = share_weights(weights, len(found))
    config = config_of_blend(found, shares, settings)
    _check_free(out, found)
    bundles = [_load(member) for member in found]
    stack, labels = build_stack_of(shares, found), bundles[0].labels
    parts = zip(found, bundles, strict=True)
    scorer = StackScorer([Member(one.name, [bundle.scorer], bundle.calibration) for one, bundle in parts], stack)
    for line in _told(found, stack):
        say(line)
    clock.lap("read")

    run = create_run(config, found[0].run.state["data"], out)
    with _whole_or_not(run) as ending:
        listed = [_described(member, weight) for member, weight in zip(found, shares, strict=True)]
        given = {"command": shown(command)} if command else {}
        run.update(**given, members=listed, versions=runs.versions(), commit=find_commit())
        summary = found[0].saved["data"]
        tracker = ending.track(tracked.open_tracker(run, say))
        tracked.log_start(tracker, run, config, _before_test(summary))
        if tracker.uri is not None:
            tracker.log_parameters({"blend": {"members": ", ".join(one.name for one in found), **_ids(found)}})
        scored = average(stack, [member.validation for member in found])
        tuned = tune(run, scored, scored, found[0].groups, say)
        engine = Engine(scorer, labels, tuned.thresholds, calibration=tuned.calibration)
        values = reached(scored.targets, tuned.scored.scores, scored.task)
        say(f"Blend: {tell(values)}")
        tracker.log_metrics(values)
        clock.lap("tune")

        # test was opened by the members' trainings; here it gives the final numbers
        test_scored = average(stack, [member.test for member in found])
        if tuned.calibration is not None:
            test_scored = replace(test_scored, scores=tuned.calibration.apply(test_scored.scores))
        known = _known_texts(bundles)
        test = measure(test_scored, tuned.thresholds, known)
        clock.lap("evaluate")
        clock.seconds["members"] = round(sum(_seconds(member) for member in found), 3)
        ended = Ended(
            engine=engine,
            fit=single_result(values, 0.0),
            tuned=tuned,
            groups=found[0].groups,
            unseen_groups=None,
            test=(test, test_scored, found[0].test_groups),
            summary=summary,
            known_texts=known,
            reference=_reference(found, bundles, tuned.scored.scores) if config.evaluation.reference else None,
            baseline=_baseline(found),
            members=_parts(found, stack),
            stored={member.name: bundle.folder for member, bundle in zip(found, bundles, strict=True)},
        )
        _keep_check(run, found)
        write_down(run, tracker, ended, clock, command=command)
    return replace(runs.read_result(run), tracking_uri=shown(tracker.uri) if tracker.uri else None)


@contextmanager
def _whole_or_not(run: Run) -> Iterator[runs.Ending]:
    """Marks the run finished; where it fails, ends it in tracking and leaves no folder."""
    ending, status = runs.Ending(), "FAILED"
    try:
        yield ending
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        if ending.tracker:
            ending.tracker.finish(status)
        if status == "FINISHED":
            run.update(status="finished")
        else:
            shutil.rmtree(run.folder, ignore_errors=True)


def _check_free(out: str | Path | None, members: Sequence[FinishedRun]) -> None:
    """Refuses a folder that holds something, or lies in a member's: before anything is loaded."""
    if out is None:
        return
    folder, do = Path(out).expanduser(), "Name another folder with --out."
    for member in members:
        if folder.resolve().is_relative_to(member.run.folder):
            where = "is" if folder.resolve() == member.run.folder else "lies in"
            raise ConfigError(f"--out {out} {where} a run that is to be blended.", "a new folder", do)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{out} is there already.", "a new or empty folder for --out", do)


def _load(member: FinishedRun) -> Bundle:
    """Gives a member's bundle, its files checked by their hashes, and its scores by what the run wrote of a few texts."""
    bundle = load_bundle(find_bundle(member.run.folder))
    if (bundle.labels.task, bundle.labels.names) != (member.test.task, member.test.label_names):
        raise BundleError(
            f"{bundle.folder} has other labels than its run's metrics.json.",
            "the bundle that the run wrote",
            "Train the run again, or leave it out.",
        )
    # a stack's scores of validation are of models without the text: its bundle gives others, but the same of test
    wrote = member.test if isinstance(bundle.scorer, StackScorer) else member.validation
    scores = Member(member.name, [bundle.scorer], bundle.calibration).score(wrote.texts[:PROBED])
    apart = float(np.abs(scores - wrote.scores[:PROBED]).max())
    if not apart <= NEAR:
        raise BundleError(
            f"{bundle.folder} gives other scores than the run wrote down of its {wrote.split} examples: {apart:.2f} apart.",
            f"the same, {NEAR:g} apart at most",
            "Train the run again, or leave it out.",
        )
    return bundle


def _told(members: Sequence[FinishedRun], stack: Stack) -> list[str]:
    """Gives what there is to say of the members: their weights, and what is not alike."""
    weights = zip(members, stack.weights, strict=True)
    lines = [f"A blend of {', '.join(f'{member.name} {weight:.2f}' for member, weight in weights)}."]
    stacks = [member.name for member in members if member.run.config.model.family == "stack"]
    if stacks:
        lines.append(
            f"Scores of validation are held-out ones of {', '.join(stacks)}, which learned from validation too."
        )
    prints = [member.saved["data"]["fingerprints"] for member in members]
    if len({(each.get("train"), each.get("extra")) for each in prints}) > 1:
        lines.append(f"They learned from other train examples; what is said of train is of {members[0].name}'s.")
    return lines


def _described(member: FinishedRun, weight: float) -> dict[str, Any]:
    return {"name": member.name, "run": str(member.run.folder), "weight": float(weight), **_id(member)}


def _id(member: FinishedRun) -> dict[str, str]:
    found = ids_of(member.run.state).get(MAIN)
    return {} if found is None else {"mlflow_run_id": found}


def _ids(members: Sequence[FinishedRun]) -> dict[str, dict[str, str]]:
    return {member.name: {"run": member.run.folder.name, **_id(member)} for member in members}


def _before_test(summary: dict[str, Any]) -> dict[str, Any]:
    kept = {name: {k: v for k, v in summary[name].items() if k != "test"} for name in ("rows", "fingerprints")}
    return {**summary, **kept}


def _known_texts(bundles: Sequence[Bundle]) -> NDArray[np.uint64] | None:
    """Gives the hashes of all texts that a member learned from; None where one does not tell."""
    known = [bundle.known_texts for bundle in bundles if bundle.known_texts is not None]
    return np.unique(np.concatenate(known)) if len(known) == len(bundles) else None


def _reference(members: Sequence[FinishedRun], bundles: Sequence[Bundle], scores: Any) -> Reference:
    """Gives the numbers of validation with the blend's scores; how rare words were in train the first member tells that knows."""
    kept = [load_reference(bundle.folder, bundle.labels.n_outputs) for bundle in bundles]
    usual = next((part.usual for part in kept if part is not None and part.usual is not None), None)
    return build_reference(members[0].validation.texts, scores, members[0].groups, usual)


def _baseline(members: Sequence[FinishedRun]) -> Baseline | None:
    """Gives the linear baseline of the first member that was trained beside one: its test is this test."""
    for member in members:
        file = member.run.folder / papers.BASELINE_FILE
        if file.is_file():
            scored, _ = read_scores(member.run.folder, BASELINE, member.saved)
            return Baseline(scored, np.asarray(json.loads(file.read_text(encoding="utf-8"))["thresholds"]))
    return None


def _parts(members: Sequence[FinishedRun], stack: Stack) -> list[Part]:
    """Gives what each member adds on validation."""
    groups = members[0].groups
    return leave_each_out(
        [member.name for member in members],
        [member.validation.scores for member in members],
        members[0].validation.targets,
        stack,
        units(groups),
        any(group is not None for group in groups),
        refit=False,
    )


def _seconds(member: FinishedRun) -> float:
    if not member.run.timings.is_file():
        return 0.0
    return float(json.loads(member.run.timings.read_text(encoding="utf-8"))["seconds_total"])


def _keep_check(run: Run, members: Sequence[FinishedRun]) -> None:
    """Copies what `check` found in the data when the first member was trained."""
    found = members[0].run.folder / "check.json"
    if found.is_file():
        shutil.copyfile(found, run.folder / "check.json")


__all__ = ["blend"]
