import numpy as np
import pytest

from smallprint.core.errors import DataError
from smallprint.evaluation.intervals import bootstrap_interval


def share(sums):
    return sums[:, 0] / sums[:, 1]


def coin(n, hits):
    return np.column_stack([np.arange(n) < hits, np.ones(n)]).astype(np.int64)


def test_a_share_has_the_textbook_interval():
    found = bootstrap_interval(coin(400, 100), share, resamples=4000)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (found.low, found.high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.006)
    assert (found.units, found.over_groups, found.resamples, found.level) == (400, False, 4000, 0.95)


def test_equals_drawing_examples_one_by_one():
    counts = coin(50, 20)
    rng = np.random.default_rng(7)
    one_by_one = [counts[rng.integers(0, 50, 50), 0].mean() for _ in range(4000)]
    found = bootstrap_interval(counts, share, resamples=4000)
    assert (found.low, found.high) == pytest.approx(np.quantile(one_by_one, [0.025, 0.975]), abs=0.021)


def test_the_same_seed_gives_the_same_interval_however_it_is_cut(monkeypatch):
    rng = np.random.default_rng(0)
    counts = np.column_stack([rng.integers(0, 9, 60), np.full(60, 9)])
    first = bootstrap_interval(counts, share, seed=3)
    assert bootstrap_interval(counts, share, seed=3) == first
    assert bootstrap_interval(counts, share, seed=4) != first
    monkeypatch.setattr("smallprint.evaluation.intervals.CELLS_AT_ONCE", 100)
    assert bootstrap_interval(counts, share, seed=3) == first


def test_groups_are_drawn_whole():
    counts = np.repeat(coin(20, 10), 50, axis=0)  # 50 equal examples a group
    groups = np.repeat(np.arange(20), 50).tolist()
    alone, together = bootstrap_interval(counts, share), bootstrap_interval(counts, share, groups=groups)
    assert together.high - together.low > 5 * (alone.high - alone.low)
    assert (together.units, together.over_groups) == (20, True)


def test_a_missing_group_is_one_of_its_own_and_mixed_kinds_are_told_apart():
    assert bootstrap_interval(coin(6, 3), share, groups=["a", "a", None, None, 1, "1"]).units == 5


def test_fewer_than_two_units_have_no_interval():
    assert bootstrap_interval(coin(1, 1), share) is None
    assert bootstrap_interval(coin(5, 1), share, groups=["x"] * 5) is None


def test_groups_of_other_examples_are_an_error():
    with pytest.raises(DataError, match="2 group values for 3"):
        bootstrap_interval(coin(3, 1), share, groups=["a", "b"])


def test_all_resamples_are_drawn_at_once_as_far_as_memory_goes(steps, monkeypatch):
    counts = (np.random.default_rng(0).random((2000, 24)) < 0.5).astype(np.int32)  # no two rows alike
    shapes = []

    def mean(sums):
        shapes.append(sums.shape)
        return sums.mean(axis=1)

    few = steps(lambda: bootstrap_interval(counts[:20], mean))
    assert steps(lambda: bootstrap_interval(counts, mean)) == few, "no loop over examples"
    assert shapes == [(1000, 24)] * 2
    whole = bootstrap_interval(counts, mean)
    monkeypatch.setattr("smallprint.evaluation.intervals.CELLS_AT_ONCE", 300 * 2000)
    shapes.clear()
    assert bootstrap_interval(counts, mean) == whole
    assert [rows for rows, _ in shapes] == [300, 300, 300, 100]


def test_small_integers_of_a_large_group_do_not_overflow():
    counts = np.ones((600, 1), dtype=np.int8)
    interval = bootstrap_interval(counts, lambda sums: sums[:, 0], groups=[i // 300 for i in range(600)])
    assert (interval.low, interval.high) == (600.0, 600.0)
