import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from smallprint.core.errors import ConfigError, DataError
from smallprint.evaluation.thresholds import apply_thresholds, tune_thresholds

COLUMN = st.lists(st.tuples(st.booleans(), st.sampled_from(np.linspace(0, 1, 9).tolist())), min_size=1, max_size=30)


def brute_force(targets, scores):
    """Every middle between neighbouring distinct scores, one after the other."""
    distinct = sorted({0.0, *scores})
    candidates = [(low + high) / 2 for low, high in itertools.pairwise(distinct)]
    candidates += [0.0] if 0.0 in scores else []
    found = [(f1_score(targets, scores >= cut, zero_division=0), cut) for cut in candidates]
    best = max(value for value, _ in found)
    return best, min(abs(cut - 0.5) for value, cut in found if abs(value - best) < 1e-12)


@settings(max_examples=150, deadline=None)
@given(COLUMN)
def test_equals_brute_force(rows):
    targets = np.array([[int(truth)] for truth, _ in rows])
    scores = np.array([[score] for _, score in rows])
    (threshold,) = tune_thresholds(targets, scores, "binary", minimum_positives=1)
    if not targets.any():
        assert threshold == 0.5
        return
    best, distance = brute_force(targets[:, 0], scores[:, 0])
    assert f1_score(targets[:, 0], scores[:, 0] >= threshold) == pytest.approx(best)
    assert abs(threshold - 0.5) == pytest.approx(distance)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1, max_size=20))
def test_rounding_to_float32_flips_no_decision(rows):
    targets = np.array([[int(truth)] for truth, _ in rows])
    scores = np.array([[score] for _, score in rows], dtype=np.float32)
    thresholds = tune_thresholds(targets, scores, "binary", minimum_positives=1)
    np.testing.assert_array_equal(scores >= thresholds, scores >= thresholds.astype(np.float32))


@pytest.mark.parametrize("low", [np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))])  # rounds up, down
def test_neighbouring_float32_scores_are_told_apart(low):
    high = np.nextafter(low, np.float32(1))
    (threshold,) = tune_thresholds(np.array([[0], [1]]), np.array([[low], [high]]), "binary", minimum_positives=1)
    assert not low >= np.float32(threshold)
    assert high >= np.float32(threshold)


def test_a_rare_label_takes_the_threshold_of_all_labels_together():
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < [0.3, 0.3, 0.0]).astype(np.int8)
    targets[:4, 2] = 1
    scores = np.clip(targets * 0.3 + rng.random((200, 3)) * 0.5, 0, 1)
    tuned = tune_thresholds(targets, scores, "multilabel", minimum_positives=5)
    together = tune_thresholds(targets.reshape(-1, 1), scores.reshape(-1, 1), "binary")
    assert tuned[2] == together[0]
    assert tune_thresholds(targets, scores, "multilabel", minimum_positives=4)[2] != together[0]
    assert tuned[0] == tune_thresholds(targets[:, :1], scores[:, :1], "binary")[0]


def test_too_few_positives_in_all_give_a_half():
    targets, scores = np.array([[1, 0], [0, 1], [0, 0]]), np.array([[0.2, 0.1], [0.1, 0.2], [0.0, 0.0]])
    assert tune_thresholds(targets, scores, "multilabel", minimum_positives=3).tolist() == [0.5, 0.5]
    assert tune_thresholds(targets, scores, "multilabel", minimum_positives=2).tolist() == pytest.approx([0.15, 0.15])


def test_fixed_and_multiclass_are_a_half():
    targets, scores = np.array([[1]] * 9), np.full((9, 1), 0.1)
    assert tune_thresholds(targets, scores, "binary", "fixed").tolist() == [0.5]
    assert tune_thresholds(targets, scores, "binary").tolist() == [0.05]
    assert tune_thresholds(np.array([0, 2]), np.eye(3)[[0, 2]], "multiclass").tolist() == [0.5] * 3


def test_a_score_at_the_threshold_is_decided_yes_and_the_first_of_equals_wins():
    scores = np.array([[0.5, 0.3], [0.49, 0.3]], dtype=np.float32)
    assert apply_thresholds(scores, np.array([0.5, 0.4]), "multilabel").tolist() == [[1, 0], [0, 0]]
    assert apply_thresholds(np.array([[0.4, 0.4, 0.2]]), np.full(3, 0.5), "multiclass").tolist() == [[1, 0, 0]]


def test_wrong_arguments_are_errors():
    with pytest.raises(ConfigError, match="best"):
        tune_thresholds(np.array([[1]]), np.array([[0.1]]), "binary", "best")
    with pytest.raises(DataError, match="NaN"):
        tune_thresholds(np.array([[1]]), np.array([[np.nan]]), "binary")


def test_rows_are_not_looped_over(steps):
    rng = np.random.default_rng(0)
    targets, scores = (rng.random((50_000, 1)) < 0.1).astype(np.int8), rng.random((50_000, 1), dtype=np.float32)
    few = steps(lambda: tune_thresholds(targets[:500], scores[:500], "binary"))
    assert 0 < few == steps(lambda: tune_thresholds(targets, scores, "binary"))
