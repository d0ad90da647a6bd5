"""What a training writes into its run folder, and reads from it again. Steps of `api.train` that concern files only.

Metrics hold no times: two runs of one seed write the same bytes. Times, memory and padding stand in timings.json.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from smallprint import __version__
from smallprint.core.config import Config, DataConfig
from smallprint.core.errors import ConfigError, DataError, SmallprintError
from smallprint.core.files import write_json
from smallprint.core.progress import Say, counted
from smallprint.core.results import Array, FitResult, LabelMetrics, Metrics, TrainResult
from smallprint.core.run import Run
from smallprint.data.examples import Examples, fingerprint, to_examples
from smallprint.data.extra import count_shared
from smallprint.data.labels import LabelSet
from smallprint.data.read import Source
from smallprint.data.schema import detect_schema
from smallprint.data.split import split_source
from smallprint.data.summary import support
from smallprint.training.tracking import Tracker

RARE = 5  # training examples
HEADLINES = (
    "f1",
    "accuracy",
    "f1_macro",
    "f1_micro",
    "lexglue_f1_macro",
    "lexglue_f1_micro",
    "average_precision_macro",
)


class Clock:
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, step: str) -> None:
        """Ends a step."""
        now = time.monotonic()
        self.seconds[step] = round(now - self._last, 3)
        self._last = now


class Ending:
    """Holds the tracker of a run, so that it is ended whatever happens."""

    def __init__(self) -> None:
        self.tracker: Tracker | None = None

    def track(self, tracker: Tracker) -> Tracker:
        """Takes the tracker, and gives it back."""
        self.tracker = tracker
        return tracker


@contextmanager
def ended_well(run: Run, say: Say) -> Iterator[Ending]:
    """Marks the run finished, stopped or failed, in its folder and in tracking, and says how to go on.

    A new run that fails before it trained anything leaves no folder: its name is free for the next try.
    """
    ending, status, nothing_yet = Ending(), "failed", False
    was_new = (
        set(run.state) <= {"data", "extra", "status", "command", "versions", "commit", "parent"}
        and run.state["status"] == "started"
    )
    try:
        yield ending
        status = "finished"
    except (KeyboardInterrupt, SystemExit):  # SystemExit: a SIGTERM, which Lightning answers at the next batch
        status = "stopped"
        say(f"Stopped. Go on with: smallprint train --resume {run.folder}")
        raise
    except SmallprintError:
        nothing_yet = was_new and ending.tracker is None
        raise
    finally:
        if ending.tracker:
            ending.tracker.finish({"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[status])
        try:
            if nothing_yet and run.writes:
                remove_run(run)
            else:
                run.update(status=status)
        except Exception:  # the first error tells more than this one
            if status == "finished":
                raise


def remove_run(run: Run) -> None:
    """Removes a run that holds nothing but its settings."""
    for name in ("run.json", "config.yaml", "check.json"):
        (run.folder / name).unlink(missing_ok=True)
    if not any(run.folder.iterdir()):
        run.folder.rmdir()


def rare_labels(summary: dict[str, Any], told: Sequence[str] = ()) -> list[str]:
    """Gives a line that names labels with hardly an example to learn from; none where `told` has said it."""
    if any(f"fewer than {RARE} examples in train" in line for line in told):
        return []
    counts = summary["labels"]["train"]
    rare = sorted((n, name) for name, n in counts.items() if n < RARE)
    if not rare or summary["task"] == "binary":
        return []
    named = ", ".join(f"'{name}' ({n})" for n, name in rare[:5]) + (", ..." if len(rare) > 5 else "")
    return [f"Labels with fewer than {RARE} training examples, perhaps misspelt: {named}."]


def check_first(run: Run, source: Source, config: DataConfig) -> list[str]:
    """Gives the gravest of what is wrong with train and validation, a line each, and writes all of it to check.json.

    Test stays closed; `smallprint check` looks at it too.
    """
    from smallprint.check.command import gravest, look

    report = look(source, config, ("train", "validation"))
    if run.writes:
        write_json(run.folder / "check.json", report.to_dict(texts=False))
    return gravest(report)


def name_of(data: Any) -> str:
    """Gives how data is called in run.json: an absolute path where there is one, else its name."""
    if isinstance(data, (str, Path)):
        return str(Path(data).absolute()) if Path(data).exists() else str(data)
    return type(data).__name__


def with_max_length(config: Config, max_length: int | None) -> Config:
    """Gives the settings with the length that was used; None, where texts are read whole, changes nothing."""
    if max_length is None:
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"max_length": max_length})})


def add_test(summary: dict[str, Any], examples: Examples, names: list[str], extra: Examples | None) -> dict[str, Any]:
    """Gives the summary with the numbers of test, which is read after training and not before."""
    shared = {} if extra is None else {"test_in_extra": count_shared(examples, extra)}
    return {
        **summary,
        "rows": {**summary["rows"], "test": len(examples)},
        "labels": {**summary["labels"], "test": support(examples, names)},
        "duplicates": {**summary["duplicates"], **shared},
        "fingerprints": {**summary["fingerprints"], "test": fingerprint(examples)},
    }


def write_metrics(
    run: Run, fit: FitResult, validation: Metrics, test: Metrics, thresholds: Array, summary: dict[str, Any]
) -> dict[str, Any]:
    """Writes metrics.json and gives what it holds."""
    values = {
        "task": test.task,
        "seed": run.config.training.seed,
        "best_epoch": fit.best_epoch,
        "epochs": len(fit.history),
        "steps": fit.steps,
        "thresholds": [float(value) for value in thresholds],
        "validation": validation.to_dict(),
        "test": test.to_dict(),
        "history": fit.history,
        "data": summary,
    }
    write_json(run.metrics, values)
    return {"validation": validation.values, "test": test.values}


def read_result(run: Run) -> TrainResult:
    """Gives the result of a finished run from its folder, without the place of tracking."""
    saved = json.loads(run.metrics.read_text(encoding="utf-8"))
    validation, test = read_metrics(saved["validation"]), read_metrics(saved["test"])
    places = {"run": run.folder, "bundle": run.bundle, "report": run.report, "metrics_file": run.metrics}
    names = list(saved["data"]["label_names"])
    return TrainResult(
        **places, task=saved["task"], label_names=names, validation=validation, test=test, tracking_uri=None
    )


def write_timings(run: Run, clock: Clock, fit: FitResult, n_train: int, resumed: bool) -> None:
    """Writes timings.json: seconds a step and an epoch (since the resume, if there was one), share of padding, peak memory.

    The total leaves out the baseline, which is no part of the model.
    """
    write_json(
        run.timings,
        {
            **fit.timing,
            "fit_parts": fit.parts,
            "seconds": clock.seconds,
            "seconds_total": round(sum(s for step, s in clock.seconds.items() if step != "baseline"), 3),
            "examples_train": n_train,
            "resumed": resumed,
        },
    )


def versions() -> dict[str, str]:
    """Gives the versions that a result depends on."""
    names = ("torch", "transformers", "pytorch-lightning", "peft", "polars", "mlflow", "numpy", "scikit-learn")
    found = {"python": platform.python_version(), "smallprint": __version__}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def columns_for(config: DataConfig, labels: LabelSet) -> DataConfig:
    """Gives the settings of data that a model which exists shall be compared with: task and positive label are the model's."""
    task = labels.task if config.task == "auto" else config.task
    positive = labels.names[1] if labels.task == "binary" and config.positive is None else config.positive
    return config.model_copy(update={"task": task, "positive": positive})


