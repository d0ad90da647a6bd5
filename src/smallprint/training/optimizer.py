"""Optimizer and schedule. In: a module, settings, the number of steps. Out: AdamW and a warm-up-then-decay schedule."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from smallprint.core.config import TrainingConfig

SMALL, SMALL_MULTICLASS, LARGE, ADAPTER = 5e-5, 2e-4, 2e-5, 5e-4
LARGE_FROM = 60_000_000  # parameters: base-size encoders collapse at the rate that small ones need


def default_learning_rate(backbone: nn.Module, adapter: str, task: str) -> float:
    """Gives the peak learning rate where the settings name none.

    Chosen on validation: UNFAIR-ToS (independent, sparse labels) wants a low rate, Banking77 (77 exclusive ones) a higher.
    """
    if adapter != "full":
        return ADAPTER
    if sum(parameter.numel() for parameter in backbone.parameters()) >= LARGE_FROM:
        return LARGE
    return SMALL_MULTICLASS if task == "multiclass" else SMALL


def build_optimizer(backbone: nn.Module, head: nn.Module, config: TrainingConfig, learning_rate: float) -> AdamW:
    """Gives AdamW with one group per layer depth and decay; biases and norms are not decayed.

    Args:
        backbone: Encoder; only parameters that take a gradient are used.
        head: Trained at `config.head_learning_rate`.
        config: `layer_decay`, `weight_decay`, `head_learning_rate`.
        learning_rate: Peak rate of the topmost layer.
    """
    depth_of = _depths(backbone)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in backbone.named_parameters():
        if parameter.requires_grad:
            rate = learning_rate * config.layer_decay ** depth_of(name)
            groups.setdefault((rate, _decay(name, parameter, config)), []).append(parameter)
    for name, parameter in head.named_parameters():
        groups.setdefault((config.head_learning_rate, _decay(name, parameter, config)), []).append(parameter)
    parameters = [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]
    return AdamW(parameters, fused=True)


def build_schedule(optimizer: AdamW, steps: int, warmup_ratio: float) -> LambdaLR:
    """Gives a linear rise over `warmup_ratio` of `steps`, then a linear fall to 0."""
    warmup = int(steps * warmup_ratio)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, (steps - step) / max(1, steps - warmup))

    return LambdaLR(optimizer, factor)


def _decay(name: str, parameter: torch.Tensor, config: TrainingConfig) -> float:
    return 0.0 if parameter.ndim < 2 or name.endswith("bias") else config.weight_decay


def _depths(backbone: nn.Module) -> Callable[[str], int]:
    """Gives a function from a parameter's name to its distance from the top, embeddings furthest."""
    numbers = [int(m.group(1)) for name, _ in backbone.named_parameters() if (m := re.search(r"\.(\d+)\.", name))]
    layers = max(numbers, default=-1) + 1

    def depth(name: str) -> int:
        match = re.search(r"\.(\d+)\.", name)
        if match:
            return layers - 1 - int(match.group(1))
        return layers if "embed" in name else 0

    return depth
