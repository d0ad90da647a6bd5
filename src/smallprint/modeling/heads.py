"""Heads: one vector per text in, logits out. `build_head` takes a name or your own `head(width, n_outputs)`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

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


BUILT_IN: dict[str, HeadFactory] = {"linear": linear_head, "mlp": mlp_head}


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
