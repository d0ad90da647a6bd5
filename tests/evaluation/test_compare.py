import numpy as np
import pytest
from sklearn.metrics import f1_score

from smallprint.core.errors import ConfigError, DataError
from smallprint.evaluation.compare import (
    almost_stochastic_order,
    approximate_randomisation,
    f1_counts,
    macro_f1_of,
    micro_f1_of,
    paired_bootstrap,
)
from smallprint.evaluation.intervals import bootstrap_interval
from smallprint.evaluation.lexglue import lexglue_f1_of_decisions


def share(sums):
    return sums[:, 0] / sums[:, 1]


def right(answers):
    """Counts of a share: right or not, and a one."""
    answers = np.asarray(answers)
    return np.column_stack([answers, np.ones(len(answers))]).astype(np.int64)


def two_systems(n=400, better=0.15, seed=1):
    """Both mostly right on the same examples; B is right on a few more."""
    rng = np.random.default_rng(seed)
    easy = rng.random(n) < 0.6
    return right(easy), right(easy | (rng.random(n) < better))


def test_equal_systems_do_not_differ():
    counts, _ = two_systems()
    found = paired_bootstrap(counts, counts, share)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert not found.better
    assert approximate_randomisation(counts, counts, share, trials=100) == 1


def test_a_clear_difference_is_found_and_has_a_side():
    a, b = two_systems()
    found = paired_bootstrap(a, b, share)
    assert found.difference == pytest.approx((b.sum(axis=0) - a.sum(axis=0))[0] / 400)
    assert 0 < found.low < found.difference < found.high
    assert found.better
    assert found.p == pytest.approx(2 / 2001)
    turned = paired_bootstrap(b, a, share)
    assert (turned.difference, turned.p) == (-found.difference, found.p)
    assert turned.high < 0
    assert not turned.better
    assert approximate_randomisation(a, b, share) == pytest.approx(1 / 5001)
    assert approximate_randomisation(b, a, share) == pytest.approx(1 / 5001)


def test_both_systems_are_drawn_together():
    a, b = two_systems(better=0.05)
    paired = paired_bootstrap(a, b, share)
    alone = bootstrap_interval(a, share)
    assert paired.high - paired.low < (alone.high - alone.low) / 2
    gained = (b - a)[:, 0].mean()  # each example adds 0 or 1
    half = 1.96 * np.sqrt(gained * (1 - gained) / 400)
    assert (paired.low, paired.high) == pytest.approx((gained - half, gained + half), abs=0.005)


def test_a_difference_within_chance_is_not_better():
    rng = np.random.default_rng(0)
    found = paired_bootstrap(right(rng.random(200) < 0.5), right(rng.random(200) < 0.52), share)
    assert found.low < 0 < found.high
    assert not found.better
    assert found.p > 0.05


def test_the_seed_decides_and_the_order_of_rows_does_not():
    a, b = two_systems(better=0.05)
    order = np.random.default_rng(1).permutation(len(a))
    first = paired_bootstrap(a, b, share, seed=3)
    assert paired_bootstrap(a, b, share, seed=3) == first
    assert paired_bootstrap(a[order], b[order], share, seed=3) == first
    assert paired_bootstrap(a, b, share, seed=4) != first
    b[:9, 0] = 1 - b[:9, 0]
    p = approximate_randomisation(a, b, share, seed=3)
    assert approximate_randomisation(a, b, share, seed=3) == p
    assert approximate_randomisation(a[order], b[order], share, seed=3) == p
    assert len({approximate_randomisation(a, b, share, seed=seed) for seed in range(5)}) > 1


def test_groups_are_drawn_and_swapped_whole():
    a, b = (np.repeat(right(answers), 40, axis=0) for answers in ([1, 0, 1, 0, 0, 1], [1, 1, 1, 1, 0, 0]))
    groups = np.repeat(np.arange(6), 40).tolist()
    alone, together = paired_bootstrap(a, b, share), paired_bootstrap(a, b, share, groups=groups)
    assert (alone.units, alone.over_groups, together.units, together.over_groups) == (240, False, 6, True)
    assert alone.better
    assert not together.better
    assert approximate_randomisation(a, b, share) < 0.001
    # Three groups differ, two for B: of the 8 ways to swap them the size is below the real one in none.
    assert approximate_randomisation(a, b, share, groups=groups, trials=500) == 1


