import numpy as np
import pytest
import torch
from torch.nn import functional

from smallprint.core.errors import ConfigError
from smallprint.modeling.losses import asymmetric, balanced_weights, bce, build_loss, cross_entropy

LOGITS = torch.tensor([[0.3, -2.0, 4.0], [-7.0, 0.0, 1.5], [9.0, -0.4, -30.0], [0.1, 0.2, 0.3]])
MANY = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]])
ONE = torch.tensor([2, 0, 0, 1])
WEIGHT = torch.tensor([1.0, 3.0, 0.5])


def test_without_focusing_they_are_torchs():
    assert torch.allclose(bce(LOGITS, MANY), functional.binary_cross_entropy_with_logits(LOGITS, MANY.float()))
    weighed = functional.binary_cross_entropy_with_logits(LOGITS, MANY.float(), pos_weight=WEIGHT)
    assert torch.allclose(bce(LOGITS, MANY, WEIGHT), weighed)
    assert torch.allclose(cross_entropy(LOGITS, ONE), functional.cross_entropy(LOGITS, ONE))
    weighed = functional.cross_entropy(LOGITS, ONE, weight=WEIGHT)
    assert torch.allclose(cross_entropy(LOGITS, ONE, WEIGHT), weighed)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 3.0])
def test_focal_by_its_formula(gamma):
    logits = LOGITS.double()
    p = torch.sigmoid(logits)
    right = torch.where(MANY == 1, p, 1 - p)
    assert torch.allclose(bce(logits, MANY, gamma=gamma), (-((1 - right) ** gamma) * right.log()).mean())
    right = torch.softmax(logits, 1)[torch.arange(4), ONE]
    assert torch.allclose(cross_entropy(logits, ONE, gamma=gamma), (-((1 - right) ** gamma) * right.log()).mean())


def test_asymmetric_by_hand():
    total = 0.0
    for row, truths in zip(LOGITS.double().tolist(), MANY.tolist(), strict=True):
        for x, truth in zip(row, truths, strict=True):
            p = 1 / (1 + np.exp(-x))
            shifted = max(p - 0.05, 0.0)
            total -= (1 - p) * np.log(p) if truth else shifted**4 * np.log(max(1 - shifted, 1e-8))
    assert float(asymmetric(LOGITS.double(), MANY)) == pytest.approx(total / 12, rel=1e-9)
    assert float(asymmetric(torch.tensor([[-4.0]]), torch.tensor([[0]]))) == 0.0, "very easy negatives count nothing"


def test_asymmetric_weighs_positives():
    one = float(asymmetric(torch.zeros(1, 1), torch.ones(1, 1)))
    assert float(asymmetric(torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([3.0]))) == pytest.approx(3 * one)
    weight = torch.tensor([3.0])
    none = torch.zeros(1, 1)
    assert float(asymmetric(none, none, weight)) == float(asymmetric(none, none))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("name", ["auto", "bce", "cross_entropy", "focal", "asymmetric"])
def test_every_loss_has_a_finite_gradient_or_is_refused(name, task):
    fits = {"bce": task != "multiclass", "asymmetric": task != "multiclass", "cross_entropy": task == "multiclass"}
    if not fits.get(name, True):
        with pytest.raises(ConfigError, match=f"'{name}' does not fit a {task} task"):
            build_loss(name, task)
        return
    logits = (LOGITS * 10).requires_grad_()
    value = build_loss(name, task, np.array([1.0, 2.0, 3.0]))(logits, ONE if task == "multiclass" else MANY.float())
    value.backward()
    assert value.ndim == 0
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0


def test_auto():
    assert torch.equal(build_loss("auto", "multiclass")(LOGITS, ONE), cross_entropy(LOGITS, ONE))
    assert torch.equal(build_loss("auto", "binary")(LOGITS, MANY), bce(LOGITS, MANY))
    assert torch.equal(build_loss("focal", "multilabel")(LOGITS, MANY), bce(LOGITS, MANY, gamma=2.0))


def test_own_losses():
    def own(logits, targets):
        return logits.sum()

    assert build_loss(own, "binary") is own
    assert build_loss("smallprint.modeling.losses:bce", "binary") is bce
    with pytest.raises(ConfigError, match="'hinge' is not a loss"):
        build_loss("hinge", "binary")


def test_balanced_weights():
    ids = np.array([0] * 6 + [1] * 3 + [2])
    assert balanced_weights(ids, "multiclass", 3) == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    hits = np.array([[1, 0]] * 2 + [[0, 0]] * 8)
    assert balanced_weights(hits, "multilabel", 2) == pytest.approx([2.0, 3.0])
    assert balanced_weights(np.ones((4, 1)), "binary", 1) == pytest.approx([0.5])
    assert np.isfinite(balanced_weights(ids, "multiclass", 4)).all()
