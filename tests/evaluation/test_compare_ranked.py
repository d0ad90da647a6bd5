import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from smallprint.core.errors import DataError
from smallprint.evaluation import compare_ranked
from smallprint.evaluation.compare_ranked import ranked_difference, weighted_ap
from smallprint.evaluation.ranking import average_precision_macro


@given(st.integers(0, 2**32 - 1))
def test_weighted_average_precision_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    truth, scores = (rng.random((30, 3)) < 0.3).astype(int), rng.integers(0, 8, (30, 3)) / 8
    weights = rng.integers(0, 4, (5, 30)).astype(float)
    found = weighted_ap(truth, scores, weights)
    for row, value in zip(weights, found, strict=True):
        each = [
            average_precision_score(truth[:, k], scores[:, k], sample_weight=row)
            for k in range(3)
            if (truth[:, k] * row).any()
        ]
        assert value == pytest.approx(np.mean(each) if each else 0.0)


def test_the_difference_is_that_of_the_metric_and_its_sign_that_of_the_better_one():
    rng = np.random.default_rng(0)
    truth = (rng.random((300, 4)) < 0.3).astype(int)
    a, b = (truth * loud + rng.random(truth.shape) * (1 - loud) for loud in (0.1, 0.4))
    found = ranked_difference(truth, a, b)
    assert found.difference == pytest.approx(average_precision_macro(truth, b) - average_precision_macro(truth, a))
    assert found.better
    assert found.p < 0.01
    turned = ranked_difference(truth, b, a)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    same = ranked_difference(truth, a, a)
    assert (same.low, same.high, same.p) == (0, 0, 1)


def test_groups_are_drawn_whole_and_widen_the_interval():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 20)
    truth = (rng.random((400, 1)) < 0.3).astype(int)
    good = rng.random(20) < 0.5  # B is better on half of the documents alone
    a = truth * 0.2 + rng.random(truth.shape) * 0.8
    b = np.where(good[groups][:, None], truth * 0.5, truth * 0.1) + rng.random(truth.shape) * 0.5
    alone, whole = ranked_difference(truth, a, b), ranked_difference(truth, a, b, groups=groups.tolist())
    assert (whole.units, whole.over_groups) == (20, True)
    assert whole.high - whole.low > alone.high - alone.low
    with pytest.raises(DataError, match="one example or group"):
        ranked_difference(truth, a, b, groups=["d"] * 400)


def test_a_large_split_is_drawn_less_often_but_not_too_seldom(monkeypatch):
    truth = np.eye(10, dtype=int)
    monkeypatch.setattr(compare_ranked, "MOST_CELLS", 10)
    assert ranked_difference(truth, np.eye(10), np.eye(10)).resamples == 200
