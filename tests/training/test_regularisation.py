"""R-Drop's penalty by hand, word vectors moved and put back, and both inside a training step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from smallprint.core.errors import ConfigError
from smallprint.modeling.losses import build_loss
from smallprint.training.module import ClassifierModule
from smallprint.training.regularisation import disagreement, moved, word_vectors


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_disagreement_is_the_mean_of_both_divergences(task):
    one, other = torch.randn(5, 3), torch.randn(5, 3)
    if task == "multiclass":
        kinds = [torch.distributions.Categorical(logits=logits) for logits in (one, other)]
    else:
        kinds = [torch.distributions.Bernoulli(logits=logits) for logits in (one, other)]
    divergences = [torch.distributions.kl_divergence(*pair).mean() for pair in (kinds, kinds[::-1])]
    assert float(disagreement(one, other, task)) == pytest.approx(float(sum(divergences)) / 2, rel=1e-4)
    assert float(disagreement(one, one, task)) == 0.0


def test_vectors_are_moved_uphill_by_the_step_and_put_back_bit_for_bit():
    weight = nn.Parameter(torch.tensor([[3.0, 4.0], [1.0, 1.0]]))
    before = weight.detach().clone()
    loss = (weight[0] ** 2).sum() / 2  # the gradient is the vector itself
    with moved(weight, loss, 0.5):
        assert torch.allclose(weight.detach()[0], torch.tensor([3.3, 4.4]))
        assert torch.equal(weight.detach()[1], before[1])
    assert torch.equal(weight.detach(), before)
    loss.backward()  # the graph is still there


def test_a_loss_without_slope_moves_nothing():
    weight = nn.Parameter(torch.ones(2, 2))
    with moved(weight, (weight * 0).sum(), 1.0):
        assert torch.equal(weight.detach(), torch.ones(2, 2))


def test_vectors_that_are_not_trained_are_refused():
    with pytest.raises(ConfigError, match="no word vectors"):
        word_vectors(nn.Linear(2, 2))
    backbone = nn.Module()
    backbone.get_input_embeddings = lambda: nn.Embedding(3, 2).requires_grad_(False)
    with pytest.raises(ConfigError, match=r"model\.adapter=full"):
        word_vectors(backbone)


def step(toy, **training):
    torch.manual_seed(0)
    config = toy.config(**training)
    classifier = toy.classifier(config)
    classifier.backbone.get_input_embeddings = lambda: classifier.backbone.embed
    module = ClassifierModule(classifier.train(), build_loss("auto", "multilabel"), "multilabel", config.training, 20)
    module.log = lambda *_, **__: None
    batch = next(iter(toy.data(config).train_dataloader()))
    torch.manual_seed(1)
    return module, batch, module.training_step(batch, 0)


def test_both_are_off_by_default(toy):
    module, batch, loss = step(toy)
    torch.manual_seed(1)
    assert torch.equal(loss, module.loss(module._logits(batch), batch["targets"]))


@pytest.mark.parametrize(
    ("settings", "less"), [({"r_drop": 5.0}, {"r_drop": 1e-9}), ({"adversarial": 1.0}, {"adversarial": 0.0})]
)
def test_each_adds_to_the_loss_and_leaves_the_weights(settings, less, toy):
    plain = step(toy, **less)[2]
    module, _, loss = step(toy, **settings)
    assert float(loss.detach()) > float(plain.detach())
    before = module.classifier.backbone.embed.weight.detach().clone()
    loss.backward()
    assert torch.equal(module.classifier.backbone.embed.weight, before)
    assert module.classifier.backbone.embed.weight.grad.abs().sum() > 0
