"""Callbacks: resumable checkpoints, early stop that survives a resume, and a progress line with time left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as L
import torch

from smallprint.core.progress import Say
from smallprint.training import processes
from smallprint.training.module import MONITOR

LAST, BEST = "last.safetensors", "best.safetensors"
Rank = tuple[float, float]
ASK_EVERY = 16  # batches: several processes ask the first whether it is time for a checkpoint
WORST: Rank = (float("-inf"), float("-inf"))


def rank_epoch(trainer: L.Trainer) -> Rank:
    """Gives what epochs are compared by: the score that the settings name, and where it is equal the lower validation loss.

    On an easy task average precision is 1.0 long before the scores are any good: order is all it sees.
    """
    metrics = trainer.callback_metrics
    monitor = getattr(getattr(trainer, "lightning_module", None), "monitor", MONITOR)
    return float(metrics[monitor]), -float(metrics["validation/loss"])


class Checkpoints(L.Callback):
    """Keeps the best weights and a state to resume from.

    `best.safetensors` is written before `last.safetensors`, and both whole or not at all: killed in between, the resumed
    run repeats the epoch and writes the same best weights again.

    Args:
        folder: Where both files go.
        minutes: Longest time between two resumable states, besides the one at each epoch's end.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder, self.seconds = folder, 60 * minutes
        self.best: Rank = WORST
        self.best_epoch = -1
        self._written = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Gives the best epoch so far and its rank."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back."""
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Writes a resumable state when the last one is old, but not at an epoch's last batch, where one follows anyway."""
        epoch_loop = trainer.fit_loop.epoch_loop
        halfway = (epoch_loop.batch_idx + 1) % trainer.accumulate_grad_batches  # gradients that no checkpoint holds
        if epoch_loop.batch_progress.is_last_batch or halfway:
            return
        if processes.world_size() > 1 and (epoch_loop.batch_idx + 1) % ASK_EVERY:
            return
        if processes.first_says(time.monotonic() - self._written >= self.seconds):
            self._write_last(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes the best weights, if this epoch's are, and a resumable state."""
        rank = rank_epoch(trainer)
        if rank > self.best:
            self.best, self.best_epoch = rank, trainer.current_epoch
            trainer.save_checkpoint(self.folder / BEST, weights_only=True)
        self._write_last(trainer)

    def _write_last(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.folder / LAST)
        self._written = time.monotonic()


class EarlyStop(L.Callback):
    """Stops on the score that epochs are compared by; a resumed run knows that it had already stopped.

    Args:
        patience: Epochs without a better one before it stops.
    """

    def __init__(self, patience: int) -> None:
        self.patience, self.waited = patience, 0
        self.best: Rank = WORST

    def state_dict(self) -> dict[str, Any]:
        """Gives the best rank so far and the epochs since."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them back."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stops at once where the resumed state had run out of patience."""
        trainer.should_stop = trainer.should_stop or self.waited >= self.patience

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Counts, and stops when patience is out."""
        rank = rank_epoch(trainer)
        self.waited = 0 if rank > self.best else self.waited + 1
        self.best = max(rank, self.best)
        trainer.should_stop = trainer.should_stop or self.waited >= self.patience


class Progress(L.Callback):
    """One line an epoch, and within long epochs one every few seconds, with the time left.

    Args:
        say: Takes each line.
        epochs: Epochs of the whole training.
        seconds: Least time between two lines within an epoch.
    """

    def __init__(self, say: Say, epochs: int, seconds: float = 15.0) -> None:
        self.say, self.epochs, self.seconds = say, epochs, seconds
        self._start = self._epoch_start = self._said = time.monotonic()
        self._first_step = 0
        self.seconds_per_epoch: list[float] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self._start = self._epoch_start = self._said = time.monotonic()
        self._first_step = trainer.global_step

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the epoch's clock."""
        self._epoch_start = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Says how far it is, not too often."""
        now = time.monotonic()
        if now - self._said >= self.seconds:
            self._said = now
            share = 100 * (trainer.fit_loop.epoch_loop.batch_idx + 1) / max(trainer.num_training_batches, 1)
            self.say(f"  epoch {trainer.current_epoch + 1}/{self.epochs} {share:3.0f}%  {self._left(trainer)}")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Says the epoch's scores."""
        self._said = time.monotonic()
        self.seconds_per_epoch.append(self._said - self._epoch_start)
        metrics = trainer.callback_metrics
        self.say(
            f"  epoch {trainer.current_epoch + 1}/{self.epochs} done  "
            f"validation loss {float(metrics['validation/loss']):.4f}, "
            f"average precision {float(metrics[MONITOR]):.3f}  {self._left(trainer)}"
        )

    def _left(self, trainer: L.Trainer) -> str:
        steps = trainer.global_step
        total = self.epochs * -(-int(trainer.num_training_batches) // trainer.accumulate_grad_batches)
        pace = (time.monotonic() - self._start) / max(steps - self._first_step, 1)
        seconds = max(0, round(pace * (total - steps)))
        return f"about {seconds // 60}:{seconds % 60:02d} left"


def peak_memory_mb() -> float:
    """Gives the process's peak resident memory so far, and the GPU's where there is one, in MB (1e6 bytes)."""
    import sys

    try:
        import resource
    except ImportError:  # Windows
        import psutil

        told = psutil.Process().memory_info()
        peak = int(getattr(told, "peak_wset", told.rss))
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if torch.cuda.is_available():
        peak += torch.cuda.max_memory_allocated()
    return round(peak / 1e6, 1)
