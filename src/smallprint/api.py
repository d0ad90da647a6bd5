"""The whole way, one call a step: train, evaluate, predict. Each step is named after the file that does it.

open -> detect -> split -> build -> fit -> calibrate, tune thresholds -> evaluate -> package -> report
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from smallprint import papers, runs, tracked
from smallprint.core.commit import find_commit
from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, DataError
from smallprint.core.mlflow_store import shown
from smallprint.core.parts import Parts
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.core.results import Metrics, Prediction, ScoredSplit, TrainResult
from smallprint.core.run import create_run, open_run
from smallprint.data.examples import Examples, fingerprint
from smallprint.data.extra import add_extra
from smallprint.data.labels import LabelSet
from smallprint.data.normalise import text_hashes
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import check_test_labels, split_source
from smallprint.data.summary import summarize
from smallprint.evaluation.calibration import choose_calibration
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.report_plots import draw_plots
from smallprint.evaluation.score_files import write_scores
from smallprint.evaluation.shrunk import choose_thresholds
from smallprint.families import build_fit, check_family, score_unseen
from smallprint.families.baseline import fit_baseline
from smallprint.inference.engine import Engine, open_model
from smallprint.inference.predictor import PredictSummary, predict_file
from smallprint.modeling.stack_scorer import StackScorer
from smallprint.packaging.bundle import find_bundle, load_bundle, save_bundle
from smallprint.packaging.reference import build_reference
from smallprint.training import processes
from smallprint.training.fit import check_processes, seed_everything
from smallprint.training.stored import VectorCache


def train(
    data: Any = None,
    *,
    config: Config | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    parts: Parts | None = None,
    say: Say = say_nothing,
    command: str = "",
    cache: VectorCache | None = None,
    parent: str = "",
) -> TrainResult:
    """Gives a model of your own: reads, splits, trains, tunes thresholds, evaluates on test, packages and reports.

    Args:
        data: A file, a folder, `hub:...`, `sample`, or frames; not needed with `resume` where it was a path or name.
        config: Settings; with `resume` those of the run are taken.
        out: Folder of the run; a new one in the run root when left out.
        resume: Folder of a run that was stopped; it ends with the same weights and metrics as if it had not been.
        parts: Own reader, tokenizer, backbone, head or loss.
        say: Takes lines for a person.
        command: What was typed, for the report.
        cache: What frozen encoders gave for texts in earlier trainings of this process, to be used again and added to.
        parent: Name of a run in tracking that holds this one, made where there is none: a system of several seeds.

    Raises:
        SmallprintError: Anything that the user can mend; its kind tells which step.
    """
    if data is None and resume is None:
        raise ConfigError("No data was named.", "a file, a folder, hub:OWNER/NAME or sample", "Try `sample` first.")
    processes.join()
    run = processes.same_run(
        lambda: open_run(resume) if resume else create_run(config or Config(), runs.name_of(data), out)
    )
    say = say if run.writes else say_nothing
    config, parts = run.config, parts or Parts()
    if not resume:
        given = {"command": shown(command), "parent": parent}
        run.update(**{k: v for k, v in given.items() if v}, versions=runs.versions(), commit=find_commit())
    started = run.state
    processes.wait()  # where this run cannot begin, the first process removes it: the others have read it by now
    data = started["data"] if data is None else data
    clock, seed = runs.Clock(), config.training.seed
    with runs.ended_well(run, say) as finish:
        check_family(config, parts)
        check_processes(config, processes.world_size())
        # open, detect, split: test stays closed, but for the names of its labels
        source = (parts.reader or open_source)(data)
        schema = detect_schema(source, config.data)
        say(schema.said)
        splits = split_source(source, schema, config.data, seed)
        if extra := started.get("extra"):
            splits = add_extra(splits, source, schema, extra)
        say(splits.made)
        check_test_labels(source, schema)
        told = runs.check_first(run, source, config.data)
        for line in told:
            say(line)
        labels, summary = LabelSet(schema.task, schema.names), summarize(splits, schema)
        for line in runs.rare_labels(summary, told):
            say(line)
        clock.lap("read")

        # build and fit, whatever the family
        seed_everything(seed)
        fit_model = build_fit(splits, labels, config, parts, run.checkpoints, say, cache)
        tracker = finish.track(tracked.open_tracker(run, say))
        tracked.log_start(tracker, run, config, summary)
        clock.lap("prepare")
        fitted = fit_model(tracker)
        scorer, fit = fitted.scorer, fitted.result
        clock.lap("fit")
        if not run.writes:  # one of several processes: the first does the rest
            processes.wait()
            return runs.read_result(run)

        # calibration and thresholds on what was not learned from; then test is opened, once
        unseen, scored = score_unseen(fitted, splits, labels)
        calibration = choose_calibration(unseen.targets, unseen.scores, schema.task, config.evaluation.calibration)
        if calibration is None and config.evaluation.calibration != "none":
            say("Scores stay as they are: there are too few positives to calibrate by.")
        run.update(calibrated=calibration is not None)
        if calibration is not None:
            unseen, scored = (replace(part, scores=calibration.apply(part.scores)) for part in (unseen, scored))
        thresholds = choose_thresholds(unseen.targets, unseen.scores, schema.task, config.evaluation.threshold)
        validation = compute_metrics(scored, thresholds)
        engine = Engine(scorer, labels, thresholds, calibration=calibration)
        clock.lap("tune")
        test_examples = splits.open_test()
        test_scored = score_examples(engine, test_examples)
        learned = [*splits.train.texts, *(splits.validation.texts if fitted.held_out is not None else [])]
        known_texts = text_hashes(learned)
        test = measure(test_scored, thresholds, known_texts)
        if test.leaked:
            say(
                f"{counted(test.leaked, 'test text')} stand in what was learned from; metrics.json has the scores without them."
            )
        summary = runs.add_test(summary, test_examples, schema.names, splits.extra)
        if shared := summary["duplicates"].get("test_in_extra"):
            say(f"Word for word in the extra table too: {counted(shared, 'test row')}. Of these test proves nothing.")
        clock.lap("evaluate")
        baseline = fit_baseline(splits, labels, config, test_examples, say)
        clock.lap("baseline")

        # package and report
        of_validation = unseen.scores[-len(splits.validation) :]
        reference = (
            build_reference(splits.validation.texts, of_validation, splits.validation.groups, splits.train.texts)
            if config.evaluation.reference
            else None
        )
        metrics = runs.write_metrics(run, fit, validation, test, thresholds, summary)
        save_bundle(
            run.bundle,
            scorer=scorer,
            labels=labels,
            thresholds=thresholds,
            config=runs.with_max_length(config, scorer.max_length),
            data=summary,
            metrics=metrics,
            calibration=calibration,
            known_texts=known_texts,
            reference=reference,
            head_is_own=parts.head is not None,
        )
        write_scores(run.folder, scored, splits.validation.groups)
        if fitted.held_out is not None:
            write_scores(run.folder, unseen, [*splits.own_train.groups, *splits.validation.groups])
        write_scores(run.folder, test_scored, test_examples.groups)
        papers.keep_baseline(run, baseline, test_examples.groups)
        papers.keep_members(run, fitted.members)
        plots = draw_plots(test_scored, fit.history, thresholds)
        papers.write_report(run, run.state.get("command", command), engine, plots=plots)
        clock.lap("package")
        runs.write_timings(run, clock, fit, len(splits.train), resumed=resume is not None)
        papers.write_card(run)
        both = [(validation, scored, splits.validation.groups), (test, test_scored, test_examples.groups)]
        tracked.log_end(tracker, run, both, thresholds, summary, plots)
        processes.wait()
    return TrainResult(
        run=run.folder,
        bundle=run.bundle,
        report=run.report,
        metrics_file=run.metrics,
        task=schema.task,
        label_names=schema.names,
        validation=validation,
        test=test,
        tracking_uri=shown(tracker.uri) if tracker.uri else None,
    )


def evaluate(
    model: str | Path,
    data: Any,
    *,
    split: str = "test",
    config: Any = None,
    parts: Parts | None = None,
    say: Say = say_nothing,
) -> tuple[Metrics, ScoredSplit]:
    """Gives the metrics of a bundle on labelled data, and the scores behind them.

    A single table from which the run itself carved its splits is carved the same way again; of any other single table
    every row is used, and the split is called 'all'.

    Args:
        model: Folder of a bundle or of a run, or NAME@ALIAS of a registered one.
        data: As for `train`.
        split: train, validation or test.
        config: `DataConfig` where the columns are called otherwise than in training.
        parts: Own head of the bundle.
        say: Takes lines for a person: whether the model learned from the split.

    Raises:
        BundleError: The bundle is damaged.
        DataError: The data cannot be read, has no such split, or has labels that the model does not know.
    """
    engine = load(model, parts)
    bundle_config = engine.config or Config()
    wanted = runs.columns_for(config or bundle_config.data, engine.labels)
    examples = runs.read_split(
        open_source(data), wanted, split, engine.labels, bundle_config.training.seed, engine.trained_on
    )
    learned = ("train", "validation") if isinstance(engine.scorer, StackScorer) else ("train",)
    if examples.split in learned and engine.trained_on is not None:
        say(f"The model learned from {examples.split}, if it was trained on this data: its scores of it prove nothing.")
    scored = score_examples(engine, examples)
    return measure(scored, engine.thresholds, engine.known_texts), scored


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


def load(model: str | Path, parts: Parts | None = None) -> Engine:
    """Gives the engine of a bundle, a run's bundle or NAME@ALIAS: `engine.predict(texts)`, `engine.score(texts)`.

    Raises:
        BundleError: There is no bundle, or it is damaged.
    """
    return open_model(model, parts)


def predict(model: str | Path | Engine, texts: str | Sequence[str], parts: Parts | None = None) -> Prediction:
    """Gives labels and scores for one text or many.

    Raises:
        BundleError: There is no bundle, or it is damaged.
        DataError: Something that is not a text.
    """
    engine = open_model(model, parts)
    return engine.predict([texts] if isinstance(texts, str) else list(texts))


def load_config_of(model: str | Path) -> Config:
    """Gives the settings that a bundle was trained with.

    Raises:
        BundleError: There is no bundle, or it is damaged.
    """
    return load_bundle(find_bundle(model)).config


def report(run: str | Path) -> Path:
    """Writes the HTML report of a finished run again and gives its path.

    Raises:
        TrainingError: There is no run, or it has not finished.
    """
    opened = open_run(run)
    return papers.write_report(opened, opened.state.get("command", ""))


def score_examples(engine: Engine, examples: Examples) -> ScoredSplit:
    """Gives an engine's scores of labelled examples, beside the truth.

    Raises:
        DataError: There are none.
    """
    if not len(examples):
        raise DataError(f"The {examples.split} split has no rows.", "at least one example", "Check the data.")
    targets = engine.labels.encode(examples.labels)
    scores = engine.score(examples.texts)
    return ScoredSplit(examples.split, engine.labels.task, engine.labels.names, examples.texts, targets, scores)


__all__ = [
    "Engine",
    "PredictSummary",
    "evaluate",
    "fingerprint",
    "load",
    "load_bundle",
    "load_config_of",
    "predict",
    "predict_file",
    "report",
    "train",
]
