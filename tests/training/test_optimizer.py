import itertools

import pytest
import torch
from torch import nn

from smallprint.core.config import TrainingConfig
from smallprint.training.optimizer import build_optimizer, build_schedule, default_learning_rate


class Layered(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(5, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.norm = nn.LayerNorm(4)


def rates(optimizer, backbone, head):
    names = {id(p): f"{part}.{n}" for part, m in (("b", backbone), ("h", head)) for n, p in m.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    }


def test_groups_by_depth_and_decay():
    backbone, head = Layered(), nn.Linear(4, 2)
    config = TrainingConfig(layer_decay=0.5, weight_decay=0.1, head_learning_rate=0.3)
    found = rates(build_optimizer(backbone, head, config, 1.0), backbone, head)
    assert len(found) == len(list(backbone.parameters())) + 2
    for stack in ("layers", "encoder.layer"):
        assert [found[f"b.{stack}.{i}.weight"] for i in range(3)] == [(0.25, 0.1), (0.5, 0.1), (1.0, 0.1)]
    assert found["b.embeddings.weight"] == (0.125, 0.1)
    assert found["b.norm.weight"] == (1.0, 0.0)
    assert found["b.layers.0.bias"] == (0.25, 0.0)
    assert found["h.weight"] == (0.3, 0.1)
    assert found["h.bias"] == (0.3, 0.0)


def test_frozen_parameters_are_left_out():
    backbone, head = Layered(), nn.Linear(4, 2)
    backbone.requires_grad_(False)
    found = rates(build_optimizer(backbone, head, TrainingConfig(), 1.0), backbone, head)
    assert sorted(found) == ["h.bias", "h.weight"]


@pytest.mark.parametrize("warmup_ratio", [0.0, 0.2])
def test_schedule(warmup_ratio):
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, seen = build_schedule(optimizer, 50, warmup_ratio), []
    for _ in range(50):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    warm = int(50 * warmup_ratio)
    assert all(0 < a < b <= 1 for a, b in itertools.pairwise(seen[:warm]))
    assert seen[warm] == 1.0
    assert all(a > b > 0 for a, b in itertools.pairwise(seen[warm:]))
    assert optimizer.param_groups[0]["lr"] == 0.0
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.0


def test_default_learning_rate():
    small = Layered()
    assert default_learning_rate(small, "full", "multiclass") > default_learning_rate(small, "full", "binary")
    assert default_learning_rate(small, "lora", "binary") > default_learning_rate(small, "full", "binary")
    with torch.device("meta"):
        large = nn.Linear(10_000, 10_000)
    assert default_learning_rate(large, "full", "multiclass") < default_learning_rate(small, "full", "binary")
