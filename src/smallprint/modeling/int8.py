"""Matrices as int8 with one scale a row. In: tensors, or a module. Out: int8 and scales, or fp32 again.

A weight is q * scale with q a whole number from -127 to 127 and scale = max|row| / 127 (Jacob et al. 2018, equation 1, with
zero point 0). Rounding twice changes nothing, bit for bit: in fp32 127 * scale gives the same scale again whatever the row
held (a test goes through every number between two powers of two). That needs exact division, so a processor does it: a GPU
may multiply with 1 / 127 instead.

It speeds nothing up: what computes is fp32. It knows neither settings nor files.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from smallprint.core.errors import TrainingError

MIN_ENTRIES = 4096
LARGEST = 127


def int8_names(module: nn.Module) -> set[str]:
    """Gives the names of the weights that int8 holds: of two dimensions or more, and at least 4,096 numbers.

    Smaller weights and buffers, which nobody trained, stay as they are. A weight with several names has all of them here.
    """
    return {name for name, weight in module.named_parameters(remove_duplicate=False) if _is_large(weight)}


def quantise(tensor: Tensor, name: str = "a weight") -> tuple[Tensor, Tensor]:
    """Gives int8 of the tensor's shape, and scales, fp32 `[rows]`, in main memory; rows are those of the first dimension.

    A row that is all zero, or below 1e-36 throughout, has scale 1.

    Args:
        tensor: fp32, of two dimensions or more.
        name: Of the weight, for the error.

    Raises:
        TrainingError: It holds infinity or what is no number, which int8 would hide.
    """
    rows = tensor.detach().cpu().float().flatten(1)
    scale = rows.abs().amax(dim=1) / LARGEST
    if not bool((scale * LARGEST).isfinite().all()):
        raise TrainingError(
            f"'{name}' holds values that are not finite, which int8 has no place for.",
            "finite weights",
            "Train again with a lower training.learning_rate.",
        )
    scale = torch.where(scale >= torch.finfo(torch.float32).tiny, scale, 1.0)
    q = (rows / scale.unsqueeze(1)).round().clamp(-LARGEST, LARGEST)
    return q.to(torch.int8).reshape(tensor.shape), scale


def dequantise(q: Tensor, scale: Tensor) -> Tensor:
    """Gives fp32 of the shape of `q` from int8 and scales `[rows]`."""
    return q.float() * scale.view(-1, *[1] * (q.ndim - 1))


def round_tensor(tensor: Tensor, name: str = "a weight") -> Tensor:
    """Gives what is left of a tensor after int8, fp32; arguments and errors are those of `quantise`."""
    return dequantise(*quantise(tensor, name))


def round_weights(module: nn.Module) -> None:
    """Makes a module fp32 and its own matrices, in place, what a bundle with int8 weights gives back of them.

    Raises:
        TrainingError: A matrix holds infinity or what is no number.
    """
    with torch.no_grad():
        for name, weight in module.float().named_parameters():
            if _is_large(weight):
                weight.copy_(round_tensor(weight, name))


def _is_large(weight: Tensor) -> bool:
    return weight.is_floating_point() and weight.ndim >= 2 and weight.numel() >= MIN_ENTRIES


__all__ = ["dequantise", "int8_names", "quantise", "round_tensor", "round_weights"]
