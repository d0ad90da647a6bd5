"""Epochs that leave out some of what is learned already, and weigh what they take of it up. In: losses so far. Out: rows and weights.

After InfoBatch (Qin et al. 2024, section 3), which leaves out a random part of all examples below the mean loss: their number hangs on
the losses, and a schedule that ends at 0 has to know its steps beforehand. Here an epoch has a stated share of the batches: half of its
tokens are the examples of the highest loss, the other half a random sample of all others, each as heavy as it is rare. A step's gradient
then is that of all examples, on average. It knows nothing of models.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from smallprint.modeling.batching import plan_batches
from smallprint.training import processes


class SkipEasy:
    """Chooses the rows of each epoch.

    Args:
        lengths: Tokens of each training text, `[n]`.
        batch_tokens: Token budget of a batch.
        batch_size: Most texts of a batch.
        share: Of the batches that an epoch leaves out, in [0, 1); the first epoch and the last take all.
        epochs: Of the whole training.
        seed: Of the sample.
    """

    def __init__(
        self, lengths: NDArray[np.int64], batch_tokens: int, batch_size: int, share: float, epochs: int, seed: int
    ) -> None:
        self.lengths, self.batch_tokens, self.batch_size = lengths, batch_tokens, batch_size
        self.share, self.epochs, self.seed = share, epochs, seed
        self.whole = self._count(np.arange(len(lengths)))
        self._losses = torch.full((len(lengths),), torch.inf)  # who was never seen is hard
        self._new = torch.full((len(lengths),), torch.nan)
        self._all = self._weights = torch.ones(len(lengths))
        self._epoch = 0

    def skips(self, epoch: int) -> bool:
        """Gives whether an epoch leaves anything out."""
        return self.share > 0 and 0 < epoch < self.epochs - 1

    def n_batches(self, epoch: int) -> int:
        """Gives how many batches an epoch has."""
        return math.ceil(self.whole * (1 - self.share)) if self.skips(epoch) else self.whole

    def plan(self, epoch: int) -> list[NDArray[np.int64]]:
        """Gives the indices of each batch of an epoch that leaves something out, as many batches as `n_batches` says."""
        rows = np.flatnonzero(self.weights(epoch).numpy())
        rng = np.random.default_rng([self.seed, epoch])
        batches = plan_batches(self.lengths[rows], self.batch_tokens, self.batch_size, rng)
        while len(batches) < self.n_batches(epoch):  # by a few, where the next row would have made one too many
            longest = max(range(len(batches)), key=lambda i: len(batches[i]))
            middle = len(batches[longest]) // 2
            batches[longest : longest + 1] = [batches[longest][:middle], batches[longest][middle:]]
        return [rows[batch] for batch in batches]

    def weights(self, epoch: int) -> Tensor:
        """Gives each example's weight in an epoch, fp32 `[n]`; 0 for who is left out, and those of the others have a mean of 1.

        The first call for an epoch draws, and takes the losses in that came since the last draw.
        """
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
        wanted, n = self.n_batches(epoch), len(self.lengths)
        hardest = np.argsort(-self._losses.numpy(), kind="stable")
        n_hard = self._most(hardest, wanted // 2)
        rows = np.concatenate([hardest[:n_hard], rng.permutation(hardest[n_hard:])])
        kept = self._most(rows, wanted)
        weights = torch.zeros(n)
        weights[rows[:n_hard]] = 1.0
        weights[rows[n_hard:kept]] = (n - n_hard) / max(kept - n_hard, 1)
        return weights * (kept / n)

    def _most(self, rows: NDArray[np.int64], wanted: int) -> int:
        """Gives how many of the first of `rows` fit into so many batches, and fill them."""
        least, most = wanted, len(rows)  # a batch has one at least
        while least < most:
            middle = (least + most + 1) // 2
            if self._count(rows[:middle]) <= wanted:
                least = middle
            else:
                most = middle - 1
        return least

    def _count(self, rows: NDArray[np.int64]) -> int:
        return len(plan_batches(self.lengths[rows], self.batch_tokens, self.batch_size))

    def record(self, index: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Takes the losses of a batch: how far the scores are from the labels, or from a teacher's scores.

        Args:
            index: Rows of the examples, `[n]`; below 0 for who counts nothing.
            logits: `[n, n_outputs]`.
            targets: Labels: ids `[n]`, or `[n, n_outputs]`.
        """
        with torch.no_grad():
            if targets.ndim == 1:
                losses = functional.cross_entropy(logits, targets, reduction="none")
            else:
                wanted = targets.to(logits.dtype)
                each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
                # what no score can be below: 0 for a label, and more for a teacher that is unsure
                floor = functional.binary_cross_entropy(wanted, wanted, reduction="none")
                losses = (each - floor).mean(dim=1)
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
        logits.register_hook(lambda gradient: gradient * weights.to(gradient)[:, None])  # type: ignore[no-untyped-call]
    return logits


__all__ = ["SkipEasy", "weigh"]
