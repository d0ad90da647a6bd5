"""Two ways to learn less by heart from few examples. In: logits, or a backbone's word vectors. Out: a penalty, a moment's change.

Both cost further passes over each batch and are off by default; `benchmarks/ablation.py` measures what they bring.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from smallprint.core.errors import ConfigError


def disagreement(one: Tensor, other: Tensor, task: str) -> Tensor:
    """Gives how far two passes with different dropout are apart: the symmetric KL divergence of R-Drop (Wu et al. 2021, eq. 2).

    Args:
        one: Logits `[n, n_outputs]`.
        other: Logits of the same texts.
        task: multiclass compares one distribution a text; else each output is a Bernoulli, and their mean is taken.
    """
    if task == "multiclass":
        a, b = functional.log_softmax(one, dim=-1), functional.log_softmax(other, dim=-1)
        return 0.5 * ((a.exp() - b.exp()) * (a - b)).sum(dim=-1).mean()
    # for Bernoullis the sum of both divergences is the difference of shares times that of logits
    return 0.5 * ((one.sigmoid() - other.sigmoid()) * (one - other)).mean()


def word_vectors(backbone: nn.Module) -> nn.Parameter:
    """Gives the backbone's input embeddings, which adversarial training moves.

    Raises:
        ConfigError: They are not trained, or the backbone does not tell which they are.
    """
    find = getattr(backbone, "get_input_embeddings", None)
    weight = getattr(find(), "weight", None) if callable(find) else None
    if not isinstance(weight, nn.Parameter) or not weight.requires_grad:
        raise ConfigError(
            "training.adversarial has no word vectors to move.",
            "model.adapter=full and a backbone with input embeddings",
            "Set training.adversarial=0, or train the whole encoder.",
        )
    return weight


@contextmanager
def moved(weight: nn.Parameter, loss: Tensor, step: float) -> Iterator[None]:
    """Moves word vectors by `step` (Euclidean length) to where the loss rises fastest, and back (FGM; Miyato et al. 2017).

    Args:
        weight: Word vectors, `[n_words, width]`.
        loss: Of the batch; its graph is kept.
        step: How far.
    """
    (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
    length = gradient.norm()
    kept = weight.detach().clone()
    try:
        if length > 0:
            weight.data.add_(gradient, alpha=step / float(length))
        yield
    finally:
        weight.data.copy_(kept)