def read_split(
    source: Source, config: DataConfig, split: str, labels: LabelSet, seed: int, trained_on: str | None
) -> Examples:
    """Gives one split of labelled data for a model that exists.

    Args:
        source: The data.
        config: Its columns.
        split: train, validation or test.
        labels: The model's.
        seed: Of the model's training, to carve again what it carved.
        trained_on: Fingerprint of the model's training split.

    Raises:
        DataError: There is no such split, or it has labels that the model does not know.
    """
    if split not in ("train", "validation", "test"):
        raise ConfigError(f"There is no split '{split}'.", "train, validation or test", "Name one of these.")
    schema = replace(detect_schema(source, config), names=list(labels.names), task=labels.task)
    if source.splits and split in source.splits:
        return to_examples(source.read(split), schema, split, source)
    splits = split_source(source, schema, config, seed)
    ready = schema.split_column is not None
    if ready or fingerprint(splits.train) == trained_on:
        return splits.open_test() if split == "test" else getattr(splits, split)
    if source.splits:
        raise DataError(
            f"The data has no {split} split, and the model was not trained on this data.",
            f"a {split} file among {', '.join(source.splits)}",
            "Name another with --split, or give the file itself.",
        )
    return to_examples(source.read(None), schema, "all", source)


def table(metrics: Metrics) -> list[str]:
    """Gives the metrics as lines of text: all values, then a row per label."""
    lines = [f"{metrics.task}, split '{metrics.split}', {counted(metrics.n_examples, 'example')}"]
    beside = metrics.without_leaked
    if metrics.leaked:
        told = "have a text that the model was trained on" + ("; beside: without them" if beside else "")
        lines.append(f"  {metrics.leaked:,} {told}")
    if beside:
        lines.append(f"  {'':<28}{'all':>8}{'without':>10}")
    for name, value in metrics.values.items():
        shape = ".0f" if name == "labels_without_positives" else ".4f"
        lines.append(
            f"  {name:<28}{value:8{shape}}" + (f"{beside[name]:10{shape}}" if beside and name in beside else "")
        )
    silent = [row.label for row in metrics.per_label if not row.support and not row.predicted]
    if silent and metrics.task == "multiclass":
        lines.append(f"  f1_macro leaves out {counted(len(silent), 'label')} that neither truth nor answers hold")
    lines += [f"  {line}" for line in unseen_labels(metrics)]
    if metrics.split == "all":
        lines.append("  every row was used: honest only if training saw none of them")
    width = max(len("label"), *(len(row.label) for row in metrics.per_label))
    lines.append(f"{'label':<{width}}  support  precision  recall     F1     AP  threshold")
    lines += [
        f"{row.label:<{width}}{row.support:9,}{row.precision:11.3f}{row.recall:8.3f}{row.f1:7.3f}"
        f"{f'{row.average_precision:.3f}' if row.support else '-':>7}{row.threshold:11.3f}"
        for row in metrics.per_label
    ]
    return lines