def test_randomisation_of_few_units_is_the_exact_count():
    a, b = right(np.zeros(5)), right(np.ones(5))
    assert approximate_randomisation(a, b, share, trials=20_000) == pytest.approx(2 / 2**5, abs=0.006)
    assert approximate_randomisation(a[:1], b[:1], share, trials=50) == 1


def test_equally_large_differences_count_however_they_are_rounded():
    a, b = np.full((10, 1), 0.1), np.full((10, 1), 0.2)
    a[:3], b[:3] = 0.7, 0.3
    exact = approximate_randomisation(10 * a, 10 * b, lambda sums: sums[:, 0], trials=2000)
    for factor in (1, 1 / 3, 1 / 7):
        assert approximate_randomisation(a * factor, b * factor, lambda sums: sums[:, 0], trials=2000) == exact


def test_p_is_uniform_where_nothing_differs():
    rng = np.random.default_rng(0)
    p = []
    for trial in range(200):
        a, b = rng.normal(size=(40, 1)), rng.normal(size=(40, 1))
        p.append(approximate_randomisation(a, b, lambda sums: sums[:, 0], trials=199, seed=trial))
    assert np.mean(p) == pytest.approx(0.5, abs=0.07)
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.06)


def test_cutting_the_draws_changes_no_p(monkeypatch):
    a, b = two_systems(n=60, better=0.05, seed=2)
    a[:4, 0], b[:4, 0] = 1, 0
    first = approximate_randomisation(a, b, share, seed=1)
    monkeypatch.setattr("smallprint.evaluation.compare.CELLS_AT_ONCE", 50)
    assert approximate_randomisation(a, b, share, seed=1) == first
    assert 0.05 < first < 1


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8])
def test_small_integers_neither_wrap_nor_overflow(dtype):
    a, b = np.zeros((600, 2), dtype=dtype), np.ones((600, 2), dtype=dtype)
    a[:, 1] = True
    groups = [row % 2 for row in range(600)]  # 300 a group, past int8 and uint8
    assert paired_bootstrap(a, b, share, groups=groups).difference == 1
    assert paired_bootstrap(a, b, share, groups=groups).low == 1
    assert approximate_randomisation(b, a, share) < 0.001


@pytest.mark.parametrize("compare", [paired_bootstrap, approximate_randomisation])
def test_counts_that_do_not_fit_are_an_error(compare):
    a, b = two_systems()
    with pytest.raises(DataError, match="shapes"):
        compare(a, b[:1], share)  # would broadcast
    with pytest.raises(DataError, match="shapes"):
        compare(a[:0], b[:0], share)
    with pytest.raises(DataError, match="finite"):
        compare(a, np.where(b == 1, np.nan, 0), share)
    with pytest.raises(DataError, match="2 group values"):
        compare(a, b, share, groups=["x", "y"])


def test_arguments_that_cannot_be_used_are_an_error():
    a, b = two_systems()
    with pytest.raises(DataError, match="one example or group"):
        paired_bootstrap(a, b, share, groups=["x"] * 400)
    with pytest.raises(ConfigError, match="0 resamples"):
        paired_bootstrap(a, b, share, resamples=0)
    with pytest.raises(ConfigError, match="level is 95"):
        paired_bootstrap(a, b, share, level=95)
    with pytest.raises(ConfigError, match="0 trials"):
        approximate_randomisation(a, b, share, trials=0)


def test_f1_of_sums_equals_scikit_learn():
    rng = np.random.default_rng(0)
    truth, decided = (rng.random((50, 4)) < 0.3).astype(np.int8), rng.random((50, 4)) < 0.4
    truth[:, 3], decided[:, 3] = 0, 0
    counts = f1_counts(truth, decided)
    assert counts.shape == (50, 12)
    sums = counts.sum(axis=0, keepdims=True)
    for statistic, average in ((macro_f1_of, "macro"), (micro_f1_of, "micro")):
        wanted = f1_score(truth, decided, average=average, zero_division=0)
        assert statistic(np.vstack([sums, 2 * sums])) == pytest.approx([wanted, wanted])


def test_the_none_column_is_lexglues():
    rng = np.random.default_rng(0)
    truth, decided = (rng.random((50, 3)) < 0.2).astype(int), rng.random((50, 3)) < 0.2
    sums = f1_counts(truth, decided, none_column=True).sum(axis=0, keepdims=True)
    assert (micro_f1_of(sums)[0], macro_f1_of(sums)[0]) == pytest.approx(lexglue_f1_of_decisions(truth, decided))
    assert sums.shape == (1, 12)


