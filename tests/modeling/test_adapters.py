import pytest
import torch
from torch import nn

from smallprint.core.config import LoraConfig, ModelConfig
from smallprint.core.errors import ConfigError
from smallprint.modeling.adapters import add_adapter, merge_adapter
from smallprint.modeling.backbone import load_backbone


def trained(module):
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


@pytest.fixture
def backbone(tiny_backbone):
    return load_backbone(str(tiny_backbone)).eval()


def test_full_trains_all_but_the_pooler(backbone):
    every = {name for name, _ in backbone.named_parameters()}
    found = trained(add_adapter(backbone, ModelConfig(adapter="full")))
    assert found == {name for name in every if not name.startswith("pooler.")}
    assert len(every - found) == 2


def test_frozen_trains_nothing(backbone):
    assert trained(add_adapter(backbone, ModelConfig(adapter="frozen"))) == set()


def test_lora_trains_adapters_alone_on_every_linear_layer(backbone):
    names = trained(add_adapter(backbone, ModelConfig(adapter="lora")))
    assert all("lora_" in name for name in names)
    assert not any("pooler" in name for name in names)
    assert len(names) == 2 * 2 * 6, "A and B in two layers of six linear maps"


def test_rank(backbone):
    wrapped = add_adapter(backbone, ModelConfig(adapter="lora", lora=LoraConfig(r=3)))
    assert {p.shape[0] for n, p in wrapped.named_parameters() if "lora_A" in n} == {3}


def test_merged_scores_equal_unmerged(backbone):
    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    given = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    wrapped = add_adapter(backbone, ModelConfig(adapter="lora")).eval()
    with torch.no_grad():
        plain = wrapped(**given).last_hidden_state
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
        before = wrapped(**given).last_hidden_state
        merged = merge_adapter(wrapped)
        after = merged(**given).last_hidden_state
    assert not torch.allclose(plain, before, atol=1e-2)
    assert torch.allclose(before, after, atol=1e-5)
    assert not any("lora" in name for name, _ in merged.named_modules())


def test_merging_what_has_no_adapter(backbone):
    assert merge_adapter(backbone) is backbone
    own = nn.Linear(1, 1)
    assert merge_adapter(own) is own


def test_no_such_modules(backbone):
    with pytest.raises(ConfigError, match=r"(?s)'q_proj'.*key, query.*all-linear"):
        add_adapter(backbone, ModelConfig(adapter="lora", lora=LoraConfig(target_modules=["q_proj"])))
