import numpy as np
import pytest
import torch
from torch import nn

from smallprint.core.errors import ConfigError
from smallprint.modeling.heads import BUILT_IN, find_head, linear_head, set_base_rates


@pytest.mark.parametrize("name", BUILT_IN)
def test_heads_map_width_to_outputs(name):
    head = find_head(name)(8, 3)
    assert head(torch.randn(5, 8)).shape == (5, 3)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_the_first_answer_is_the_base_rates(name, task):
    rates = np.array([0.7, 0.2, 0.1])
    head = find_head(name)(8, 3).eval()
    assert set_base_rates(head, rates, task)
    last = {"linear": lambda: head, "mlp": lambda: head[-1], "dense": lambda: head.out}[name]()
    logits = nn.functional.linear(torch.zeros(1, 8), last.weight, last.bias)
    scores = torch.softmax(logits, 1) if task == "multiclass" else torch.sigmoid(logits)
    assert scores[0].tolist() == pytest.approx(rates.tolist(), abs=1e-5)


def test_rates_of_nought_and_one_stay_finite():
    head = linear_head(4, 2)
    set_base_rates(head, np.array([0.0, 1.0]), "multilabel")
    assert head.bias.tolist() == pytest.approx([-9.21024, 9.21024], abs=1e-3)


def test_a_head_without_such_a_layer_is_left_alone():
    assert not set_base_rates(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), np.array([0.5, 0.5]), "multilabel")
    assert not set_base_rates(nn.Linear(4, 2, bias=False), np.array([0.5, 0.5]), "multilabel")


def test_own_heads():
    assert find_head(linear_head) is linear_head
    assert find_head("smallprint.modeling.heads:mlp_head") is BUILT_IN["mlp"]
    with pytest.raises(ConfigError, match=r"'cubic' is not a head \(linear, mlp, dense or svm\)"):
        find_head("cubic")


def test_the_dense_head_starts_from_a_trained_pooler(tiny_backbone):
    from smallprint.modeling.backbone import load_backbone
    from smallprint.modeling.heads import DenseHead, linear_head, start_from_pooler

    backbone, head = load_backbone(str(tiny_backbone)), DenseHead(32, 3)
    assert start_from_pooler(head, backbone)
    assert torch.equal(head.dense.weight, backbone.pooler.dense.weight)
    assert head.dense.weight.data_ptr() != backbone.pooler.dense.weight.data_ptr()
    assert not start_from_pooler(linear_head(32, 3), backbone)
    assert not start_from_pooler(DenseHead(64, 3), backbone)
    assert head(torch.zeros(2, 32)).shape == (2, 3)


def test_a_head_is_checked_without_being_changed():
    from smallprint.modeling.heads import check_head

    head = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
    state = torch.random.get_rng_state()
    check_head(head, 4, 3)
    assert head.training
    assert torch.equal(state, torch.random.get_rng_state())
