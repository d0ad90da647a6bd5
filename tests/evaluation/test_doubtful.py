import numpy as np

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.doubtful import find_doubtful


def test_the_nearest_to_a_threshold_come_first_whatever_is_true():
    scores = np.array([[0.9], [0.52], [0.1], [0.49]], dtype=np.float32)
    scored = ScoredSplit("test", "binary", ["no", "yes"], list("abcd"), np.array([[1], [0], [0], [0]]), scores)
    found = find_doubtful(scored, np.array([0.5]), 2)
    assert [error.row for error in found] == [3, 1]
    assert [error.text for error in found] == ["d", "b"]
    assert [view.predicted for error in found for view in error.labels] == [False, True]
    assert find_doubtful(scored, np.array([0.5]), 0) == []


def test_how_near_is_a_share_of_the_way():
    scores = np.array([[0.06, 0.9], [0.9, 0.6]], dtype=np.float32)
    scored = ScoredSplit("test", "multilabel", ["rare", "usual"], ["a", "b"], np.zeros((2, 2), dtype=int), scores)
    found = find_doubtful(scored, np.array([0.02, 0.5]), 2)  # 0.04 of 0.98 beats 0.1 of 0.5
    assert [(error.row, error.label) for error in found] == [(0, "rare"), (1, "usual")]


def test_multiclass_takes_the_tie_of_two_labels_and_shows_the_truth():
    scores = np.array([[0.5, 0.45, 0.05], [0.9, 0.05, 0.05]], dtype=np.float32)
    scored = ScoredSplit("test", "multiclass", list("abc"), ["x", "y"], np.array([2, 0]), scores)
    found = find_doubtful(scored, np.full(3, 0.5), 1)
    assert found[0].row == 0
    assert [(view.label, view.truth, view.predicted) for view in found[0].labels] == [
        ("a", False, True),
        ("b", False, False),
        ("c", True, False),
    ]
