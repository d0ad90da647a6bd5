from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model, LlamaConfig, LlamaModel, T5Config

from smallprint.core.config import LoraConfig
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.modeling.adapters import add_lora
from smallprint.modeling.classifier import TextClassifier, choose_pooling
from smallprint.modeling.decoder import further_arguments, is_decoder, last_tokens, refuse_encoder_decoder

SIZES = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


def llama():
    torch.manual_seed(0)
    return LlamaModel(LlamaConfig(**SIZES, intermediate_size=48, num_key_value_heads=2)).eval()


def gpt2():
    torch.manual_seed(0)
    return GPT2Model(GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4)).eval()


def bert():
    return BertModel(BertConfig(**SIZES, intermediate_size=48)).eval()


def test_kinds():
    assert is_decoder(llama())
    assert is_decoder(gpt2())
    assert not is_decoder(bert())
    assert not is_decoder(nn.Linear(2, 2))


def test_encoders_get_no_more_arguments():
    assert further_arguments(bert()) == frozenset()
    assert further_arguments(llama()) == {"position_ids", "use_cache"}
    assert further_arguments(add_lora(llama(), LoraConfig(r=2))) == {"position_ids", "use_cache"}


def test_last_tokens_wherever_the_padding_is():
    tokens = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    assert last_tokens(tokens, mask).tolist() == [[2.0, 3.0], [10.0, 11.0]]


@pytest.mark.parametrize("build", [llama, gpt2])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_padding_on_the_left_gives_the_scores_of_padding_on_the_right(build, pooling):
    model = TextClassifier(build(), nn.Linear(32, 3), pooling).eval()
    rows = [[5, 9, 11], [7, 8, 9, 10, 12, 13]]
    right = torch.tensor([[*row, *[0] * (6 - len(row))] for row in rows])
    left = torch.tensor([[*[0] * (6 - len(row)), *row] for row in rows])
    with torch.no_grad():
        alone = torch.cat([model(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long)) for row in rows])
        on_right = model(right, (right > 0).long())
        on_left = model(left, (left > 0).long())
    assert torch.allclose(on_right, alone, atol=1e-5)
    assert torch.allclose(on_left, alone, atol=1e-5)


def test_pooling_of_a_decoder():
    assert choose_pooling("auto", llama()) == "last"
    assert choose_pooling("auto", bert()) == "mean"
    assert choose_pooling("mean", llama()) == "mean"
    assert choose_pooling("cls", bert()) == "cls"
    with pytest.raises(ConfigError, match="first token has read nothing"):
        choose_pooling("cls", llama())


def test_two_halves_are_refused():
    with pytest.raises(TrainingError, match="an encoder with a decoder behind it"):
        refuse_encoder_decoder(SimpleNamespace(config=T5Config()), "t5-small")
    refuse_encoder_decoder(bert(), "bert")
