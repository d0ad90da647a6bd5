import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smallprint.modeling.batching import pad_batch, padding_share, plan_batches

LENGTHS = st.lists(st.integers(1, 90), min_size=1, max_size=80).map(lambda x: np.array(x, dtype=np.int64))


@given(LENGTHS, st.integers(16, 300), st.integers(1, 20), st.integers(0, 5))
def test_every_text_once_within_the_budget_and_equally_many_batches_every_epoch(lengths, tokens, size, seed):
    batches = plan_batches(lengths, tokens, size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= size
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= tokens
    assert len(batches) == len(plan_batches(lengths, tokens, size, np.random.default_rng(seed + 1)))
    assert len(batches) == len(plan_batches(lengths, tokens, size))


def test_epochs_mix_anew():
    lengths = np.random.default_rng(0).integers(5, 60, 500)
    first, second = (plan_batches(lengths, 1024, 64, np.random.default_rng([7, epoch])) for epoch in (0, 1))
    assert {tuple(sorted(batch)) for batch in first} != {tuple(sorted(batch)) for batch in second}


def test_padding_is_at_most_a_twentieth_on_lengths_like_those_of_clauses():
    lengths = np.clip(np.random.default_rng(0).gamma(2.0, 20.0, 5000), 4, 256).astype(np.int64)
    share = padding_share(lengths, plan_batches(lengths, 1024, 64, np.random.default_rng(0)))
    assert 0 < share <= 0.05


def test_padding_is_on_the_right_and_masked():
    ids, mask = pad_batch([np.array([5, 6], dtype=np.int32), np.array([7], dtype=np.int32)], pad_id=9)
    assert ids.tolist() == [[5, 6], [7, 9]]
    assert mask.tolist() == [[1, 1], [1, 0]]
