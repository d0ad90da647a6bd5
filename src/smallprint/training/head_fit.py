"""Fits a head over stored vectors. In: a classifier of `store_vectors`, its data, a loss. Out: the best epoch's head and a `FitResult`.

A head's step takes a few tenths of a millisecond, what Lightning does around it several times as long. So small a training is a plain loop
here, which does what `fit_classifier` does, in the same order, and ends with the same bits. It writes no checkpoint: stopped, it
begins anew. Whatever it is not made for (`is_small`) is Lightning's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as L
import torch
from torch import Tensor, nn

from smallprint.core.config import TrainingConfig
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import FitResult
from smallprint.modeling.classifier import TextClassifier
from smallprint.modeling.dropout import use_byte_dropout
from smallprint.modeling.losses import Loss
from smallprint.training import processes
from smallprint.training.averaging import WeightAverage
from smallprint.training.callbacks import LAST, WORST, EarlyStop, Progress, peak_memory_mb, rank_epoch
from smallprint.training.clock import BACKWARD, FORWARD, LOADING, OPTIMIZER, OTHER, TELLING, VALIDATION, Laps
from smallprint.training.datamodule import TextDataModule
from smallprint.training.module import check_loss, never_a_number, seed_step, step_loss, validation_values
from smallprint.training.optimizer import build_optimizer, build_schedule
from smallprint.training.stored import VectorDataset

MOST_STEPS = 50_000  # of a few tenths of a millisecond: some half a minute, which is what a stop may cost
# weights x examples x epochs, six operations each: as long again, for heads whose steps take longer
MOST_PRODUCTS = 5e10
ONE_THREAD = 100_000  # weights: with fewer, a second thread takes longer to be called than to be done without


def is_small(head: nn.Module, data: TextDataModule, loss: Loss, settings: TrainingConfig, folder: Path) -> bool:
    """Gives whether `fit_head` does what Lightning would: on one processor, a batch a step, soon done, with nothing to resume.

    Args:
        head: Any.
        data: Of stored vectors.
        loss: One with weights of its own is Lightning's to move and to train.
        settings: Of the training.
        folder: Of the checkpoints.
    """
    return (
        processes.world_size() == 1
        and not torch.cuda.is_available()
        and settings.accumulate == 1
        and not settings.adversarial
        and not isinstance(loss, nn.Module)
        and settings.epochs * data.batches_per_epoch <= MOST_STEPS
        and settings.epochs * len(data.train_set) * _n_weights(head) <= MOST_PRODUCTS
        and not (folder / LAST).exists()
    )


def fit_head(
    classifier: TextClassifier,
    data: TextDataModule,
    loss: Loss,
    task: str,
    settings: TrainingConfig,
    *,
    precision: str = "fp32",
    callbacks: list[L.Callback] | None = None,
    say: Say = say_nothing,
) -> FitResult:
    """Fits the head, in place, and leaves it with the best epoch's weights, in evaluation mode.

    Args:
        classifier: As `store_vectors` gives it.
        data: Likewise.
        loss: `loss(logits, targets) -> scalar`.
        task: binary, multiclass or multilabel.
        settings: Of the training.
        precision: bf16 is the loss's alone: heads are fp32.
        callbacks: More, of which the start and end of epochs and the end of batches are called.
        say: Takes lines for a person.

    Raises:
        TrainingError: The loss is no longer a number.
    """
    with _one_thread(classifier.head):
        return _Training(classifier, data, loss, task, settings, precision, callbacks or [], say).run()


class _Training:
    """One training of a head: what its steps share. The callbacks take it for Lightning's trainer, and for its module."""

    accumulate_grad_batches = 1

    def __init__(
        self,
        classifier: TextClassifier,
        data: TextDataModule,
        loss: Loss,
        task: str,
        settings: TrainingConfig,
        precision: str,
        callbacks: list[L.Callback],
        say: Say,
    ) -> None:
        assert isinstance(data.train_set, VectorDataset)
        assert isinstance(data.validation_set, VectorDataset)
        classifier.train()
        use_byte_dropout(classifier)
        self.classifier, self.head, self.data = classifier, classifier.head, data
        self.settings, self.task = settings, task
        self.train, self.validation = data.train_set, data.validation_set
        self.loss = self.train_loss = loss
        if precision == "bf16":  # which reaches no further than the loss: heads are fp32
            self.train_loss = torch.autocast("cpu", dtype=torch.bfloat16)(loss)
        self.weights = {name: weight for name, weight in self.head.named_parameters() if weight.requires_grad}
        self.num_training_batches = data.batches_per_epoch
        optimizer = build_optimizer(classifier.backbone, self.head, settings, settings.head_learning_rate)
        self.optimizers = [optimizer]
        self.schedule = build_schedule(optimizer, settings.epochs * data.batches_per_epoch, settings.warmup_ratio)
        self.average = WeightAverage(settings.averaging)
        self.progress = Progress(say, settings.epochs)
        self.callbacks, self.of_batches = [EarlyStop(settings.patience), self.progress, *callbacks], callbacks
        self.monitor = f"validation/{settings.monitor}"
        self.lightning_module = self
        self.global_step, self.current_epoch, self.should_stop, self.latest_loss = 0, 0, False, 0.0
        self.callback_metrics: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        self.best, self.best_epoch = WORST, -1
        self.best_state: dict[str, Tensor] = {}
        self.laps = Laps()

    def run(self) -> FitResult:
        """Does all epochs; see `fit_head`."""
        this: Any = self
        for callback in self.callbacks:
            callback.on_train_start(this, this)
        for epoch in range(self.settings.epochs):
            self.current_epoch = epoch
            for callback in self.callbacks:
                callback.on_train_epoch_start(this, this)
            self.laps.end(OTHER)
            train_loss = self._train_epoch()
            self._validate(train_loss)
            for callback in self.callbacks:
                callback.on_train_epoch_end(this, this)
            self.laps.end(TELLING)
            if self.should_stop:
                break
        if self.best_epoch < 0:
            raise never_a_number()
        self.head.load_state_dict(self.best_state)
        self.classifier.eval()
        self.laps.end(OTHER)
        epochs = self.progress.seconds_per_epoch
        return FitResult(
            history=self.history,
            best_epoch=self.best_epoch,
            steps=self.global_step,
            stopped_early=len(self.history) < self.settings.epochs,
            timing={
                "seconds_per_epoch": round(sum(epochs) / len(epochs), 3),
                "padding_share": 0.0,
                "peak_memory_mb": peak_memory_mb(),
            },
            parts=self.laps.seconds(),
        )

    def _logits(self, vectors: Tensor) -> Tensor:
        logits: Tensor = self.head(self.classifier.dropout(vectors))
        return logits.float()

    def _train_epoch(self) -> float:
        """Does the steps of an epoch, and gives the mean loss."""
        settings, epoch, laps, (optimizer,) = self.settings, self.current_epoch, self.laps, self.optimizers
        this: Any = self
        total, count, weights = 0.0, 0, list(self.weights.values())
        for number, batch in enumerate(self.data.train_sampler.plan(epoch)):
            index = torch.from_numpy(batch)
            vectors, targets = self.train.vectors[index], self.train.encoded[index]
            laps.end(LOADING)
            seed_step(settings.seed, epoch, number)
            loss = step_loss(partial(self._logits, vectors), targets, self.train_loss, self.task, settings.r_drop)
            self.latest_loss = float(loss.detach())
            check_loss(self.latest_loss, epoch, number)
            total += self.latest_loss * len(batch)
            count += len(batch)
            laps.end(FORWARD)
            for weight in weights:
                weight.grad = None
            torch.autograd.backward(loss)
            laps.end(BACKWARD)
            _clip([weight.grad for weight in weights if weight.grad is not None], settings.gradient_clip)
            optimizer.step()
            self.average.update(self.weights)
            self.schedule.step()
            self.global_step += 1
            laps.end(OPTIMIZER)
            for callback in self.of_batches:
                callback.on_train_batch_end(this, this, None, None, number)
            laps.end(TELLING)
        return total / max(count, 1)

    def _validate(self, train_loss: float) -> None:
        """Scores validation with the averaged weights, in the batches that Lightning would read it in, and keeps the best."""
        sampler: Any = self.data.val_dataloader().batch_sampler
        self.classifier.eval()
        with self.average.inside(self.weights):
            batches = sampler.plan(0)
            with torch.no_grad():
                logits = torch.cat([self._logits(self.validation.vectors[torch.from_numpy(part)]) for part in batches])
            order = np.argsort(np.concatenate(batches), kind="stable")
            targets = self.validation.encoded.numpy()
            values = validation_values(logits[order], targets, self.loss, self.task, self.monitor)
            # epochs are compared by what Lightning would keep of these: single precision
            self.callback_metrics = {name: float(np.float32(value)) for name, value in values.items()}
            self.history.append({"epoch": float(self.current_epoch), "train/loss": train_loss, **values})
            this: Any = self
            if (rank := rank_epoch(this)) > self.best:
                self.best, self.best_epoch = rank, self.current_epoch
                self.best_state = {name: tensor.clone() for name, tensor in self.head.state_dict().items()}
        self.classifier.train()
        self.laps.end(VALIDATION)


def _clip(gradients: list[Tensor], most: float) -> None:
    """Shortens gradients that are together longer than `most`, as `clip_grad_norm_` does in twice the time."""
    length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, torch.clamp(most / (length + 1e-6), max=1.0))


def _n_weights(head: nn.Module) -> int:
    return sum(weight.numel() for weight in head.parameters())


@contextmanager
def _one_thread(head: nn.Module) -> Iterator[None]:
    """Multiplies on one thread where the head is small."""
    threads = torch.get_num_threads()
    small = _n_weights(head) < ONE_THREAD
    try:
        if small:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)


__all__ = ["fit_head", "is_small"]
