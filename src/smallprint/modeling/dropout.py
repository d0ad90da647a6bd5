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
        self.p, self.cut = p, min(round(p * LEVELS), LEVELS - 1)  # attention layers of transformers read `p`

    def forward(self, x: Tensor) -> Tensor:
        """Gives `x`, of any shape, with a share of it zeroed and the rest scaled up, while training."""
        if not self.training or self.cut == 0:
            return x
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.cut
        return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - self.cut))


def use_byte_dropout(module: nn.Module) -> None:
    """Replaces every `nn.Dropout` inside `module`; for training on a processor."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout and child.p < 1:
                setattr(parent, name, ByteDropout(child.p).train(child.training))
