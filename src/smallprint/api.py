"""The whole way, one call a step: train, evaluate, predict. Each step is named after the file that does it.

open -> detect -> split -> build -> fit -> calibrate, tune thresholds -> evaluate -> package -> report
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from smallprint import papers, runs, tracked
from smallprint.core.commit import find_commit
from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, DataError
from smallprint.core.mlflow_store import shown
from smallprint.core.parts import Parts
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.core.results import Metrics, Prediction, ScoredSplit, TrainResult
from smallprint.core.run import check_same_data, create_run, open_run
from smallprint.data.examples import Examples, fingerprint
from smallprint.data.extra import add_extra
from smallprint.data.labels import LabelSet
from smallprint.data.normalise import text_hashes
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import check_test_labels, split_source
from smallprint.data.summary import summarize
from smallprint.families import build_fit, check_backbones, check_family, score_unseen
from smallprint.families.baseline import fit_baseline
from smallprint.finish import Ended, measure, tune, write_down
from smallprint.inference.engine import Engine, open_model
from smallprint.inference.predictor import PredictSummary, predict_file
from smallprint.modeling.stack_scorer import StackScorer
from smallprint.packaging.bundle import find_bundle, load_bundle
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
        resume: Folder of a run that was stopped; it ends with the same weights and metrics as if it had not been. Of a
            finished one the result is read.
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
    if resume:
        check_family(config, parts)  # a blend, which cannot be trained, stays as it is
        if run.is_whole:
            say(f"{run.folder} is finished already: it is not trained again.")
            return replace(runs.read_result(run), tracking_uri=tracked.send_rest(run, say))
    with runs.ended_well(run, say) as finish:
        check_family(config, parts)
        check_processes(config, processes.world_size())
        check_backbones(config, parts)
        # open, detect, split: test stays closed, but for the names of its labels
        source = parts.reader(data) if parts.reader else open_source(data, config.data.encoding)
        schema = detect_schema(source, config.data)
        say(schema.said)
        splits = split_source(source, schema, config.data, seed)
        if extra := started.get("extra"):
            splits = add_extra(splits, source, schema, extra, config.data.encoding)
        say(splits.made)
        check_test_labels(source, schema)
        labels, summary = LabelSet(schema.task, schema.names), summarize(splits, schema)
        check_same_data(run, summary["fingerprints"])
        told = runs.check_first(run, source, config.data)
        for line in told:
            say(line)
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
        groups = splits.validation.groups
        unseen_groups = groups if fitted.held_out is None else [*splits.own_train.groups, *groups]
        tuned = tune(run, *score_unseen(fitted, splits, labels), unseen_groups, say)
        engine = Engine(scorer, labels, tuned.thresholds, calibration=tuned.calibration)
        clock.lap("tune")
        test_examples = splits.open_test()
        test_scored = score_examples(engine, test_examples)
        learned = [*splits.train.texts, *(splits.validation.texts if fitted.held_out is not None else [])]
        known_texts = text_hashes(learned)
        test = measure(test_scored, tuned.thresholds, known_texts)
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
        of_validation = tuned.unseen.scores[-len(splits.validation) :]
        found = Ended(
            engine=engine,
            fit=fit,
            tuned=tuned,
            groups=groups,
            unseen_groups=None if fitted.held_out is None else unseen_groups,
            test=(test, test_scored, test_examples.groups),
            summary=summary,
            known_texts=known_texts,
            reference=build_reference(splits.validation.texts, of_validation, groups, splits.train.texts)
            if config.evaluation.reference
            else None,
            baseline=baseline,
            members=fitted.members,
            head_is_own=parts.head is not None,
        )
        write_down(run, tracker, found, clock, resumed=resume is not None, command=command)
        processes.wait()
    return TrainResult(
        run=run.folder,
        bundle=run.bundle,
        report=run.report,
        metrics_file=run.metrics,
        task=schema.task,
        label_names=schema.names,
        validation=tuned.validation,
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
    source, seed = open_source(data, wanted.encoding), bundle_config.training.seed
    examples = runs.read_split(source, wanted, split, engine.labels, seed, engine.trained_on)
    learned = ("train", "validation") if _learned_validation(engine) else ("train",)
    if examples.split in learned and engine.trained_on is not None:
        say(f"The model learned from {examples.split}, if it was trained on this data: its scores of it prove nothing.")
    scored = score_examples(engine, examples)
    return measure(scored, engine.thresholds, engine.known_texts), scored


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


def _learned_validation(engine: Engine) -> bool:
    """Gives whether a model learned from validation too: a stack does, and a blend if one of its members is a stack."""
    if not isinstance(engine.scorer, StackScorer):
        return False
    if engine.config is None or engine.config.stack.weights is None:
        return True
    return any(isinstance(scorer, StackScorer) for member in engine.scorer.members for scorer in member.scorers)


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
