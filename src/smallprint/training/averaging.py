"""Exponential moving average of trained weights: one set of weights in, a steadier one out.

Averaged weights (Polyak & Juditsky 1992; as a moving average Tarvainen & Valpola 2017) forget single noisy steps, which
are large where a label has few examples. Early on the average reaches back over a tenth of the steps so far, so that the
untrained start does not weigh on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """The average of a fixed set of tensors.

    Args:
        decay: Weight of the past at each step, in [0, 1); 0 keeps no past.
    """

    def __init__(self, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.values: dict[str, Tensor] = {}

    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Takes in the weights after an optimizer step."""
        self.steps += 1
        with torch.no_grad():
            if not self.values:
                self.values = {name: tensor.detach().clone() for name, tensor in weights.items()}
                return
            past = min(self.decay, (self.steps + 1) / (self.steps + 10))
            now = [weights[name].detach() for name in self.values]
            if any(value.device != new.device for value, new in zip(self.values.values(), now, strict=True)):
                self.values = {
                    name: value.to(weights[name].device) for name, value in self.values.items()
                }  # from a file
            torch._foreach_lerp_(list(self.values.values()), now, 1 - past)

    @contextmanager
    def inside(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Puts the average into the model's own tensors, and afterwards their values back."""
        kept = {name: tensor.detach().clone() for name, tensor in weights.items()}
        try:
            _copy(self.values, weights)
            yield
        finally:
            _copy(kept, weights)

    def keep_in(self, weights: Mapping[str, Tensor]) -> None:
        """Puts the average into the model's own tensors, to stay."""
        _copy(self.values, weights)


def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in source.items():
            target[name].copy_(tensor)
