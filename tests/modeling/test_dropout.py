import pytest
import torch
from torch import nn

from smallprint.modeling.dropout import ByteDropout, use_byte_dropout


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_rate_and_scale(p):
    torch.manual_seed(0)
    out = ByteDropout(p)(torch.ones(300, 1001))
    dropped = float((out == 0).float().mean())
    assert dropped == pytest.approx(p, abs=0.005)
    kept = out[out != 0]
    assert torch.equal(kept, kept[:1].expand_as(kept))
    assert float(kept[0]) == pytest.approx(1 / (1 - round(p * 256) / 256))
    assert float(out.mean()) == pytest.approx(1, abs=0.02)


def test_neighbours_are_independent():
    torch.manual_seed(0)
    kept = (ByteDropout(0.5)(torch.ones(1, 400_000)) != 0).float()[0]
    for gap in (1, 2, 7, 8, 9):
        together = torch.corrcoef(torch.stack([kept[:-gap], kept[gap:]]))[0, 1]
        assert abs(float(together)) < 0.01


@pytest.mark.parametrize("shape", [(), (1,), (7,), (8,), (3, 5, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shape_and_type_stay(shape, dtype):
    out = ByteDropout(0.5)(torch.ones(shape, dtype=dtype))
    assert out.shape == torch.Size(shape)
    assert out.dtype == dtype


def test_identity_where_nothing_is_dropped():
    x = torch.randn(4, 4)
    assert ByteDropout(0.5).eval()(x) is x
    assert ByteDropout(0.0)(x) is x


def test_the_gradient_is_that_of_what_is_kept():
    x = torch.ones(1000, requires_grad=True)
    out = ByteDropout(0.3)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


def test_one_seed_one_mask():
    layer, x = ByteDropout(0.5), torch.ones(1000)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def test_nearly_all_dropped_is_still_a_number():
    assert torch.isfinite(ByteDropout(0.999)(torch.ones(1000))).all()


def test_replacing():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2), nn.Sequential(nn.Dropout(0.4), nn.Dropout(1.0)))
    model[2].eval()
    use_byte_dropout(model)
    assert [type(m) for m in (model[1], model[2][0], model[2][1])] == [ByteDropout, ByteDropout, nn.Dropout]
    assert (model[1].p, model[2][0].p) == (0.2, 0.4)
    assert model[1].training
    assert not model[2][0].training
