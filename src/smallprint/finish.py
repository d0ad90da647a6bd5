"""How a run ends, whatever made its scores: a training, or a blend of trainings. In: scores. Out: everything in the run folder.

`tune` takes what was not learned from; `write_down` comes after test has been opened, which neither of them does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint import papers, runs, tracked
from smallprint.core.progress import Say
from smallprint.core.results import Array, FitResult, Metrics, ScoredSplit
from smallprint.core.run import Run
from smallprint.data.normalise import text_hashes
from smallprint.evaluation.calibration import Calibration, choose_calibration
from smallprint.evaluation.earned import choose_thresholds
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.parts import Part
from smallprint.evaluation.report_plots import draw_plots
from smallprint.evaluation.score_files import write_scores
from smallprint.families.baseline import Baseline
from smallprint.inference.engine import Engine
from smallprint.packaging.bundle import save_bundle
from smallprint.packaging.reference import Reference
from smallprint.training.tracking import Tracker


@dataclass(frozen=True)
class Tuned:
    """Scores of what was not learned from, calibrated where the settings want it, and the thresholds that they gave.

    Attributes:
        unseen: All such scores: validation's, or of a stack the held-out ones of train too.
        scored: Validation's.
        calibration: That they went through, or None.
        thresholds: `[n_outputs]`.
        validation: Metrics.
    """

    unseen: ScoredSplit
    scored: ScoredSplit
    calibration: Calibration | None
    thresholds: Array
    validation: Metrics


@dataclass(frozen=True)
class Ended:
    """What a run has found, to be written down.

    Attributes:
        engine: The model.
        fit: How the fit went.
        tuned: What `tune` gave.
        groups: Of validation's examples.
        unseen_groups: Of all examples that thresholds were tuned on; None where these are validation.
        test: Metrics, scores and groups of test.
        summary: Of the data, test counted in.
        known_texts: Hashes of the texts that were learned from, or None.
        reference: For `monitor`, or None.
        baseline: The linear baseline, or None.
        members: What each member of a stack or a blend adds.
        head_is_own: The head is an object of your own.
        stored: Bundles that hold the members of a blend already, by name.
    """

    engine: Engine
    fit: FitResult
    tuned: Tuned
    groups: Sequence[str | None]
    unseen_groups: Sequence[str | None] | None
    test: tracked.Scored
    summary: dict[str, Any]
    known_texts: NDArray[np.uint64] | None
    reference: Reference | None
    baseline: Baseline | None
    members: Sequence[Part] = ()
    head_is_own: bool = False
    stored: Mapping[str, Path] | None = None


def tune(run: Run, unseen: ScoredSplit, scored: ScoredSplit, groups: Sequence[str | None], say: Say) -> Tuned:
    """Gives calibrated scores and thresholds, as the run's settings want them.

    Args:
        run: Whose settings these are; it remembers whether scores were calibrated.
        unseen: Scores of examples that the model did not learn from.
        scored: Those of validation among them.
        groups: The document of each example of `unseen`.
        say: Takes lines for a person.
    """
    wanted, task = run.config.evaluation, unseen.task
    calibration = choose_calibration(unseen.targets, unseen.scores, task, wanted.calibration)
    if calibration is None and wanted.calibration != "none":
        say("Scores stay as they are: there are too few positives to calibrate by.")
    run.update(calibrated=calibration is not None)
    if calibration is not None:
        unseen, scored = (replace(part, scores=calibration.apply(part.scores)) for part in (unseen, scored))
    thresholds = choose_thresholds(unseen.targets, unseen.scores, task, wanted.threshold, groups)
    return Tuned(unseen, scored, calibration, thresholds, compute_metrics(scored, thresholds))


def measure(scored: ScoredSplit, thresholds: Any, known_texts: Any = None) -> Metrics:
    """Gives the metrics of a split, and beside them those of the rows whose text the model was not trained on.

    Args:
        scored: Scores and truth.
        thresholds: `[n_outputs]`.
        known_texts: Hashes of the texts that it was trained on, or None.
    """
    metrics = compute_metrics(scored, thresholds)
    if known_texts is None:
        return metrics
    fresh = ~np.isin(text_hashes(scored.texts), known_texts)
    leaked = int((~fresh).sum())
    if not leaked or not fresh.any():
        return replace(metrics, leaked=leaked)
    texts = [text for text, kept in zip(scored.texts, fresh, strict=True) if kept]
    rest = replace(scored, texts=texts, targets=scored.targets[fresh], scores=scored.scores[fresh])
    return replace(metrics, leaked=leaked, without_leaked=compute_metrics(rest, thresholds).values)


def write_down(
    run: Run, tracker: Tracker, found: Ended, clock: runs.Clock, *, resumed: bool = False, command: str = ""
) -> None:
    """Writes metrics, bundle, scores, report, times and card into the run folder, and sends to tracking what it is to have.

    Args:
        run: The run.
        tracker: Of the run; it is not ended here.
        found: What there is to write.
        clock: Of the steps before.
        resumed: The run had been stopped in between.
        command: What was typed.
    """
    engine, fit, tuned, summary = found.engine, found.fit, found.tuned, found.summary
    test, test_scored, test_groups = found.test
    metrics = runs.write_metrics(run, fit, tuned.validation, test, tuned.thresholds, summary)
    save_bundle(
        run.bundle,
        scorer=engine.scorer,
        labels=engine.labels,
        thresholds=tuned.thresholds,
        config=runs.with_max_length(run.config, engine.scorer.max_length),
        data=summary,
        metrics=metrics,
        calibration=tuned.calibration,
        known_texts=found.known_texts,
        reference=found.reference,
        head_is_own=found.head_is_own,
        stored=found.stored,
    )
    write_scores(run.folder, tuned.scored, found.groups)
    if found.unseen_groups is not None:
        write_scores(run.folder, tuned.unseen, found.unseen_groups)
    write_scores(run.folder, test_scored, test_groups)
    papers.keep_baseline(run, found.baseline, test_groups)
    papers.keep_members(run, found.members)
    plots = draw_plots(test_scored, fit.history, tuned.thresholds)
    papers.write_report(run, run.state.get("command", command), engine, plots=plots)
    clock.lap("package")
    runs.write_timings(run, clock, fit, summary["rows"]["train"], resumed=resumed)
    papers.write_card(run)
    both = [(tuned.validation, tuned.scored, found.groups), found.test]
    tracked.log_end(tracker, run, both, tuned.thresholds, summary, plots)


__all__ = ["Ended", "Tuned", "measure", "tune", "write_down"]
