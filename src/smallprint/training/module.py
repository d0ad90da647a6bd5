"""The `LightningModule`: a classifier, a loss and the settings of its optimizer. It reads no file and knows no texts.

It works alone under a plain `L.Trainer`, with `TextDataModule` or any loader that gives the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as L
import torch
from torch import Tensor

from smallprint.core.config import TrainingConfig
from smallprint.core.errors import TrainingError
from smallprint.core.results import Array
from smallprint.evaluation.lexglue import lexglue_f1
from smallprint.evaluation.metrics import average_precision_macro
from smallprint.modeling.classifier import TextClassifier
from smallprint.modeling.losses import Loss
from smallprint.training import processes
from smallprint.training.averaging import WeightAverage
from smallprint.training.optimizer import build_optimizer, build_schedule, default_learning_rate
from smallprint.training.regularisation import disagreement, moved, word_vectors

LOG_EVERY = 10  # batches
MONITOR = "validation/average_precision"
LEXGLUE = "validation/lexglue_f1_micro"


class ClassifierModule(L.LightningModule):
    """Trains a `TextClassifier`.

    Args:
        classifier: What is trained.
        loss: `loss(logits, targets) -> scalar`.
        task: binary, multiclass or multilabel.
        config: Learning rates, decay, warm-up, seed.
        steps: Optimizer steps of the whole training; the schedule ends there.
        adapter: full, lora or frozen: chooses the learning rate where the settings name none.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        loss: Loss,
        task: str,
        config: TrainingConfig,
        steps: int,
        adapter: str = "full",
    ) -> None:
        super().__init__()
        self.classifier, self.loss, self.task, self.config, self.steps = classifier, loss, task, config, steps
        self.adapter, self.monitor = adapter, f"validation/{config.monitor}"
        self.strict_loading = False
        self.history: list[dict[str, float]] = []
        self._loss_sum, self._loss_count = 0.0, 0
        self.latest_loss = 0.0
        self._validation: list[tuple[Array, Array, Array]] = []
        self._words = word_vectors(classifier.backbone) if config.adversarial else None
        self._average = WeightAverage(config.averaging)
        self._inside: AbstractContextManager[None] = nullcontext()
        self._weights: dict[str, Tensor] | None = None

    def configure_optimizers(self) -> Any:
        """Gives AdamW and its schedule, one step per batch."""
        backbone, head = self.classifier.backbone, self.classifier.head
        rate = self.config.learning_rate or default_learning_rate(backbone, self.adapter, self.task)
        optimizer = build_optimizer(backbone, head, self.config, rate)
        schedule = build_schedule(optimizer, self.steps, self.config.warmup_ratio)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Gives logits `[n, n_outputs]`."""
        logits: Tensor = self.classifier(input_ids, attention_mask)
        return logits

    def _logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = self(batch["input_ids"], batch["attention_mask"])
        return logits.float()

    def on_train_start(self) -> None:
        """Looks up the weights that are trained, once: walking the modules at each step costs more than the step's own Python."""
        self._weights = self._trained()

    def on_train_epoch_start(self) -> None:
        """Begins a new mean of the loss."""
        self._loss_sum, self._loss_count = 0.0, 0

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Seeds by epoch and batch, so that dropout is the same after a resume, and another in each process."""
        seed_step(self.config.seed, self.current_epoch, batch_idx)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: Any = None, gradient_clip_algorithm: Any = None
    ) -> None:
        """Clips the norm; Lightning's own refuses fused optimizers although bf16 scales nothing."""
        if gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(list(self._trained().values()), float(gradient_clip_val))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Gives the loss of a batch.

        Raises:
            TrainingError: It is not a number.
        """
        targets = batch["targets"]
        loss = step_loss(lambda: self._logits(batch), targets, self.loss, self.task, self.config.r_drop)
        # the mean of gradients over processes and accumulated batches becomes that of all their examples
        share = (
            batch["share"] * processes.world_size() * self.trainer.accumulate_grad_batches if "share" in batch else 1.0
        )
        n = int((batch["index"] >= 0).sum())
        value = float(loss.detach())
        check_loss(value, self.current_epoch, batch_idx)
        self._loss_sum += value * n
        self._loss_count += n
        self.latest_loss = value
        if batch_idx % LOG_EVERY == 0:  # what Lightning does to log a number costs as much as a small head's step
            self.log("train/loss", loss.detach(), prog_bar=True, batch_size=n)
        if self._words is not None:
            with moved(self._words, loss, self.config.adversarial):
                loss = loss + self.loss(self._logits(batch), targets)
        return loss * share

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Steps, and takes the new weights into their average, before any callback may write a checkpoint."""
        super().optimizer_step(*args, **kwargs)
        self._average.update(self._trained())

    def on_validation_start(self) -> None:
        """Puts the averaged weights in: they are what is judged and kept."""
        self._inside = self._average.inside(self._trained())
        self._inside.__enter__()

    def on_validation_end(self) -> None:
        """Puts the weights that are trained on back."""
        self._inside.__exit__(None, None, None)

    def on_train_end(self) -> None:
        """Leaves the averaged weights in the model: those that were judged."""
        self._average.keep_in(self._trained())
        self._weights = None

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Keeps the logits of a batch; metrics are computed once over the whole split."""
        logits = self._logits(batch)
        self._validation.append((batch["index"].cpu().numpy(), logits.cpu().numpy(), batch["targets"].cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        """Computes the validation metrics and adds a row to `history`."""
        if not self._validation:
            return
        index, all_logits, all_targets = (np.concatenate(parts) for parts in zip(*self._validation, strict=True))
        self._validation.clear()
        index, all_logits, all_targets = _gather(index, all_logits, all_targets)
        order = np.argsort(index, kind="stable")
        logits, targets = torch.from_numpy(all_logits[order]), all_targets[order]
        values = validation_values(logits, targets, self.loss, self.task, self.monitor)
        self.log_dict(values, prog_bar=True)
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            loss_sum, count = processes.add_up(torch.tensor([self._loss_sum, self._loss_count], dtype=torch.float64))
            train_loss = float(loss_sum) / max(float(count), 1)
            self.history.append({"epoch": float(self.current_epoch), "train/loss": train_loss, **values})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the curve, and leaves out weights that never change; without an optimizer to resume, the average is saved."""
        checkpoint["smallprint"] = {"history": self.history, "loss": [self._loss_sum, self._loss_count]}
        if "optimizer_states" in checkpoint:
            average = self._average
            checkpoint["smallprint"]["average"] = {"steps": average.steps, "values": average.values}
            checkpoint["state_dict"] = self._kept()
        else:
            with self._average.inside(self._trained()):  # inside, so that weights of two names are averaged under both
                checkpoint["state_dict"] = {name: tensor.clone() for name, tensor in self._kept().items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the curve back.

        Raises:
            TrainingError: The checkpoint is of another model.
        """
        self.check_fits(checkpoint["state_dict"], "to resume from")
        kept = checkpoint["smallprint"]
        self.history = [dict(row) for row in kept["history"]]
        self._loss_sum, self._loss_count = kept["loss"]
        if "average" not in kept:
            raise TrainingError(
                "The checkpoint to resume from has no average of weights: an older smallprint wrote it.",
                "a checkpoint of this version",
                "Train anew.",
            )
        self._average.steps, self._average.values = kept["average"]["steps"], dict(kept["average"]["values"])

    def check_fits(self, weights: Mapping[str, Tensor], place: str | Path) -> None:
        """Checks that saved weights are exactly those that this module trains, by name and shape.

        Raises:
            TrainingError: They are not.
        """
        ours, theirs = ({k: tuple(v.shape) for k, v in part.items()} for part in (self._kept(), weights))
        odd = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
        if odd:
            raise TrainingError(
                f"The checkpoint {place} does not fit this model: {len(odd)} weights differ, first {odd[0]}.",
                "a checkpoint of this run, with unchanged settings",
                "Resume with the settings that the run began with, or train anew.",
            )

    def _trained(self) -> dict[str, Tensor]:
        """Gives the weights that the optimizer moves, by name; within a training they are looked up once."""
        if self._weights is not None:
            return self._weights
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def _kept(self) -> dict[str, Tensor]:
        """Gives what a checkpoint holds: trained weights and buffers."""
        fixed = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        return {name: tensor for name, tensor in self.state_dict().items() if name not in fixed}


def seed_step(seed: int, epoch: int, batch: int) -> None:
    """Seeds by epoch and batch, and in each process otherwise."""
    own = [processes.rank()] if processes.rank() else []
    state = int(np.random.SeedSequence([seed, epoch, batch, *own]).generate_state(1)[0])
    # not torch.manual_seed: where there is no GPU it keeps a stack trace of every call for the day that there is one
    torch.default_generator.manual_seed(state)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(state)


def step_loss(logits_of: Callable[[], Tensor], targets: Tensor, loss: Loss, task: str, r_drop: float) -> Tensor:
    """Gives the loss of a batch; with `r_drop`, that of two passes and how far they are apart."""
    logits = logits_of()
    value = loss(logits, targets)
    if not r_drop:
        return value
    again = logits_of()
    return (value + loss(again, targets)) / 2 + r_drop * disagreement(logits, again, task)


def check_loss(value: float, epoch: int, batch: int) -> None:
    """Checks that a loss is a number.

    Raises:
        TrainingError: It is not.
    """
    if not math.isfinite(value):
        raise TrainingError(
            f"The loss is {value} at epoch {epoch + 1}, batch {batch + 1}.",
            "a finite loss",
            "Lower training.learning_rate, or take training.precision=fp32.",
        )


def never_a_number() -> TrainingError:
    """Gives the error of a training whose validation score never was a number."""
    return TrainingError("The validation score was never a number.", "finite losses", "Lower training.learning_rate.")


def validation_values(logits: Tensor, targets: Array, loss: Loss, task: str, monitor: str) -> dict[str, float]:
    """Gives loss and scores of a whole split from its logits `[n, n_outputs]` and targets, in one order."""
    values = {
        "validation/loss": float(loss(logits, torch.from_numpy(targets))),
        MONITOR: _average_precision(logits, targets, task),
    }
    if monitor == LEXGLUE:
        values[LEXGLUE] = float(lexglue_f1(targets.astype(np.int8), torch.sigmoid(logits).numpy())[0])
    return values


def _average_precision(logits: Tensor, targets: Array, task: str) -> float:
    if task == "multiclass":
        scores = torch.softmax(logits, dim=1).numpy()
        return float(average_precision_macro(np.eye(scores.shape[1], dtype=np.int8)[targets], scores))
    return float(average_precision_macro(targets.astype(np.int8), torch.sigmoid(logits).numpy()))


def _gather(index: Array, logits: Array, targets: Array) -> tuple[Array, Array, Array]:
    """Gives every example's row once, from whichever process had it; of one process what it has."""
    if processes.world_size() == 1:
        return index, logits, targets
    own = index >= 0
    n = int(processes.add_up(torch.tensor([float(own.sum())]))[0])
    rows = torch.zeros((n, 1 + logits.shape[1] + (targets.shape[1] if targets.ndim > 1 else 1)), dtype=torch.float64)
    part = np.column_stack([np.ones(own.sum()), logits[own], targets.reshape(len(targets), -1)[own]])
    rows[torch.from_numpy(index[own])] = torch.from_numpy(part.astype(np.float64))
    rows = processes.add_up(rows)
    if not bool((rows[:, 0] == 1).all()):
        raise TrainingError("A validation example was scored twice or never.", "each once", "Report this.")
    values = rows.numpy()
    width = logits.shape[1]
    merged = values[:, 1 + width :].astype(targets.dtype)
    return np.arange(n), values[:, 1 : 1 + width].astype(logits.dtype), merged if targets.ndim > 1 else merged[:, 0]
