import numpy as np
import pytest
import torch
from torch import nn

from smallprint.core.config import ModelConfig
from smallprint.core.parts import Parts
from smallprint.modeling.classifier import TextClassifier, build_classifier, pool


def test_pooling_by_hand_without_padding():
    tokens = torch.tensor([[[1.0, -1.0], [3.0, -5.0], [100.0, 100.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert pool(tokens, mask, "mean").tolist() == [[2.0, -3.0]]
    assert pool(tokens, mask, "max").tolist() == [[3.0, -1.0]]
    assert pool(tokens, mask, "cls").tolist() == [[1.0, -1.0]]
    assert torch.isfinite(pool(tokens, torch.zeros(1, 3), "mean")).all()


def build(tiny_backbone, n_outputs=3, task="multilabel", rates=None, parts=None, **model):
    torch.manual_seed(0)
    config = ModelConfig(backbone=str(tiny_backbone), **model)
    return build_classifier(config, n_outputs, np.full(n_outputs, 0.2) if rates is None else rates, task, parts)


IDS = torch.tensor([[2, 7, 8, 9, 3], [2, 9, 3, 0, 0]])
MASK = (IDS > 0).long()


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_padding_never_counts(pooling, tiny_backbone):
    model = build(tiny_backbone, pooling=pooling).eval()
    with torch.no_grad():
        together, alone = model(IDS, MASK)[1], model(IDS[1:, :3], MASK[1:, :3])[0]
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_first_scores_are_about_the_base_rates(tiny_backbone):
    model = build(tiny_backbone, rates=np.array([0.9, 0.5, 0.01])).eval()
    with torch.no_grad():
        scores = torch.sigmoid(model(IDS, MASK))
    assert torch.allclose(scores, torch.tensor([0.9, 0.5, 0.01]).expand(2, 3), atol=0.12)
    assert model.head.bias.tolist() == pytest.approx([2.1972, 0.0, -4.5951], abs=1e-3)


def one_step(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(2):  # the first step moves only B of the adapters, for it is zero
        optimizer.zero_grad()
        model(IDS, MASK).pow(2).sum().backward()
        optimizer.step()
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("adapter", ["full", "lora", "frozen"])
def test_what_training_changes(adapter, tiny_backbone):
    model = build(tiny_backbone, adapter=adapter).train()
    names = {name for name, _ in model.named_parameters()}
    changed = one_step(model)
    head = {"head.weight", "head.bias"}
    assert head <= changed
    if adapter == "frozen":
        assert changed == head
    elif adapter == "lora":
        assert changed == head | {name for name in names if "lora_" in name}
    else:
        still = names - changed
        assert {name for name in still if "pooler" in name} == {n for n in names if "pooler" in n}
        assert all("pooler" in n or "embeddings" in n or "key.bias" in n for n in still)


def test_a_frozen_backbone_stays_in_evaluation_mode_and_takes_no_gradient(tiny_backbone):
    model = build(tiny_backbone, adapter="frozen").train()
    assert model.head.training
    assert not any(module.training for module in model.backbone.modules())
    assert not model.embed(IDS, MASK).requires_grad
    assert model(IDS, MASK).requires_grad
    assert build(tiny_backbone).train().backbone.training


def test_merging(tiny_backbone):
    model = build(tiny_backbone, adapter="lora").train()
    one_step(model)
    model.eval()
    with torch.no_grad():
        before = model(IDS, MASK)
        model.finish()
        assert torch.allclose(model(IDS, MASK), before, atol=1e-5)
    assert not any("lora" in name for name in model.state_dict())


def test_logits_are_fp32_under_bf16(tiny_backbone):
    model = build(tiny_backbone).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert model(IDS, MASK).dtype == torch.float32


def test_own_parts(tiny_backbone):
    class Own(nn.Module):
        hidden_size = 5

        def forward(self, input_ids, attention_mask):
            return torch.ones(*input_ids.shape, 5)

    own = Own()
    model = build(tiny_backbone, parts=Parts(backbone=own, head=lambda width, n: nn.Linear(width, n)))
    assert model.backbone is own
    assert model(IDS, MASK).shape == (2, 3)
    assert TextClassifier(own, nn.Linear(5, 2), dropout=0.0)(IDS, MASK).shape == (2, 2)
