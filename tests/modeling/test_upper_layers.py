"""Upper layers over stored states do what the whole encoder does, with its own weights, for encoders of several makes."""

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    RobertaConfig,
    RobertaModel,
)

from smallprint.core.errors import ConfigError
from smallprint.modeling.upper_layers import LowerLayers, UpperLayers, find_layers, freeze_lower

SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
MAKES = {
    "bert": lambda: BertModel(BertConfig(**SIZES, max_position_embeddings=40)),
    "mpnet": lambda: MPNetModel(MPNetConfig(**SIZES, max_position_embeddings=40)),
    "roberta": lambda: RobertaModel(RobertaConfig(**SIZES, max_position_embeddings=40)),
    "distilbert": lambda: DistilBertModel(
        DistilBertConfig(vocab_size=60, dim=16, n_layers=3, n_heads=2, hidden_dim=32, max_position_embeddings=40)
    ),
}


@pytest.fixture(params=list(MAKES))
def backbone(request):
    torch.manual_seed(0)
    return MAKES[request.param]().eval()


@pytest.fixture
def batch():
    ids = torch.randint(5, 60, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 6:], ids[1, 6:] = 0, 1
    return ids, mask


@pytest.mark.parametrize("n_trained", [1, 2])
def test_lower_then_upper_is_the_whole(backbone, batch, n_trained):
    ids, mask = batch
    with torch.no_grad():
        whole = backbone(input_ids=ids, attention_mask=mask).last_hidden_state
        lower = LowerLayers(backbone, 3 - n_trained)
        hidden = lower(ids, mask)
        upper = UpperLayers(backbone, n_trained).eval()
        upper.take_form(lower.as_tuple)
        ours = upper(hidden, mask)
    assert torch.allclose(ours[mask.bool()], whole[mask.bool()], atol=1e-6)


def test_training_the_upper_layers_trains_the_encoder_and_nothing_below(backbone, batch):
    ids, mask = batch
    freeze_lower(backbone, 1)
    before = {name: weight.clone() for name, weight in backbone.named_parameters()}
    lower = LowerLayers(backbone, 2)
    with torch.no_grad():
        hidden = lower(ids, mask)
    upper = UpperLayers(backbone, 1)
    upper.take_form(lower.as_tuple)
    torch.optim.SGD([p for p in upper.parameters() if p.requires_grad], lr=1.0).zero_grad()
    (upper(hidden, mask) ** 3).sum().backward()
    with torch.no_grad():
        for parameter in upper.parameters():
            if parameter.grad is not None:
                parameter -= parameter.grad
    moved = {name for name, weight in backbone.named_parameters() if not torch.equal(weight, before[name])}
    name, layers = find_layers(backbone)
    assert moved
    assert all(key.startswith(f"{name}.{len(layers) - 1}.") for key in moved)


def test_the_encoder_itself_is_left_whole(backbone, batch):
    ids, mask = batch
    with torch.no_grad():
        before = backbone(input_ids=ids, attention_mask=mask).last_hidden_state
        UpperLayers(backbone, 1)
        lower = LowerLayers(backbone, 2)
        lower(ids, mask)
        after = backbone(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.equal(before, after)
    assert len(find_layers(backbone)[1]) == 3


def test_the_choice_of_attention_reaches_the_encoder(backbone):
    chosen = []
    backbone.set_attn_implementation = chosen.append
    UpperLayers(backbone, 1).set_attn_implementation("eager")
    assert chosen == ["eager"]


@pytest.mark.parametrize("n_trained", [3, 9])
def test_all_layers_are_no_part(backbone, n_trained):
    with pytest.raises(ConfigError, match=r"the backbone has 3 layers"):
        freeze_lower(backbone, n_trained)


def test_a_backbone_without_layers_is_refused():
    with pytest.raises(ConfigError, match="cannot be told apart"):
        freeze_lower(nn.Linear(2, 2), 1)
