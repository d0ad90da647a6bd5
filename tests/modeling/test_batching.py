import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallprint.modeling.batching import pad_batch, padding_share, plan_batches


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=80),
    budget=st.integers(16, 128),
    size=st.integers(1, 20),
    seed=st.integers(0, 100),
)
def test_every_text_once_within_the_budget_in_as_many_batches(lengths, budget, size, seed):
    lengths = np.array(lengths)
    plans = [plan_batches(lengths, budget, size, np.random.default_rng([seed, e])) for e in range(3)]
    plans.append(plan_batches(lengths, budget, size))
    for plan in plans:
        assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
        assert all(len(batch) <= size for batch in plan)
        assert all(len(batch) == 1 or lengths[batch].max() * len(batch) <= budget for batch in plan)
    assert len({len(plan) for plan in plans[:3]}) == 1
    assert len(plans[3]) == len(plans[0])


@pytest.mark.parametrize(("mean", "spread"), [(3.5, 0.6), (2.6, 0.4), (4.5, 0.9)])
def test_padding_is_at_most_a_twentieth(mean, spread):
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(mean, spread, 5000).astype(np.int64) + 2, 3, 256)
    batches = plan_batches(lengths, 1024, 64, rng)
    share = padding_share(lengths, batches)
    assert share <= 0.05
    real = sum(int(pad_batch([np.ones(lengths[i], np.int32) for i in b], 0)[1].sum()) for b in batches)
    full = sum(pad_batch([np.ones(lengths[i], np.int32) for i in b], 0)[0].numel() for b in batches)
    assert share == pytest.approx(1 - real / full)
    assert np.mean([lengths[b].max() * len(b) for b in batches]) > 0.75 * min(1024, 64 * np.mean(lengths))


def test_order_by_length_without_a_generator():
    assert [b.tolist() for b in plan_batches(np.array([9, 3, 5, 3]), 12, 2)] == [[1, 3], [2], [0]]


def test_batches_come_in_no_order_of_length():
    lengths = np.arange(1, 200)
    longest = [(int(lengths[b].max()) + 1) // 2 for b in plan_batches(lengths, 300, 8, np.random.default_rng(0))]
    assert longest != sorted(longest)


def test_a_text_above_the_budget_stands_alone():
    assert sorted(len(b) for b in plan_batches(np.array([500, 4, 4]), 16, 8)) == [1, 2]


def test_pad_batch():
    ids, mask = pad_batch([np.array([5, 6, 7], np.int32), np.array([8], np.int32)], pad_id=9)
    assert ids.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_no_texts():
    assert plan_batches(np.array([], dtype=np.int64), 16, 8) == []
    assert padding_share(np.array([], dtype=np.int64), []) == 0.0
