"""What a model is held against: TF-IDF with a linear SVM on the same splits. In: splits and test. Out: its test scores.

It costs seconds, so it is fitted beside every other model; where it would cost minutes it is left out, and the run says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from smallprint.core.config import Config
from smallprint.core.progress import Say
from smallprint.core.results import Array, ScoredSplit
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.evaluation.earned import choose_thresholds
from smallprint.modeling.linear import fit_linear

BASELINE = "baseline"
MOST_CELLS = 250_000  # training texts times labels: some minutes on one core lie beyond


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline's scores of test, and its thresholds, `[n_outputs]`, chosen on validation."""

    scored: ScoredSplit
    thresholds: Array


def fit_baseline(splits: Splits, labels: LabelSet, config: Config, test: Examples, say: Say) -> Baseline | None:
    """Gives the baseline; None where the model is linear itself, the settings want none, or it would take long.

    Args:
        splits: That the model was fitted on.
        labels: Encodes the labels.
        config: Of the run.
        test: Opened already.
        say: Takes lines for a person.
    """
    if config.evaluation.baseline == "none" or config.model.family == "linear":
        return None
    if len(splits.train) * labels.n_outputs > MOST_CELLS:
        say(
            "The linear baseline is left out: with so many texts and labels it takes minutes (--backbone tfidf trains it)."
        )
        return None
    train, validation = splits.train, splits.validation
    targets = labels.encode(train.labels)
    scorer = fit_linear(train.texts, targets, labels.task, labels.n_outputs, config.training.seed)
    truth = labels.encode(validation.labels)
    thresholds = choose_thresholds(
        truth, scorer.score(validation.texts), labels.task, config.evaluation.threshold, validation.groups
    )
    scores = scorer.score(test.texts)
    scored = ScoredSplit(BASELINE, labels.task, labels.names, test.texts, labels.encode(test.labels), scores)
    return Baseline(scored, thresholds)


__all__ = ["BASELINE", "Baseline", "fit_baseline"]
