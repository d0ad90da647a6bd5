"""Dropout that costs little on a processor. In: a module. Out: the same, its `nn.Dropout` layers replaced.

PyTorch draws one random number per element on a single core, which is a fifth of a training step of a small encoder.
Here one 64-bit draw serves eight elements; the rate is rounded to 1/256 (0.1 becomes 26/256 = 0.1016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 256


class ByteDropout(nn.Module):
    """Dropout from one random byte per element."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.cut = p, cut_of(p)  # attention layers of transformers read `p`

    def forward(self, x: Tensor) -> Tensor:
        """Gives `x`, of any shape, with a share of it zeroed and the rest scaled up, while training."""
        return drop(x, self.cut) if self.training and self.cut else x


def drop(x: Tensor, cut: int) -> Tensor:
    """Gives `x`, of any shape, with each element zeroed where a random byte is below `cut`, and the rest scaled up."""
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= cut
    return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - cut))


def cut_of(p: float) -> int:
    """Gives the byte below which an element is dropped, for a share `p` of them."""
    return min(round(p * LEVELS), LEVELS - 1)


def use_byte_dropout(module: nn.Module) -> None:
    """Replaces every `nn.Dropout` inside `module`; for training on a processor."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout and child.p < 1:
                setattr(parent, name, ByteDropout(child.p).train(child.training))
