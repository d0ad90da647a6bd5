"""Matrices as int8: the numbers by hand, what is rounded twice, and which weights of a module it touches."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from smallprint.core.errors import TrainingError
from smallprint.modeling.int8 import dequantise, int8_names, quantise, round_tensor, round_weights


def test_by_hand():
    q, scale = quantise(torch.tensor([[254.0, -2.9, 1.1, 0.0], [0.0, 0.0, 0.0, 0.0], [0.5, -0.5, 0.25, 1e-9]]))
    assert (q.dtype, scale.dtype) == (torch.int8, torch.float32)
    assert q.tolist() == [[127, -1, 1, 0], [0, 0, 0, 0], [127, -127, 64, 0]]
    assert scale.tolist() == [2.0, 1.0, pytest.approx(0.5 / 127)]
    assert dequantise(q, scale)[0].tolist() == [254.0, -2.0, 2.0, 0.0]


def test_no_scale_moves_when_its_largest_number_is_rounded_again():
    for start in range(2**23, 2**24, 2**21):  # every fp32 number between two powers of two; others are these times one
        largest = torch.arange(start, start + 2**21, dtype=torch.int32).float().unsqueeze(1)
        q, scale = quantise(largest)
        assert bool((q == 127).all())
        assert torch.equal(quantise(dequantise(q, scale))[1], scale)


@settings(deadline=None)
@example(0, -149, 5, 7)
@example(0, -130, 5, 7)  # numbers that lack digits: their scales would not come again
@given(st.integers(0, 2**32 - 1), st.integers(-149, 126), st.integers(1, 40), st.integers(1, 40))
def test_rounding_twice_changes_nothing(seed, exponent, rows, columns):
    generator = torch.Generator().manual_seed(seed)
    tensor = (torch.randn(rows, columns, generator=generator).double() * 2.0**exponent).clamp(-3e38, 3e38).float()
    (q, scale), once = quantise(tensor), round_tensor(tensor)
    again = quantise(once)
    assert torch.equal(again[0], q)
    assert torch.equal(again[1], scale)
    assert torch.equal(round_tensor(once), once)
    assert bool((scale >= torch.finfo(torch.float32).tiny).all())
    step = scale.double().unsqueeze(1)
    assert bool(((once.double() - tensor.double()).abs() <= step * 0.50001).all())
    if exponent > -80:
        assert q.abs().amax(dim=1).tolist() == [127] * rows


def test_rows_are_those_of_the_first_dimension_whatever_lies_behind():
    tensor = torch.randn(5, 3, 7, 2) * torch.tensor([1.0, 10, 100, 1000, 0]).view(5, 1, 1, 1)
    q, scale = quantise(tensor)
    assert (q.shape, scale.shape) == (tensor.shape, (5,))
    assert torch.equal(dequantise(q, scale).flatten(1), round_tensor(tensor.flatten(1)))


def test_a_matrix_that_is_not_contiguous():
    tensor = torch.randn(30, 20).t()
    assert torch.equal(round_tensor(tensor), round_tensor(tensor.contiguous()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_by_name(value):
    tensor = torch.ones(3, 4)
    tensor[1, 2] = value
    with pytest.raises(TrainingError, match=r"'head\.weight' holds values that are not finite") as error:
        quantise(tensor, "head.weight")
    assert error.value.do


class Mixed(nn.Module):
    def __init__(self, kind=torch.float32):
        super().__init__()
        self.large, self.small = nn.Linear(64, 64), nn.Linear(63, 65)  # 4,096 and 4,095 numbers
        self.conv = nn.Conv1d(16, 64, 5)
        self.flat = nn.Parameter(torch.randn(5000))
        self.whole = nn.Parameter(torch.ones(64, 64, dtype=torch.int64), requires_grad=False)
        self.register_buffer("table", torch.randn(64, 64))
        self.tied = nn.Linear(64, 64, bias=False)
        self.tied.weight = self.large.weight
        self.to(kind)


def test_which_weights_are_rounded():
    module = Mixed()
    assert int8_names(module) == {"large.weight", "tied.weight", "conv.weight"}
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    objects = dict(module.named_parameters())
    round_weights(module)
    after = module.state_dict()
    assert {name for name in after if not torch.equal(after[name], before[name])} == int8_names(module)
    for name in int8_names(module):
        assert torch.equal(after[name], round_tensor(before[name]))
    assert all(dict(module.named_parameters())[name] is weight for name, weight in objects.items())
    assert module.tied.weight is module.large.weight
    assert module.large.weight.requires_grad
    once = {name: tensor.clone() for name, tensor in after.items()}
    round_weights(module)
    assert all(torch.equal(tensor, once[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_a_module_of_another_type_becomes_fp32_first(kind):
    module = Mixed(kind)
    expected = round_tensor(module.large.weight.detach().float())
    round_weights(module)
    assert module.large.weight.dtype == torch.float32
    assert torch.equal(module.large.weight, expected)


def test_a_module_with_what_is_not_finite():
    module = Mixed()
    nn.init.constant_(module.conv.weight, float("nan"))
    with pytest.raises(TrainingError, match=r"'conv\.weight'"):
        round_weights(module)
