"""A kernel SVM as the head of a frozen encoder: what no gradient trains. In: stored vectors. Out: a module that gives logits.

Where labels have tens of examples, the widest margin over an encoder's vectors decides better than a head that is trained
by gradient, and takes a second. Vectors of several layers stand side by side, each made as long as the others.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from smallprint.core.config import SvmConfig
from smallprint.core.errors import DataError
from smallprint.core.results import Array
from smallprint.modeling.platt import fit_platt, fold_numbers

MOST_TEXTS = 15_000  # the kernel matrix of more fills gigabytes


class KernelHead(nn.Module):
    """Radial basis functions around support vectors, one plane per output, Platt's scaling to logits.

    Args:
        width: Of the vectors that come in: `blocks` vectors of equal width side by side.
        n_outputs: Number of logits.
        n_support: Number of support vectors.
        blocks: How many vectors stand side by side.
        exclusive: Exactly one label is right (multiclass): a softmax over the logits then gives scores that are Platt's,
            divided by their sum.
    """

    def __init__(self, width: int, n_outputs: int, n_support: int, blocks: int = 1, exclusive: bool = False) -> None:
        super().__init__()
        self.blocks, self.exclusive = blocks, exclusive
        self.support: Tensor
        self.weight: Tensor
        self.bias: Tensor
        self.platt: Tensor
        self.gamma: Tensor
        self.register_buffer("support", torch.zeros(n_support, width))
        self.register_buffer("weight", torch.zeros(n_outputs, n_support))
        self.register_buffer("bias", torch.zeros(n_outputs))
        self.register_buffer("platt", torch.zeros(n_outputs, 2))
        self.register_buffer("gamma", torch.ones(()))

    def forward(self, vectors: Tensor) -> Tensor:
        """Gives logits `[n, n_outputs]` for vectors `[n, width]`."""
        kernel = torch.exp(-self.gamma * squared_distances(unit_blocks(vectors, self.blocks), self.support))
        margins = functional.linear(kernel, self.weight, self.bias)
        logits = margins * self.platt[:, 0] + self.platt[:, 1]
        return functional.logsigmoid(logits) if self.exclusive else logits


def unit_blocks(vectors: Tensor, blocks: int) -> Tensor:
    """Gives vectors `[n, width]` whose `blocks` parts have equal length, 1 in whole."""
    parts = functional.normalize(vectors.reshape(len(vectors), blocks, -1), dim=-1)
    unit: Tensor = parts.reshape(len(vectors), -1) / blocks**0.5
    return unit


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """Gives squared Euclidean distances `[n, m]` between vectors `[n, width]` and `[m, width]`."""
    squares: Tensor = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * (one @ other.T)
    return squares.clamp_(min=0)


def unit_distances(vectors: Tensor, blocks: int) -> Tensor:
    """Gives squared distances `[n, n]`, fp32, between vectors `[n, width]` whose `blocks` parts are made equally long."""
    unit = unit_blocks(vectors.float(), blocks)
    return squared_distances(unit, unit)


def fit_kernel_head(
    vectors: Tensor,
    targets: Array,
    task: str,
    n_outputs: int,
    blocks: int = 1,
    seed: int = 42,
    settings: SvmConfig | None = None,
    distances: Tensor | None = None,
    by_order: bool = False,
) -> KernelHead:
    """Fits one balanced SVM per output on training vectors alone; the inner folds of Platt's scaling are of them too.

    Args:
        vectors: fp32 `[n, width]`.
        targets: Encoded labels, `[n]` for multiclass, else 0/1 `[n, n_outputs]`.
        task: binary, multiclass or multilabel.
        n_outputs: Number of outputs.
        blocks: How many vectors of equal width stand side by side in each.
        seed: Of the inner folds.
        settings: Cost and spread; the defaults when left out.
        distances: What `unit_distances` gives of the vectors, where it is known.
        by_order: Only the order of each output's scores will be looked at, which Platt's scaling does not change: it is left out, and
            with it five fits of six. Of multiclass it changes the order, and stays.

    Raises:
        DataError: So many texts that their kernel would not fit into memory.
    """
    check_size(len(vectors))
    settings = settings or SvmConfig()
    unit = unit_blocks(vectors.float(), blocks)
    kernel = (unit_distances(vectors, blocks) if distances is None else distances).double().numpy()  # a copy
    gamma = settings.spread / max(float(kernel.mean()), 1e-6)
    kernel *= -gamma
    np.exp(kernel, out=kernel)
    binary = np.eye(n_outputs, dtype=np.int8)[targets] if task == "multiclass" else np.asarray(targets, dtype=np.int8)
    weights, bias, platt = (
        np.zeros((n_outputs, len(unit))),
        np.full(n_outputs, -1.0),
        np.tile([1.0, 0.0], (n_outputs, 1)),
    )
    folds, scaled = fold_numbers(len(unit), seed), task == "multiclass" or not by_order
    unseen = _unseen_margins(kernel, binary, folds, settings.cost) if scaled else None
    for output, truth in enumerate(binary.T):
        if truth.min() == truth.max():
            bias[output] = 1.0 if truth[0] else -1.0
            continue
        weights[output], bias[output] = _fit_plane(kernel, truth, settings.cost)
        if unseen is not None:
            platt[output] = fit_platt(truth, folds, partial(_margins_outside, unseen[output]))
    used = np.flatnonzero(weights.any(axis=0))
    head = KernelHead(vectors.shape[1], n_outputs, len(used), blocks, exclusive=task == "multiclass")
    state = {"weight": weights[:, used], "bias": bias, "platt": platt, "gamma": np.array(gamma)}
    head.load_state_dict(
        {"support": unit[used], **{name: torch.from_numpy(part).float() for name, part in state.items()}}
    )
    return head


def check_size(n: int, do: str = "Set model.head=mlp, or model.adapter=full.") -> None:
    """Checks that `n` training texts are not too many.

    Raises:
        DataError: They are; `do` is the advice.
    """
    if n > MOST_TEXTS:
        raise DataError(
            f"{n:,} training texts are too many for the head 'svm'.",
            f"{MOST_TEXTS:,} at most: memory grows with the square",
            do,
        )


def _fit_plane(kernel: Array, truth: Array, cost: float) -> tuple[Array, float]:
    """Gives the weight of each training example, `[n]`, and the offset."""
    from sklearn.svm import SVC

    model = SVC(kernel="precomputed", C=cost, class_weight="balanced").fit(kernel, truth)
    weights = np.zeros(len(truth))
    weights[model.support_] = model.dual_coef_[0]
    return weights, float(model.intercept_[0])


def _unseen_margins(kernel: Array, binary: Array, folds: Array, cost: float) -> Array:
    """Gives each example's margins by planes that did not see it, `[n_outputs, n]`; 0 where a fold has too few to fit one.

    Fold by fold, all outputs at once: cutting a fold out of the kernel takes longer than fitting a plane.
    """
    margins = np.zeros((binary.shape[1], len(binary)))
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        within, across = kernel[np.ix_(inside, inside)], kernel[np.ix_(outside, inside)]
        for output, truth in enumerate(binary[inside].T):
            if truth.min() != truth.max():
                weights, offset = _fit_plane(within, truth, cost)
                margins[output, outside] = across @ weights + offset
    return margins


def _margins_outside(margins: Array, inside: Array, outside: Array) -> Array:
    found: Array = margins[outside]
    return found


__all__ = ["KernelHead", "check_size", "fit_kernel_head", "squared_distances", "unit_blocks", "unit_distances"]