def test_f1_counts_go_into_both_comparisons():
    rng = np.random.default_rng(0)
    truth = (rng.random((300, 3)) < 0.3).astype(np.int8)
    a, b = (f1_counts(truth, truth ^ (rng.random(truth.shape) < wrong)) for wrong in (0.3, 0.1))
    for statistic in (macro_f1_of, micro_f1_of):
        assert paired_bootstrap(a, b, statistic, resamples=300).better
        assert approximate_randomisation(a, b, statistic, trials=300) < 0.01


@pytest.mark.parametrize(
    ("truth", "decided"),
    [
        (np.zeros((2, 2)), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2)),
        (np.zeros((2, 2)), np.full((2, 2), 0.7)),
        (np.full((2, 2), 2), np.zeros((2, 2))),
        (np.zeros((2, 2)), np.full((2, 2), np.nan)),
    ],
)
def test_scores_in_place_of_decisions_are_an_error(truth, decided):
    with pytest.raises(DataError, match="decisions"):
        f1_counts(truth, decided)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([1, 5], [2, 3], 0.2),  # 1 below, 4 above
        ([5, 1], [3, 2], 0.2),
        ([1, 4], [2, 3], 0.5),
        ([0, 2], [0, 1, 3], 0.75),  # steps at 1/3, 1/2, 2/3: (1/6 + 1/3) of 2/3
        ([2, 3], [0, 1, 1, 1], 0.0),
        ([0, 1], [2, 3], 1.0),
        ([1, 1], [1, 1], 0.5),
    ],
)
def test_the_plain_estimate_of_stochastic_order_by_hand(a, b, wanted):
    assert almost_stochastic_order(a, b, confidence=0.5) == pytest.approx(wanted)


def test_stochastic_order_tells_better_worse_and_equal():
    rng = np.random.default_rng(0)
    low, high, same = rng.normal(0, 1, 12), rng.normal(4, 1, 12), rng.normal(0, 1, 12)
    assert almost_stochastic_order(high, low) < 0.01
    assert almost_stochastic_order(low, high) > 0.99
    assert max(almost_stochastic_order(low, same), almost_stochastic_order(same, low)) > 0.5
    assert almost_stochastic_order(low, low) > 0.5
    assert almost_stochastic_order([0, 1, 2, 9], [3, 4, 5, 6]) == 1
    assert almost_stochastic_order([0.5, 0.5, 0.5], [0.5, 0.5]) == 0.5


def test_equal_systems_are_seldom_called_better():
    rng = np.random.default_rng(0)
    bounds = np.array([almost_stochastic_order(*rng.normal(size=(2, 10)), bootstraps=200) for _ in range(200)])
    assert np.mean(bounds < 0.5) < 0.3
    assert np.mean(bounds < 0.2) < 0.08


def test_more_confidence_is_a_higher_bound_by_one_standard_error():
    a, b = np.random.default_rng(0).normal([[0.5], [0.0]], 1, (2, 10))
    plain, one, two = (almost_stochastic_order(a, b, confidence=c) for c in (0.5, 0.8413447, 0.9772499))
    assert two - one == pytest.approx(one - plain, abs=1e-6)
    assert plain < one < two < 1


def test_stochastic_order_depends_on_the_seed_and_on_no_order():
    a, b = np.random.default_rng(0).normal([[0.5], [0.0]], 1, (2, 10))
    first = almost_stochastic_order(a, b, seed=1)
    assert almost_stochastic_order(a, b, seed=1) == first
    assert almost_stochastic_order(a[::-1], np.roll(b, 3), seed=1) == first
    assert almost_stochastic_order(a, b, seed=2) != first
    assert almost_stochastic_order(10 * a + 3, 10 * b + 3, seed=1) == pytest.approx(first)


@pytest.mark.parametrize("scores", [[0.5], [], [0.5, float("nan")], [[0.5, 0.6], [0.7, 0.8]]])
def test_scores_that_have_no_order_are_an_error(scores):
    with pytest.raises(DataError, match="at least two finite scores"):
        almost_stochastic_order([0.1, 0.2], scores)
    with pytest.raises(DataError, match="at least two finite scores"):
        almost_stochastic_order(scores, [0.1, 0.2])


def test_a_bound_needs_bootstraps_and_a_confidence():
    with pytest.raises(ConfigError, match="0 bootstraps"):
        almost_stochastic_order([0, 1], [0, 1], bootstraps=0)
    with pytest.raises(ConfigError, match="confidence is 1"):
        almost_stochastic_order([0, 1], [0, 1], confidence=1.0)
