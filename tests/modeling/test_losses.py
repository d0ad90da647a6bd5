import numpy as np
import pytest
import torch
from torch.nn import functional

from smallprint.core.errors import ConfigError
from smallprint.modeling.losses import asymmetric, balanced_weights, bce, build_loss, cross_entropy

LOGITS = torch.tensor([[0.3, -2.0, 4.0], [-1.0, 0.5, -3.0]])
TARGETS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])


def test_plain_losses_are_torchs():
    assert torch.equal(bce(LOGITS, TARGETS), functional.binary_cross_entropy_with_logits(LOGITS, TARGETS))
    ids = torch.tensor([2, 0])
    assert torch.equal(cross_entropy(LOGITS, ids), functional.cross_entropy(LOGITS, ids))
    weight = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(cross_entropy(LOGITS, ids, weight), functional.cross_entropy(LOGITS, ids, weight))


def test_weights_count_for_positives_only():
    weight = torch.tensor([2.0, 3.0, 4.0])
    expected = functional.binary_cross_entropy_with_logits(LOGITS, TARGETS, pos_weight=weight)
    torch.testing.assert_close(bce(LOGITS, TARGETS, weight), expected)


def test_focal_loss_is_its_formula():
    p = torch.sigmoid(LOGITS)
    pt = torch.where(TARGETS == 1, p, 1 - p)
    torch.testing.assert_close(bce(LOGITS, TARGETS, gamma=2.0), (-((1 - pt) ** 2) * pt.log()).mean())
    q = torch.softmax(LOGITS, 1)[[0, 1], [2, 0]]
    torch.testing.assert_close(
        cross_entropy(LOGITS, torch.tensor([2, 0]), gamma=2.0), (-((1 - q) ** 2) * q.log()).mean()
    )


def test_asymmetric_loss_by_hand():
    p = 1 / (1 + np.exp(-0.3))
    positive = -np.log(p) * (1 - p)
    n = 1 / (1 + np.exp(2.0)) - 0.05  # margin taken off the score of the negative
    negative = -np.log(1 - n) * n**4
    loss = asymmetric(torch.tensor([[0.3, -2.0]]), torch.tensor([[1.0, 0.0]]))
    assert float(loss) == pytest.approx((positive + negative) / 2, rel=1e-5)
    assert float(asymmetric(torch.tensor([[-9.0]]), torch.tensor([[0.0]]))) == 0  # an easy negative counts nothing


@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric", "cross_entropy"])
def test_every_loss_has_a_finite_gradient_at_extremes(name):
    task = "multiclass" if name == "cross_entropy" else "multilabel"
    logits = torch.tensor([[80.0, -80.0, 0.0]], requires_grad=True)
    targets = torch.tensor([1]) if task == "multiclass" else torch.tensor([[0.0, 1.0, 1.0]])
    build_loss(name, task, np.ones(3))(logits, targets).backward()
    assert torch.isfinite(logits.grad).all()


def test_balanced_weights():
    ids = np.array([0, 0, 0, 1])
    np.testing.assert_allclose(balanced_weights(ids, "multiclass", 2), [4 / 6, 2])
    matrix = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0]])
    np.testing.assert_allclose(balanced_weights(matrix, "multilabel", 2), [0.5, 2])


def test_a_loss_that_does_not_fit_or_exist_is_told():
    for name, task in (("bce", "multiclass"), ("cross_entropy", "binary"), ("hinge", "binary")):
        with pytest.raises(ConfigError):
            build_loss(name, task)
    own = build_loss(lambda logits, targets: logits.sum(), "binary")
    assert float(own(LOGITS, TARGETS)) == pytest.approx(float(LOGITS.sum()))
