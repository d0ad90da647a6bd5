"""Fits a head over stored vectors. In: a classifier of `store_vectors`, its data, a loss. Out: the best epoch's head and a `FitResult`.

A head's step takes a few tenths of a millisecond, what Lightning does around it several times as long. So small a training is a plain loop
here, which does what `fit_classifier` does, in the same order, and ends with the same bits. It writes no checkpoint: stopped, it
begins anew. Whatever it is not made for (`is_small`) is Lightning's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytorch_lightning as L
import torch
from torch import Tensor, nn

from smallprint.core.config import TrainingConfig
from smallprint.core.errors import TrainingError
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import FitResult
from smallprint.modeling.classifier import TextClassifier
from smallprint.modeling.dropout import use_byte_dropout
from smallprint.modeling.losses import Loss
from smallprint.training import processes
from smallprint.training.averaging import WeightAverage
from smallprint.training.callbacks import LAST, EarlyStop, Progress, peak_memory_mb, rank_epoch
from smallprint.training.clock import BACKWARD, FORWARD, LOADING, OPTIMIZER, OTHER, TELLING, VALIDATION, Laps
from smallprint.training.datamodule import TextDataModule
from smallprint.training.module import check_loss, seed_step, step_loss, validation_values
from smallprint.training.optimizer import build_optimizer, build_schedule
from smallprint.training.stored import VectorDataset

MOST_STEPS = 50_000  # half a minute: what a stop may cost


def is_small(data: TextDataModule, loss: Loss, settings: TrainingConfig, folder: Path) -> bool:
    """Gives whether `fit_head` does what Lightning would: on one processor, a batch a step, with nothing to resume.

    Args:
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
    train, head = data.train_set, classifier.head
    assert isinstance(train, VectorDataset)
    classifier.train()
    use_byte_dropout(classifier)
    weights = {name: weight for name, weight in head.named_parameters() if weight.requires_grad}
    steps = settings.epochs * data.batches_per_epoch
    optimizer = build_optimizer(classifier.backbone, head, settings, settings.head_learning_rate)
    schedule, average = build_schedule(optimizer, steps, settings.warmup_ratio), WeightAverage(settings.averaging)
    early_stop, progress, laps = EarlyStop(settings.patience), Progress(say, settings.epochs), Laps()
    listeners = [early_stop, progress, *(callbacks or [])]
    # what callbacks ask of Lightning's trainer and module
    run: Any = SimpleNamespace(
        current_epoch=0,
        global_step=0,
        should_stop=False,
        latest_loss=0.0,
        callback_metrics={},
        optimizers=[optimizer],
        accumulate_grad_batches=1,
        num_training_batches=data.batches_per_epoch,
        lightning_module=SimpleNamespace(monitor=f"validation/{settings.monitor}"),
    )
    # bf16 reaches no further than the loss: heads are fp32, and what is elementwise stays as it is
    trained_loss = torch.autocast("cpu", dtype=torch.bfloat16)(loss) if precision == "bf16" else loss
    history: list[dict[str, float]] = []
    best, best_epoch, best_state = (float("-inf"), float("-inf")), -1, {}

    def logits_of(vectors: Tensor) -> Tensor:
        logits: Tensor = head(classifier.dropout(vectors))
        return logits.float()

    for listener in listeners:
        listener.on_train_start(run, run)
    for epoch in range(settings.epochs):
        run.current_epoch, loss_sum, count = epoch, 0.0, 0
        for listener in listeners:
            listener.on_train_epoch_start(run, run)
        laps.end(OTHER)
        for number, batch in enumerate(data.train_sampler.plan(epoch)):
            index = torch.from_numpy(batch)
            vectors, targets = train.vectors[index], train.encoded[index]
            laps.end(LOADING)
            seed_step(settings.seed, epoch, number)
            value = step_loss(partial(logits_of, vectors), targets, trained_loss, task, settings.r_drop)
            run.latest_loss = float(value.detach())
            check_loss(run.latest_loss, epoch, number)
            loss_sum += run.latest_loss * len(batch)
            count += len(batch)
            laps.end(FORWARD)
            optimizer.zero_grad()
            value.backward()
            laps.end(BACKWARD)
            nn.utils.clip_grad_norm_(weights.values(), settings.gradient_clip)
            optimizer.step()
            average.update(weights)
            schedule.step()
            run.global_step += 1
            laps.end(OPTIMIZER)
            for listener in listeners[2:]:
                listener.on_train_batch_end(run, run, None, None, number)
            laps.end(TELLING)
        classifier.eval()
        with average.inside(weights):
            values = _validate(logits_of, data, loss, task, run.lightning_module.monitor)
            # as Lightning keeps them, for epochs are compared by these
            run.callback_metrics = {name: float(np.float32(value)) for name, value in values.items()}
            history.append({"epoch": float(epoch), "train/loss": loss_sum / max(count, 1), **values})
            if (rank := rank_epoch(run)) > best:
                best, best_epoch = rank, epoch
                best_state = {name: tensor.clone() for name, tensor in head.state_dict().items()}
        classifier.train()
        laps.end(VALIDATION)
        for listener in listeners:
            listener.on_train_epoch_end(run, run)
        laps.end(TELLING)
        if run.should_stop:
            break
    if best_epoch < 0:
        raise TrainingError(
            "The validation score was never a number.", "finite losses", "Lower training.learning_rate."
        )
    head.load_state_dict(best_state)
    classifier.eval()
    laps.end(OTHER)
    epochs = progress.seconds_per_epoch
    timing = {"seconds_per_epoch": round(sum(epochs) / len(epochs), 3), "padding_share": 0.0}
    return FitResult(
        history=history,
        best_epoch=best_epoch,
        steps=run.global_step,
        stopped_early=len(history) < settings.epochs,
        timing={**timing, "peak_memory_mb": peak_memory_mb()},
        parts=laps.seconds(),
    )


def _validate(
    logits_of: Callable[[Tensor], Tensor], data: TextDataModule, loss: Loss, task: str, monitor: str
) -> dict[str, float]:
    """Gives loss and scores of validation, read in the batches that Lightning would read it in."""
    validation = data.validation_set
    assert isinstance(validation, VectorDataset)
    sampler: Any = data.val_dataloader().batch_sampler
    with torch.no_grad():
        logits = torch.cat([logits_of(validation.vectors[torch.as_tensor(batch)]) for batch in sampler])
    order = np.argsort(np.concatenate(sampler.plan(0)), kind="stable")
    return validation_values(logits[order], validation.encoded.numpy(), loss, task, monitor)


__all__ = ["fit_head", "is_small"]
