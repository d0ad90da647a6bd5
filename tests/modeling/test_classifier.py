import numpy as np
import pytest
import torch
from torch import nn

from smallprint.core.config import ModelConfig
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.parts import Parts
from smallprint.modeling.backbone import load_backbone, load_tokenizer, width_of
from smallprint.modeling.classifier import build_classifier, pool
from smallprint.modeling.dropout import ByteDropout, use_byte_dropout
from smallprint.modeling.heads import find_head, set_base_rates
from smallprint.modeling.tokenizer import tokenize

RATES = np.array([0.5, 0.1, 0.01])


def build(tiny_backbone, parts=None, **settings):
    return build_classifier(ModelConfig(backbone=str(tiny_backbone), **settings), 3, RATES, "multilabel", parts)


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_the_head_starts_at_the_base_rates(tiny_backbone, head):
    classifier = build(tiny_backbone, head=head)
    bias = [m for m in classifier.head.modules() if isinstance(m, nn.Linear)][-1].bias
    np.testing.assert_allclose(torch.sigmoid(bias).detach(), RATES, rtol=1e-5)
    exclusive = nn.Linear(4, 3)
    assert set_base_rates(exclusive, np.array([0.7, 0.2, 0.1]), "multiclass")
    np.testing.assert_allclose(torch.softmax(exclusive.bias, 0).detach(), [0.7, 0.2, 0.1], rtol=1e-5)
    assert not set_base_rates(nn.Identity(), RATES, "multilabel")


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_padding_never_counts(tiny_backbone, pooling):
    classifier = build(tiny_backbone, pooling=pooling).eval()
    ids = torch.tensor([[2, 10, 11, 3]])
    padded = torch.tensor([[2, 10, 11, 3, 0, 0]])
    with torch.no_grad():
        short = classifier(ids, torch.ones_like(ids))
        long = classifier(padded, torch.tensor([[1, 1, 1, 1, 0, 0]]))
    torch.testing.assert_close(short, long, atol=1e-5, rtol=0)


def test_pooling_by_hand():
    tokens, mask = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])
    assert [float(pool(tokens, mask, how)) for how in ("mean", "cls", "max")] == [2.0, 1.0, 3.0]


@pytest.mark.parametrize(("adapter", "trained"), [("full", "all"), ("lora", "lora_"), ("frozen", "none")])
def test_an_adapter_chooses_what_is_trained(tiny_backbone, adapter, trained):
    classifier = build(tiny_backbone, adapter=adapter)
    names = [n for n, p in classifier.backbone.named_parameters() if p.requires_grad]
    assert not [n for n in names if "pooler" in n]
    assert {"all": len(names) > 20, "lora_": names and all("lora_" in n for n in names), "none": not names}[trained]
    assert all(p.requires_grad for p in classifier.head.parameters())
    classifier.train()
    assert classifier.backbone.training == (adapter != "frozen")


def test_merged_adapters_give_the_scores_of_unmerged_ones(tiny_backbone):
    classifier = build(tiny_backbone, adapter="lora").eval()
    plain = build(tiny_backbone).eval()
    for name, parameter in classifier.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.2)
    ids = torch.tensor([[2, 10, 11, 3]])
    with torch.no_grad():
        before = classifier.embed(ids, torch.ones_like(ids))
        classifier.merge()
        after = classifier.embed(ids, torch.ones_like(ids))
        assert not torch.allclose(before, plain.embed(ids, torch.ones_like(ids)), atol=1e-3)
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)
    assert not [n for n in classifier.state_dict() if "lora" in n]


def test_lora_on_modules_that_are_not_there(tiny_backbone):
    with pytest.raises(ConfigError, match="query"):
        build(tiny_backbone, adapter="lora", lora={"target_modules": ["nope"]})


def test_own_parts_stand_in(tiny_backbone):
    class Bag(nn.Module):
        hidden_size = 4

        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(200, 4)

        def forward(self, input_ids, attention_mask):
            return self.table(input_ids)

    parts = Parts(backbone=Bag(), head=lambda width, n: nn.Linear(width, n, bias=False))
    logits = build(tiny_backbone, parts)(torch.tensor([[1, 2]]), torch.tensor([[1, 1]]))
    assert logits.shape == (1, 3)
    assert find_head("torch.nn:Linear") is nn.Linear
    with pytest.raises(TrainingError, match="hidden_size"):
        width_of(nn.Identity())


def test_backbones_that_cannot_be_loaded(tmp_path, tiny_backbone, monkeypatch):
    with pytest.raises(TrainingError, match="does not exist"):
        load_backbone(str(tmp_path / "none"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TrainingError, match="without a network|Without a network"):
        load_backbone("nobody/nothing")
    remote = tmp_path / "remote"
    remote.mkdir()
    (remote / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoModel": "evil.Model", "AutoConfig": "evil.C"}}'
    )
    (remote / "evil.py").write_text("raise SystemExit('was run')")
    with pytest.raises(TrainingError):
        load_backbone(str(remote))
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text((tiny_backbone / "config.json").read_text())
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(TrainingError, match="safetensors"):
        load_backbone(str(pickled))


def test_texts_that_are_cut_are_counted(tiny_backbone):
    tokens = tokenize(load_tokenizer(str(tiny_backbone)), ["we may end", "we " * 50, ""], 10)
    assert tokens.n_truncated == 1
    assert tokens.lengths.tolist() == [5, 10, 2]


def test_byte_dropout_drops_its_share_scales_the_rest_and_sleeps_in_evaluation():
    layer, x = ByteDropout(0.1), torch.ones(200, 1001)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(first, layer(x))
    assert not torch.equal(first, layer(x))
    assert float((first == 0).float().mean()) == pytest.approx(26 / 256, abs=0.003)
    assert float(first.mean()) == pytest.approx(1, abs=0.01)
    assert torch.equal(layer.eval()(x), x)


def test_every_dropout_is_replaced_and_keeps_its_mode(tiny_backbone):
    classifier = build(tiny_backbone).train()
    use_byte_dropout(classifier)
    kinds = {type(m) for m in classifier.modules() if "Dropout" in type(m).__name__}
    assert kinds == {ByteDropout}
    ids = torch.tensor([[2, 10, 11, 3]])
    assert not torch.equal(classifier(ids, torch.ones_like(ids)), classifier(ids, torch.ones_like(ids)))
