"""Parts of our own for the tutorial: a head, a loss and an action. Settings name them as `own_parts:CosineHead` and the like."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class CosineHead(nn.Module):
    """A logit is the cosine between a text's vector and the label's own direction, times a learned scale."""

    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(n_outputs, width))
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, vectors: Tensor) -> Tensor:
        """Gives logits `[n, n_outputs]` for vectors `[n, width]`."""
        return self.scale * functional.linear(functional.normalize(vectors), functional.normalize(self.directions))


def smoothed(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy that expects one label in twenty to be wrong."""
    return functional.cross_entropy(logits, targets, label_smoothing=0.05)


def note(finding: dict[str, Any]) -> None:
    """An action in this process: says which row it was, and not what it said."""
    print(f"{finding['document']}, row {finding['row']}: {finding['label']} ({finding['score']:.2f})")
