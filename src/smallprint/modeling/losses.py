"""Losses: logits and targets in, one number out. `build_loss` takes a name or your own `loss(logits, targets)`.

Targets are float 0/1 `[n, n_outputs]` for binary and multilabel, int64 ids `[n]` for multiclass.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from smallprint.core.errors import ConfigError
from smallprint.core.parts import import_part

Loss = Callable[[Tensor, Tensor], Tensor]
NAMES = ("bce", "cross_entropy", "focal", "asymmetric")
FOCAL_GAMMA = 2.0
ASYMMETRIC_GAMMA_NEGATIVE, ASYMMETRIC_GAMMA_POSITIVE, ASYMMETRIC_MARGIN = 4.0, 1.0, 0.05


def build_loss(loss: str | Loss, task: str, weights: NDArray[np.float64] | None = None) -> Loss:
    """Gives the loss for a task.

    Args:
        loss: 'auto', one of `NAMES`, "package.module:Name", or a function.
        task: binary, multiclass or multilabel; 'auto' is cross-entropy for multiclass, else BCE.
        weights: Weight of each label's positives, `[n_outputs]`, from `balanced_weights`.

    Raises:
        ConfigError: There is no such loss, or it does not fit the task.
    """
    if not isinstance(loss, str):
        return loss
    name = ("cross_entropy" if task == "multiclass" else "bce") if loss == "auto" else loss
    if name not in NAMES:
        own: Loss = import_part(name, f"loss ({', '.join(NAMES)})")
        return own
    if (name in ("bce", "asymmetric") and task == "multiclass") or (name == "cross_entropy" and task != "multiclass"):
        fitting = "cross_entropy or focal" if task == "multiclass" else "bce, focal or asymmetric"
        raise ConfigError(f"Loss '{name}' does not fit a {task} task.", fitting, "Set model.loss=auto.")
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float32)
    if task == "multiclass":
        gamma = FOCAL_GAMMA if name == "focal" else 0.0
        return lambda logits, targets: cross_entropy(logits, targets, weight, gamma)
    if name == "asymmetric":
        return lambda logits, targets: asymmetric(logits, targets, weight)
    gamma = FOCAL_GAMMA if name == "focal" else 0.0
    return lambda logits, targets: bce(logits, targets, weight, gamma)


def bce(logits: Tensor, targets: Tensor, weight: Tensor | None = None, gamma: float = 0.0) -> Tensor:
    """Binary cross-entropy, mean over examples and labels; with `gamma` > 0 the focal loss (Lin et al. 2017, eq. 4).

    Args:
        logits: `[n, n_outputs]`.
        targets: 0/1, `[n, n_outputs]`.
        weight: Weight of positives, `[n_outputs]`.
        gamma: Focusing; 0 is plain BCE.
    """
    targets = targets.to(logits.dtype)
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if gamma:
        loss = loss * (-torch.expm1(-loss)).clamp(min=0) ** gamma
    return _weigh(loss, targets, weight).mean()


def cross_entropy(logits: Tensor, targets: Tensor, weight: Tensor | None = None, gamma: float = 0.0) -> Tensor:
    """Cross-entropy, mean over examples; with `gamma` > 0 the focal loss.

    Args:
        logits: `[n, n_labels]`.
        targets: Label ids, `[n]`.
        weight: Weight of each label, `[n_labels]`.
        gamma: Focusing; 0 is plain cross-entropy.
    """
    loss = functional.cross_entropy(logits, targets, reduction="none")
    if gamma:
        loss = loss * (-torch.expm1(-loss)).clamp(min=0) ** gamma
    if weight is None:
        return loss.mean()
    weight = weight.to(logits.device)[targets]
    return (loss * weight).sum() / weight.sum()


def asymmetric(logits: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021, eq. 7): easy negatives count less, very easy ones not at all.

    Args:
        logits: `[n, n_outputs]`.
        targets: 0/1, `[n, n_outputs]`.
        weight: Weight of positives, `[n_outputs]`.
    """
    targets = targets.to(logits.dtype)
    positive = torch.sigmoid(logits)
    negative = (1 - positive + ASYMMETRIC_MARGIN).clamp(max=1)
    loss_positive = -functional.logsigmoid(logits) * (1 - positive) ** ASYMMETRIC_GAMMA_POSITIVE
    loss_negative = -torch.log(negative.clamp(min=1e-8)) * (1 - negative) ** ASYMMETRIC_GAMMA_NEGATIVE
    return _weigh(targets * loss_positive + (1 - targets) * loss_negative, targets, weight).mean()


def balanced_weights(targets: NDArray[np.generic], task: str, n_outputs: int) -> NDArray[np.float64]:
    """Gives each label's weight, as rare as it is: n / (n_labels * count), or sqrt(negatives / positives) where labels are independent.

    The square root keeps a label with ten positives of five thousand from drowning all others.

    Args:
        targets: Encoded labels of the training split.
        task: binary, multiclass or multilabel.
        n_outputs: Number of outputs.
    """
    if task == "multiclass":
        counts = np.bincount(targets.astype(np.int64), minlength=n_outputs)
        return np.asarray(len(targets) / (n_outputs * np.maximum(counts, 1)), dtype=np.float64)
    positives = np.maximum(targets.astype(np.float64).sum(axis=0), 1)
    return np.asarray(np.sqrt(np.maximum(len(targets) - positives, 1) / positives), dtype=np.float64)


def _weigh(loss: Tensor, targets: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return loss
    return loss * (1 + targets * (weight.to(loss.device) - 1))
