"""What a trial is judged by. In: data. Out: `Judge`: the validation split, or folds of train and validation. Test stays closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from smallprint.core.config import Config
from smallprint.core.parts import Parts
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import Array
from smallprint.data.examples import Examples, fingerprint
from smallprint.data.extra import add_extra
from smallprint.data.labels import LabelSet
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import Splits, fold_examples, split_source
from smallprint.evaluation.ranking import average_precision_macro
from smallprint.families import build_fit
from smallprint.families.stack import leave_out
from smallprint.training.fit import seed_everything
from smallprint.training.stored import VectorCache
from smallprint.training.tracking import MetricLog

FOLDS = 5


@dataclass(frozen=True)
class Judged:
    """Examples that a model did not learn from: which rows of the pool, targets and scores of each."""

    rows: Array
    targets: Array
    scores: Array


@dataclass(frozen=True)
class Judge:
    """Data that trials share.

    Attributes:
        splits: Train and validation; test stays closed.
        labels: Encodes the labels.
        folds: 1 is validation alone.
        said: What was found, in words.
    """

    splits: Splits
    labels: LabelSet
    folds: int
    said: list[str]

    @property
    def judged_by(self) -> str:
        """What trials are judged by, in words."""
        return "the validation split" if self.folds == 1 else f"{self.folds} folds of train and validation"

    @property
    def pool(self) -> Examples:
        """The examples that models are judged by: validation, or all but test."""
        if self.folds == 1:
            return self.splits.validation
        return Examples("train", pl.concat([self.splits.own_train.frame, self.splits.validation.frame]))

    @property
    def prints(self) -> dict[str, str]:
        """Fingerprints of what is learned from and judged by."""
        return {"train": fingerprint(self.splits.train), "validation": fingerprint(self.splits.validation)}

    def parts(self, seed: int) -> list[tuple[Splits, Array]]:
        """Gives what a model is fitted on and judged by, fold by fold, with the rows of the pool that it is judged by."""
        pool = self.pool
        if self.folds == 1:
            return [(self.splits, np.arange(len(pool)))]
        fold_of = fold_examples(pool, self.labels.names, self.folds, seed, "sweep.folds")
        return [
            (leave_out(pool, fold_of == fold, self.splits.extra), np.flatnonzero(fold_of == fold))
            for fold in range(self.folds)
        ]

    def fit(
        self,
        config: Config,
        folder: Path,
        cache: VectorCache,
        log: Callable[[int], MetricLog],
        say: Say = say_nothing,
        judged: Callable[[int, float], None] = lambda fold, mean: None,
    ) -> tuple[float, list[Judged]]:
        """Fits a model with these settings, once a fold, and gives its mean average precision and the scores behind it.

        Args:
            config: Settings of the model; its seed parts the folds too.
            folder: Of checkpoints.
            cache: What frozen encoders gave before.
            log: Gives what the fit of a fold logs to.
            say: Takes lines for a person.
            judged: Is told each fold's number and the mean so far.
        """
        found, values = [], []
        for fold, (splits, rows) in enumerate(self.parts(config.training.seed)):
            seed_everything(config.training.seed)
            fit = build_fit(splits, self.labels, config, Parts(), folder / str(fold), say, cache)
            scores = fit(log(fold)).validation
            targets = self.labels.encode(splits.validation.labels)
            found.append(Judged(rows, targets, scores))
            values.append(average_precision_macro(targets, scores))
            judged(fold, float(np.mean(values)))
        return float(np.mean(values)), found


def open_judge(data: Any, config: Config) -> Judge:
    """Reads the data and decides what trials are judged by.

    Raises:
        DataError: The data cannot be read or learned from.
    """
    source = open_source(data, config.data.encoding)
    schema = detect_schema(source, config.data)
    splits = split_source(source, schema, config.data, config.training.seed)
    if config.data.extra is not None:
        splits = add_extra(splits, source, schema, config.data.extra, config.data.encoding)
    small = len(splits.own_train) < config.sweep.small
    wanted = config.sweep.folds
    folds = wanted if isinstance(wanted, int) else FOLDS if small else 1
    judge = Judge(splits, LabelSet(schema.task, schema.names), folds, [schema.said, splits.made])
    judge.parts(config.training.seed)  # what cannot be parted ends the sweep here, and not each of its trials
    return judge
