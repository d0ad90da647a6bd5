"""Fits a static model: seconds for the planes, a minute for what an encoder knows of words; validation is scored and not learned from."""

from __future__ import annotations

import time
from functools import partial

from smallprint.core.config import Config
from smallprint.core.progress import Say
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.families.fitted import Fit, Fitted, changed, reached, single_result, tell
from smallprint.modeling.static_fit import fit_static
from smallprint.training.tracking import MetricLog

NO_ENCODER = "none"


def build_static(splits: Splits, labels: LabelSet, config: Config, say: Say) -> Fit:
    """Gives the function that fits it; see `build_fit`."""
    train, validation, settings = splits.train, splits.validation, config.model.static
    targets, truth = labels.encode(train.labels), labels.encode(validation.labels)
    if idle := changed(config.training, type(config.training)(seed=config.training.seed)):
        say(f"Without effect on a static model: {', '.join(f'training.{name}' for name in idle)}.")
    vectors_of = None
    if settings.encoder != NO_ENCODER:
        from smallprint.modeling.word_vectors import vectors_with

        vectors_of = partial(vectors_with, settings.encoder, config.model.revision)

    def fit(tracker: MetricLog) -> Fitted:
        start = time.monotonic()
        if vectors_of is not None:
            say(f"Reading the words of {settings.encoder}'s vocabulary, each once.")
        scorer = fit_static(
            train.texts, targets, labels.task, labels.n_outputs, config.training.seed, settings, vectors_of
        )
        seconds = time.monotonic() - start
        scores = scorer.score(validation.texts)
        values = reached(truth, scores, labels.task)
        tracker.log_metrics(values)
        size = f"{len(scorer.tables.words):,} words and {len(scorer.tables.pairs):,} pairs"
        say(f"  {size} fitted in {seconds:.1f} s  {tell(values)}")
        return Fitted(scorer, single_result(values, seconds), scores)

    return fit
