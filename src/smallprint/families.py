"""The two families of models: an encoder with a head, and TF-IDF with a linear SVM (`model.backbone=tfidf`).

In: train and validation examples, settings, own parts. Out: a function that fits them and gives a `Scorer` and how the
fit went. Building and fitting are two steps: what cannot be built fails before a run is tracked. Test is not seen here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from smallprint.core.config import Config, ModelConfig, Section
from smallprint.core.errors import ConfigError
from smallprint.core.parts import Parts
from smallprint.core.progress import Say
from smallprint.core.results import Array, FitResult
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.evaluation.ranking import average_precision_macro, one_hot
from smallprint.modeling.backbone import length_limit, load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.int8 import round_weights
from smallprint.modeling.linear import fit_linear
from smallprint.modeling.losses import balanced_weights, build_loss
from smallprint.modeling.scorer import Scorer
from smallprint.training.callbacks import peak_memory_mb
from smallprint.training.datamodule import build_datamodule
from smallprint.training.fit import fit_classifier
from smallprint.training.tracking import Tracker, TrackerCallback
from smallprint.training.vectors import store_vectors

Fit = Callable[[Tracker], tuple[Scorer, FitResult]]


def check_family(config: Config, parts: Parts) -> None:
    """Refuses settings and parts that the family has no use for.

    Raises:
        ConfigError: TF-IDF together with anything of an encoder's; each is named.
    """
    if config.model.family != "linear":
        return
    odd = [f"model.{name}" for name in _changed(config.model, ModelConfig(backbone=config.model.backbone))]
    odd += [
        f"Parts({name}=...)" for name in ("tokenizer", "backbone", "head", "loss") if getattr(parts, name) is not None
    ]
    if odd:
        raise ConfigError(
            f"{', '.join(odd)} cannot go with model.backbone=tfidf.",
            "no other setting or part of a model: TF-IDF with a linear SVM has no encoder, head or loss to choose",
            "Leave them out, or choose an encoder such as minilm.",
        )


def build_fit(splits: Splits, labels: LabelSet, config: Config, parts: Parts, folder: Path, say: Say) -> Fit:
    """Gives the function that fits a model of the family that the settings name, with all that it needs loaded.

    Args:
        splits: Train to learn from, validation to choose by.
        labels: Encodes the labels.
        config: Settings.
        parts: Own tokenizer, backbone, head or loss of an encoder.
        folder: Of the checkpoints. TF-IDF has none: it is fitted anew after a stop.
        say: Takes lines for a person.

    Raises:
        TrainingError: The backbone cannot be loaded.
        ConfigError: A part cannot be found.
    """
    if config.model.family == "linear":
        return _build_linear(splits, labels, config, say)
    return _build_encoder(splits, labels, config, parts, folder, say)


def _build_encoder(splits: Splits, labels: LabelSet, config: Config, parts: Parts, folder: Path, say: Say) -> Fit:
    targets = labels.encode(splits.train.labels)
    tokenizer = parts.tokenizer or load_tokenizer(config.model.backbone, config.model.revision)
    classifier = build_classifier(config.model, labels.n_outputs, _base_rates(targets, labels), labels.task, parts)
    max_length = min(config.model.max_length, length_limit(classifier.backbone) or config.model.max_length)
    module = build_datamodule(splits.train, splits.validation, labels, tokenizer, max_length, config.training, say)
    balanced = config.model.class_weights == "balanced"
    weights = balanced_weights(targets, labels.task, labels.n_outputs) if balanced else None
    loss = build_loss(parts.loss or config.model.loss, labels.task, weights)

    def fit(tracker: Tracker) -> tuple[Scorer, FitResult]:
        tracked = TrackerCallback(tracker)
        frozen = config.model.adapter == "frozen"
        trained, data = store_vectors(classifier, module) if frozen else (classifier, module)
        result = fit_classifier(trained, data, loss, labels.task, config, folder, callbacks=[tracked], say=say)
        if config.model.weights == "int8":  # before anything is tuned or measured
            round_weights(classifier)
        scorer = EncoderScorer(classifier, tokenizer, labels.task, labels.n_outputs, max_length=max_length)
        return scorer, result

    return fit


def _build_linear(splits: Splits, labels: LabelSet, config: Config, say: Say) -> Fit:
    train, validation = splits.train, splits.validation
    targets, truth = labels.encode(train.labels), labels.encode(validation.labels)
    default = type(config.training)(seed=config.training.seed)
    if idle := _changed(config.training, default):
        say(f"Without effect on TF-IDF: {', '.join(f'training.{name}' for name in idle)}.")

    def fit(tracker: Tracker) -> tuple[Scorer, FitResult]:
        start = time.monotonic()
        scorer = fit_linear(train.texts, targets, labels.task, labels.n_outputs, config.training.seed)
        seconds = time.monotonic() - start
        scores = scorer.score(validation.texts)
        reached = {
            "validation/loss": _log_loss(truth, scores, labels.task),
            "validation/average_precision": average_precision_macro(truth, scores),
        }
        tracker.log_metrics(reached)
        say(
            f"  {sum(len(part.terms) for part in scorer.terms):,} terms fitted in {seconds:.1f} s  "
            f"validation loss {reached['validation/loss']:.4f}, "
            f"average precision {reached['validation/average_precision']:.3f}"
        )
        timing = {
            "seconds_per_epoch": round(seconds, 3),
            "padding_share": 0.0,
            "peak_memory_mb": peak_memory_mb(),
        }
        return scorer, FitResult([{"epoch": 0.0, **reached}], 0, 0, False, timing)

    return fit


def _changed(section: Section, other: Section) -> list[str]:
    """Gives the names of settings that differ between two sections of a kind."""
    return [name for name in type(section).model_fields if getattr(section, name) != getattr(other, name)]


def _base_rates(targets: Array, labels: LabelSet) -> Array:
    if labels.task == "multiclass":
        return np.bincount(targets, minlength=labels.n_outputs) / len(targets)
    rates: Array = targets.astype(np.float64).mean(axis=0)
    return rates


def _log_loss(targets: Array, scores: Array, task: str) -> float:
    """Gives the mean negative log likelihood: over texts for multiclass, else over texts and outputs."""
    truth = one_hot(targets, scores.shape[1]).astype(bool)
    sure = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    if task == "multiclass":
        return float(-np.log(sure[truth]).mean())
    return float(-np.log(np.where(truth, sure, 1 - sure)).mean())


__all__ = ["Fit", "build_fit", "check_family"]
