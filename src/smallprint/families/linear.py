"""Fits TF-IDF with a linear SVM, in seconds; validation is scored and not learned from."""

from __future__ import annotations

import time

from smallprint.core.config import Config
from smallprint.core.progress import Say
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.families.fitted import Fit, Fitted, changed, reached, single_result, tell
from smallprint.modeling.linear import fit_linear
from smallprint.training.tracking import MetricLog


def build_linear(splits: Splits, labels: LabelSet, config: Config, say: Say) -> Fit:
    """Gives the function that fits it; see `build_fit`."""
    train, validation = splits.train, splits.validation
    targets, truth = labels.encode(train.labels), labels.encode(validation.labels)
    if idle := changed(config.training, type(config.training)(seed=config.training.seed)):
        say(f"Without effect on TF-IDF: {', '.join(f'training.{name}' for name in idle)}.")

    def fit(tracker: MetricLog) -> Fitted:
        start = time.monotonic()
        scorer = fit_linear(
            train.texts, targets, labels.task, labels.n_outputs, config.training.seed, config.model.tfidf
        )
        seconds = time.monotonic() - start
        scores = scorer.score(validation.texts)
        values = reached(truth, scores, labels.task)
        tracker.log_metrics(values)
        say(f"  {sum(len(part.terms) for part in scorer.terms):,} terms fitted in {seconds:.1f} s  {tell(values)}")
        return Fitted(scorer, single_result(values, seconds), scores)

    return fit
