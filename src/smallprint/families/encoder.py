"""Fits an encoder: all of it, its upper layers, adapters inside it, or a head on what it gives while frozen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pytorch_lightning import Callback
from torch import Tensor

from smallprint.core.config import SVM, Config
from smallprint.core.errors import ConfigError
from smallprint.core.kept import Kept
from smallprint.core.parts import Parts
from smallprint.core.progress import Say
from smallprint.core.results import Array
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.families.fitted import Fit, Fitted, changed, reached, single_result, tell
from smallprint.families.teacher import soften
from smallprint.modeling.backbone import length_limit, load_tokenizer, use_gradient_checkpointing
from smallprint.modeling.classifier import TextClassifier, build_classifier
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.int8 import round_weights
from smallprint.modeling.kernel_head import check_size, fit_kernel_head
from smallprint.modeling.losses import balanced_weights, build_loss
from smallprint.modeling.tokenizer import Tokens, check_tokenizer
from smallprint.training.batch_size import fit_batches, free_gpu_bytes
from smallprint.training.datamodule import TextDataModule, TokenDataset, build_datamodule
from smallprint.training.fit import choose_precision, fit_classifier
from smallprint.training.head_fit import fit_head, is_small
from smallprint.training.stored import VectorCache, read_vectors, store_hidden, store_vectors
from smallprint.training.tracking import MetricLog, TrackerCallback


def build_encoder(
    splits: Splits, labels: LabelSet, config: Config, parts: Parts, folder: Path, say: Say, cache: VectorCache
) -> Fit:
    """Gives the function that fits it, with backbone and tokenizer loaded; see `build_fit`."""
    targets, model = labels.encode(splits.train.labels), config.model
    tokenizer = parts.tokenizer or load_tokenizer(model.backbone, model.revision)
    classifier = build_classifier(model, labels.n_outputs, _base_rates(targets, labels), labels.task, parts)
    check_tokenizer(tokenizer, classifier.backbone)
    if config.training.gradient_checkpointing:
        use_gradient_checkpointing(classifier.backbone)
    if config.training.monitor == "lexglue_f1_micro" and labels.task != "multilabel":
        raise ConfigError(
            f"training.monitor=lexglue_f1_micro cannot go with a {labels.task} task.",
            "a multilabel task, which that measure is for",
            "Leave it out.",
        )
    if model.weights == "int8" and model.adapter == "frozen":
        round_weights(classifier.backbone)  # the head shall learn from the vectors that it will get
    max_length = min(model.max_length, length_limit(classifier.backbone) or model.max_length)
    kept = Kept(config.training.cache_mb)
    module = build_datamodule(
        splits.train, splits.validation, labels, tokenizer, max_length, config.training, say, kept
    )

    if config.training.batch_tokens == "auto" and (free := free_gpu_bytes()) is not None:
        config, module = fit_batches(config, module, classifier, labels.task, folder, free, say)
    if config.training.teacher is not None:
        module.train_set.targets = soften(module.train_set.targets, splits, labels, config.training, say)

    def scorer_of() -> EncoderScorer:
        windows = model.long_text == "windows"
        return EncoderScorer(
            classifier, tokenizer, labels.task, labels.n_outputs, max_length=max_length, windows=windows
        )

    unnamed = parts.backbone is not None or parts.tokenizer is not None  # own objects have no name to be remembered by

    def vectors_of(dataset: TokenDataset) -> Tensor:
        name = f"{model.backbone} {model.revision} {model.pooling} {model.weights}"
        if unnamed:
            return read_vectors(classifier, dataset, module)
        return cache.read(name, classifier, dataset, module, kept)

    if model.head == SVM and parts.head is None:
        return _build_kernel(splits, labels, config, classifier, module, scorer_of, vectors_of, cache, say)
    if model.adapter == "frozen" and model.head == "linear" and parts.head is None:
        say("A linear head over a frozen encoder learns little: --set model.head=svm learns far more.")
    balanced = model.class_weights == "balanced"
    weights = balanced_weights(targets, labels.task, labels.n_outputs) if balanced else None
    loss = build_loss(parts.loss or model.loss, labels.task, weights)
    own_loss = parts.loss is not None or ":" in model.loss  # ours are fp32 whatever is around them

    def fit(tracker: MetricLog) -> Fitted:
        trained, data, settings = classifier, module, config.training
        precision = choose_precision(settings.precision, classifier.backbone)
        if model.adapter == "frozen":
            trained, data = store_vectors(classifier, module, vectors_of)
        elif model.train_layers is not None:
            name = f"{model.backbone} {model.revision} {model.train_layers} {precision}"
            known = None if unnamed else cache.hidden(name)
            trained, data = store_hidden(classifier, module, model.train_layers, precision, known, say)
        tracked: list[Callback] = [TrackerCallback(tracker)]
        if model.adapter == "frozen" and is_small(trained.head, data, loss, settings, folder):
            result = fit_head(
                *(trained, data, loss, labels.task, settings),
                precision=precision if own_loss else "fp32",
                callbacks=tracked,
                say=say,
            )
        else:
            result = fit_classifier(trained, data, loss, labels.task, config, folder, callbacks=tracked, say=say)
        if model.weights == "int8":  # before anything is tuned or measured
            round_weights(classifier)
        scorer = scorer_of()
        if model.adapter == "frozen" and cache.scoring:
            return Fitted(scorer, result, _score_stored(scorer, splits, module, vectors_of))
        return Fitted(scorer, result, _score_tokens(scorer, splits, module))

    return fit


def _build_kernel(
    splits: Splits,
    labels: LabelSet,
    config: Config,
    classifier: TextClassifier,
    module: TextDataModule,
    scorer_of: Callable[[], EncoderScorer],
    vectors_of: Callable[[TokenDataset], Tensor],
    cache: VectorCache,
    say: Say,
) -> Fit:
    seed, kind = config.training.seed, type(config.training)
    unused = [name for name in kind.model_fields if name not in ("seed", "batch_tokens", "batch_size", "cache_mb")]
    if idle := changed(config.training, kind(), unused):
        say(f"Without effect on the head 'svm': {', '.join(f'training.{name}' for name in idle)}.")

    check_size(len(module.train_set))

    def fit(tracker: MetricLog) -> Fitted:
        start, train, validation = time.monotonic(), module.train_set, module.validation_set
        blocks = len(classifier.layers or [0])
        vectors = vectors_of(train)
        classifier.head = head = fit_kernel_head(
            vectors,
            train.targets,
            labels.task,
            labels.n_outputs,
            blocks,
            seed,
            config.model.svm,
            distances=cache.distances(vectors, blocks),
            by_order=cache.by_order,
        )
        seconds, scorer = time.monotonic() - start, scorer_of()
        scores = _score_stored(scorer, splits, module, vectors_of)
        values = reached(validation.targets, scores, labels.task)
        said = tell(values)
        if cache.by_order:  # the loss of scores that were not made shares says nothing
            values = {name: value for name, value in values.items() if name != "validation/loss"}
        tracker.log_metrics(values)
        say(f"  {len(head.support):,} support vectors found in {seconds:.1f} s  {said}")
        return Fitted(scorer, single_result(values, seconds), scores)

    return fit


def _score_tokens(scorer: EncoderScorer, splits: Splits, module: TextDataModule) -> Array:
    """Gives validation's scores without tokenizing it again, unless texts are read in windows, and some are long."""
    validation = module.validation_set
    if scorer.windows and bool((validation.lengths >= scorer.max_length).any()):
        return scorer.score(splits.validation.texts)
    return scorer.score_tokens(Tokens(list(validation.ids), 0))


def _score_stored(
    scorer: EncoderScorer, splits: Splits, module: TextDataModule, vectors_of: Callable[[TokenDataset], Tensor]
) -> Array:
    """Gives validation's scores from stored vectors; where texts are read in windows, and some are long, by reading them."""
    validation = module.validation_set
    if scorer.windows and bool((validation.lengths >= scorer.max_length).any()):
        return scorer.score(splits.validation.texts)
    return scorer.score_vectors(vectors_of(validation))


def _base_rates(targets: Array, labels: LabelSet) -> Array:
    if labels.task == "multiclass":
        return np.bincount(targets, minlength=labels.n_outputs) / len(targets)
    rates: Array = targets.astype(np.float64).mean(axis=0)
    return rates