def unseen_labels(metrics: Metrics) -> list[str]:
    """Gives a line that says which labels draw a multilabel macro F1 down for want of examples, or none."""
    names = [row.label for row in metrics.per_label if not row.support]
    if not names or metrics.task != "multilabel":
        return []
    told = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    where = "the data" if metrics.split == "all" else metrics.split
    return [f"f1_macro counts {counted(len(names), 'label')} without an example in {where} as 0: {told}"]


def tell(result: TrainResult) -> list[str]:
    """Gives the lines that end a training: the score, and where everything is."""
    values = result.test.values
    shown = [f"{name} {values[name]:.3f}" for name in HEADLINES if name in values]
    return [
        f"Test ({result.test.n_examples:,} examples): " + ", ".join(shown),
        *(f"  {line}" for line in unseen_labels(result.test)),
        f"Bundle:   {result.bundle}",
        f"Report:   {result.report}",
        f"Metrics:  {result.metrics_file}",
        f"Tracking: {result.tracking_uri or 'off'}",
    ]


def tell_time(run: Path) -> list[str]:
    """Gives where the seconds of a finished training went: its steps, and the parts of the fit."""
    timings = json.loads((run / "timings.json").read_text(encoding="utf-8"))
    lines = [f"  {name:24} {spent:10.1f} s" for name, spent in timings["seconds"].items()]
    whole = sum(timings["fit_parts"].values())
    if whole:
        lines.append("Of the fit:")
    lines += [f"  {name:24} {s:10.1f} s {100 * s / whole:5.1f}%" for name, s in timings["fit_parts"].items()]
    return [
        "Where the time went:",
        *lines,
        f"Padding {100 * timings.get('padding_share', 0):.1f}% of the training tokens.",
    ]


def read_metrics(values: dict[str, Any]) -> Metrics:
    """Gives the metrics of a split from what metrics.json holds of it."""
    rows = [LabelMetrics(**row) for row in values["per_label"]]
    return Metrics(**{**values, "per_label": rows})
