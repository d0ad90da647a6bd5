"""What every family gives back: a scorer, how the fit went, and scores of examples that it did not see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.config import Section
from smallprint.core.results import Array, FitResult, ScoredSplit
from smallprint.core.run import HELD_OUT
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.evaluation.parts import Part
from smallprint.evaluation.ranking import average_precision_macro, one_hot
from smallprint.modeling.scorer import Scorer
from smallprint.training.callbacks import peak_memory_mb
from smallprint.training.tracking import MetricLog


@dataclass(frozen=True)
class Fitted:
    """A model that was fitted.

    Attributes:
        scorer: Gives scores of texts.
        result: How the fit went.
        validation: Scores of validation, `[n, n_outputs]`.
        held_out: Scores of train (without extra rows) and then validation, each example by models that did not see it, `[n, n_outputs]`;
            None where validation was not learned from.
        members: What each member of a stack adds, by `held_out`'s examples.
    """

    scorer: Scorer
    result: FitResult
    validation: Array
    held_out: Array | None = None
    members: Sequence[Part] = ()


Fit = Callable[[MetricLog], Fitted]


def score_unseen(fitted: Fitted, splits: Splits, labels: LabelSet) -> tuple[ScoredSplit, ScoredSplit]:
    """Gives scores of examples that the model did not learn from: all there are, to choose thresholds by, and validation's.

    Args:
        fitted: The model.
        splits: What it was fitted on.
        labels: Encodes the labels.
    """
    scored = _scored(splits.validation, labels, fitted.validation)
    if fitted.held_out is None:
        return scored, scored
    own = splits.own_train
    train = _scored(own, labels, fitted.held_out[: len(own)])
    every = ScoredSplit(
        HELD_OUT,
        labels.task,
        labels.names,
        [*train.texts, *scored.texts],
        np.concatenate([train.targets, scored.targets]),
        fitted.held_out,
    )
    return every, scored


def reached(truth: Array, scores: Array, task: str) -> dict[str, float]:
    """Gives a model's validation metrics, by the names that an encoder's training logs them."""
    return {
        "validation/loss": log_loss(truth, scores, task),
        "validation/average_precision": average_precision_macro(truth, scores),
    }


def single_result(values: dict[str, float], seconds: float) -> FitResult:
    """Gives the result of a fit that has no epochs."""
    timing = {"seconds_per_epoch": round(seconds, 3), "padding_share": 0.0, "peak_memory_mb": peak_memory_mb()}
    return FitResult([{"epoch": 0.0, **values}], 0, 0, False, timing)


def log_loss(targets: Array, scores: Array, task: str) -> float:
    """Gives the mean negative log likelihood: over texts for multiclass, else over texts and outputs."""
    truth = one_hot(targets, scores.shape[1]).astype(bool)
    sure = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    if task == "multiclass":
        return float(-np.log(sure[truth]).mean())
    return float(-np.log(np.where(truth, sure, 1 - sure)).mean())


def tell(values: dict[str, float]) -> str:
    """Gives the metrics as the end of a line."""
    loss, precision = values["validation/loss"], values["validation/average_precision"]
    return f"validation loss {loss:.4f}, average precision {precision:.3f}"


def _scored(examples: Examples, labels: LabelSet, scores: Array) -> ScoredSplit:
    targets, texts = labels.encode(examples.labels), examples.texts
    return ScoredSplit(examples.split, labels.task, labels.names, texts, targets, scores)


def changed(section: Section, other: Section, names: Iterable[str] | None = None) -> list[str]:
    """Gives the names of settings that differ between two sections of a kind, among `names` or all."""
    return [name for name in names or type(section).model_fields if getattr(section, name) != getattr(other, name)]
