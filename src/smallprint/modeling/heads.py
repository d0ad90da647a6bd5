"""Heads: one vector per text in, logits out. `build_head` takes a name or your own `head(width, n_outputs)`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smallprint.core.errors import ConfigError
from smallprint.core.parts import import_part

HeadFactory = Callable[[int, int], nn.Module]


def linear_head(width: int, n_outputs: int) -> nn.Module:
    """Gives one affine layer, `[n, width]` to `[n, n_outputs]`."""
    layer = nn.Linear(width, n_outputs)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def mlp_head(width: int, n_outputs: int) -> nn.Module:
    """Gives one hidden layer of the same width with GELU, then an affine layer."""
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(0.1), linear_head(width, n_outputs))


class DenseHead(nn.Module):
    """A dense layer of the same width with tanh, dropout, then an affine layer: the classifier that BERT and its kin come with."""

    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__()
        self.dense, self.dropout, self.out = nn.Linear(width, width), nn.Dropout(0.1), linear_head(width, n_outputs)
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Gives logits `[n, n_outputs]` for vectors `[n, width]`."""
        logits: torch.Tensor = self.out(self.dropout(torch.tanh(self.dense(vectors))))
        return logits


BUILT_IN: dict[str, HeadFactory] = {"linear": linear_head, "mlp": mlp_head, "dense": DenseHead}


def find_head(head: str | HeadFactory) -> HeadFactory:
    """Gives the function behind a head's name, "package.module:Name", or the function itself.

    Raises:
        ConfigError: There is no such head.
    """
    if not isinstance(head, str):
        return head
    if head in BUILT_IN:
        return BUILT_IN[head]
    factory: HeadFactory = import_part(head, f"head ({', '.join(BUILT_IN)} or svm)")
    return factory


def check_head(head: nn.Module, width: int, n_outputs: int) -> None:
    """Checks that a head takes the backbone's vectors and has a logit for each output.

    Raises:
        ConfigError: It has not.
    """
    was = head.training
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            shape = tuple(head.eval()(torch.zeros(2, width)).shape)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"The head does not take vectors of width {width} ({str(error).strip().partition(chr(10))[0][:160]}).",
            f"a module from [n, {width}] to [n, {n_outputs}]",
            "Build it for the width that it is given: head(width, n_outputs).",
        ) from None
    finally:
        head.train(was)
    if shape != (2, n_outputs):
        raise ConfigError(
            f"The head gives {list(shape[1:])} logits a text, and the labels need {n_outputs}.",
            f"a module from [n, {width}] to [n, {n_outputs}]",
            "Build it for the number of outputs that it is given: head(width, n_outputs).",
        )


def start_from_pooler(head: nn.Module, backbone: nn.Module) -> bool:
    """Starts a `DenseHead` from the dense layer that a backbone's own pooler was trained with, where there is one that fits.

    Returns:
        Whether it did.
    """
    trained = getattr(getattr(backbone, "pooler", None), "dense", None)
    if not isinstance(head, DenseHead) or not isinstance(trained, nn.Linear):
        return False
    if trained.weight.shape != head.dense.weight.shape:
        return False
    with torch.no_grad():
        head.dense.load_state_dict(trained.state_dict())
    return True


def set_base_rates(head: nn.Module, base_rates: NDArray[np.float64], task: str) -> bool:
    """Starts the last layer's bias at the labels' base rates, so that the first loss is that of the best constant answer.

    The bias is log(p / (1 - p)) for independent labels and log(p) for exclusive ones (Lin et al. 2017, section 4.1).

    Args:
        head: Any module; its last `nn.Linear` with as many outputs as there are rates is set.
        base_rates: Share of positives per output, `[n_outputs]`.
        task: binary, multiclass or multilabel.

    Returns:
        Whether such a layer was found.
    """
    rates = np.clip(base_rates, 1e-4, 1 - 1e-4)
    bias = np.log(rates) if task == "multiclass" else np.log(rates / (1 - rates))
    for layer in reversed(list(head.modules())):
        if isinstance(layer, nn.Linear) and layer.out_features == len(rates) and layer.bias is not None:
            with torch.no_grad():
                layer.bias.copy_(torch.from_numpy(bias))
            return True
    return False
