"""Epochs that leave out some of what is learned already, and weigh what they take of it up. In: losses so far. Out: rows and weights.

After InfoBatch (Qin et al. 2024, section 3), which leaves out a random part of all examples below the mean loss: their number hangs on
the losses, and a schedule that ends at 0 has to know its steps beforehand. Here an epoch has a stated share of the tokens: half of it
are the examples of the highest loss, the other half a random sample of all others, each as heavy as it is rare. The gradient is that
of all examples on average. It knows nothing of models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from smallprint.modeling.batching import plan_batches
from smallprint.training import processes

STRETCH = 1.05  # of a batch, until as few hold the rows as were foreseen


class SkipEasy:
    """Chooses the rows of each epoch.

    Args:
        lengths: Tokens of each training text, `[n]`.
        whole: Batches of an epoch that takes all.
        share: Of the tokens that an epoch leaves out, in [0, 1); the first epoch and the last take all.
        epochs: Of the whole training.
        seed: Of the sample.
    """

    def __init__(self, lengths: NDArray[np.int64], whole: int, share: float, epochs: int, seed: int) -> None:
        self.lengths, self.whole, self.share, self.epochs, self.seed = lengths, whole, share, epochs, seed
        self._losses = torch.full((len(lengths),), torch.inf)  # who was never seen is hard
        self._new = torch.full((len(lengths),), torch.nan)
        self._all = self._weights = torch.ones(len(lengths))
        self._epoch = 0

    def skips(self, epoch: int) -> bool:
        """Gives whether an epoch leaves anything out."""
        return self.share > 0 and 0 < epoch < self.epochs - 1

    def n_batches(self, epoch: int) -> int:
        """Gives how many batches an epoch has."""
        return max(1, round(self.whole * (1 - self.share))) if self.skips(epoch) else self.whole

    def plan(self, epoch: int, batch_tokens: int, batch_size: int) -> list[NDArray[np.int64]]:
        """Gives the indices of each batch of an epoch that leaves something out, as many batches as `n_batches` says."""
        rows = np.flatnonzero(self.weights(epoch).numpy())
        rng, wanted = np.random.default_rng([self.seed, epoch]), self.n_batches(epoch)
        tokens, size = float(batch_tokens), float(batch_size)
        while len(plan_batches(self.lengths[rows], int(tokens), int(size))) > wanted:
            tokens, size = tokens * STRETCH, max(size * STRETCH, size + 1)
        batches = plan_batches(self.lengths[rows], int(tokens), int(size), rng)
        while len(batches) < wanted:
            longest = max(range(len(batches)), key=lambda i: len(batches[i]))
            middle = len(batches[longest]) // 2
            batches[longest : longest + 1] = [batches[longest][:middle], batches[longest][middle:]]
        return [rows[batch] for batch in batches]

    def weights(self, epoch: int) -> Tensor:
        """Gives each example's weight in an epoch, fp32 `[n]`; 0 for who is left out. An epoch's losses must be in before the next."""
        if not self.skips(epoch):
            return self._all
        if epoch != self._epoch:
            seen = ~self._new.isnan()
            self._losses[seen] = self._new[seen]
            self._new.fill_(torch.nan)
            self._epoch, self._weights = epoch, self._draw(epoch)
        return self._weights

    def _draw(self, epoch: int) -> Tensor:
        rng = np.random.default_rng([self.seed, epoch, 1])
        half = (1 - self.share) / 2 * self.lengths.sum()
        hardest = np.argsort(-self._losses.numpy(), kind="stable")
        n_hard = int(np.searchsorted(np.cumsum(self.lengths[hardest]), half, side="right"))
        others = rng.permutation(hardest[n_hard:])
        n_others = int(np.searchsorted(np.cumsum(self.lengths[others]), half, side="right"))
        n_others = max(1, n_others, self.n_batches(epoch) - n_hard)  # a batch has one at least
        weights = torch.zeros(len(self.lengths))
        weights[hardest[:n_hard].copy()] = 1.0
        weights[others[:n_others]] = len(others) / n_others
        return weights

    def record(self, index: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Takes the losses of a batch.

        Args:
            index: Rows of the examples, `[n]`; below 0 for who counts nothing.
            logits: `[n, n_outputs]`.
            targets: Labels: ids `[n]`, or `[n, n_outputs]`.
        """
        with torch.no_grad():
            if targets.ndim == 1:
                losses = functional.cross_entropy(logits, targets, reduction="none")
            else:
                each = functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")
                losses = each.mean(dim=1)
        real = (index >= 0).cpu()
        self._new[index.cpu()[real]] = losses.float().cpu()[real]

    def gather(self) -> None:
        """Gives every process the losses of all."""
        if processes.world_size() > 1:
            seen = ~self._new.isnan()
            n, total = processes.add_up(torch.stack([seen.double(), self._new.double().where(seen, 0.0)]))
            self._new = (total / n).float()  # 0 / 0 where no process has seen it: not a number, as before

    def state(self) -> dict[str, Any]:
        """Gives what a resumed training needs."""
        return {"epoch": self._epoch, "losses": self._losses, "new": self._new, "weights": self._weights}

    def load(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        self._epoch = state["epoch"]
        self._losses, self._new, self._weights = state["losses"], state["new"], state["weights"]


def weigh(logits: Tensor, weights: Tensor) -> Tensor:
    """Gives the same logits, whose gradient is multiplied by each example's weight: whatever loss follows then weighs them so.

    Args:
        logits: `[n, n_outputs]`.
        weights: `[n]`.
    """
    if logits.requires_grad:
        logits.register_hook(lambda gradient: gradient * weights.to(gradient)[:, None])
    return logits


__all__ = ["SkipEasy", "weigh"]
