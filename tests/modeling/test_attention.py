"""Attention while training on a processor: the library's own but for where dropout's numbers come from."""

import pytest
import torch
from transformers import AutoConfig, AutoModel

from smallprint.modeling.attention import ALIKE, attend, use_training_attention
from smallprint.modeling.backbone import kind_of, use_attention
from smallprint.modeling.upper_layers import UpperLayers

SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def encoder(kind, **more):
    torch.manual_seed(0)
    return AutoModel.from_config(
        AutoConfig.for_model(kind, **SIZES, max_position_embeddings=40, pad_token_id=1, **more)
    )


@pytest.fixture
def batch():
    ids = torch.randint(5, 60, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 6:], ids[1, 6:] = 0, 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("kind", sorted(ALIKE))
def test_without_dropout_it_is_the_library_s_own_with_its_gradients(kind, batch):
    model = encoder(kind, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
    found = []
    for switch in (lambda: use_attention(model, "eager"), lambda: use_training_attention(model)):
        switch()
        model.zero_grad()
        tokens = model(**batch).last_hidden_state
        (tokens * batch["attention_mask"].unsqueeze(-1)).pow(2).sum().backward()
        found.append(
            (tokens.detach()[batch["attention_mask"] > 0], model.embeddings.word_embeddings.weight.grad.clone())
        )
    assert model.config._attn_implementation == "smallprint_training"
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_weights_are_dropped_at_their_rate_and_only_while_training():
    torch.manual_seed(0)
    module, vectors = torch.nn.Identity(), torch.randn(8, 4, 64, 16)
    _, kept = attend(module.eval(), vectors, vectors, vectors, None, dropout=0.25)
    _, dropped = attend(module.train(), vectors, vectors, vectors, None, dropout=0.25)
    assert (kept > 0).all()
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    left = dropped > 0
    torch.testing.assert_close(dropped[left], kept[left] / 0.75)


def test_a_mask_hides_and_a_width_scales():
    query = torch.randn(1, 1, 3, 4)
    mask = torch.tensor([0.0, 0.0, torch.finfo(torch.float32).min])
    _, weights = attend(torch.nn.Identity().eval(), query, query, query, mask)
    assert (weights[..., 2] == 0).all()
    wanted = (query[..., :2, :] @ query[..., :2, :].transpose(2, 3) / 2).softmax(-1)
    torch.testing.assert_close(weights[..., :2, :2], wanted)


def test_dropout_draws_anew_at_each_seed(batch):
    model = encoder("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5).train()
    use_training_attention(model)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(model(**batch).last_hidden_state)
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_other_kinds_keep_their_own_plain_attention():
    model = encoder("mpnet")
    use_training_attention(model)
    assert model.config._attn_implementation == "eager"
    use_training_attention(torch.nn.Linear(2, 2))


def test_the_kind_is_known_from_the_upper_layers_too(batch):
    model = encoder("bert")
    upper = UpperLayers(model, 1)
    assert kind_of(upper) == "bert"
    use_training_attention(upper)
    assert model.config._attn_implementation == "smallprint_training"
    assert kind_of(torch.nn.Linear(2, 2)) is None
