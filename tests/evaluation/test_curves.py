import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.curves import MOST_POINTS, build_curves


def make(n_labels, n=400, seed=0):
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, n_labels)) < np.linspace(0.05, 0.3, n_labels)).astype(np.int8)
    scores = np.clip(targets * 0.4 + rng.random((n, n_labels)) * 0.6, 0, 1).astype(np.float32)
    return ScoredSplit("test", "multilabel", [f"l{k}" for k in range(n_labels)], [], targets, scores)


def test_the_area_under_the_steps_is_average_precision():
    scored = make(3, n=100)
    for k, curve in enumerate(build_curves(scored)):
        expected = average_precision_score(scored.targets[:, k], scored.scores[:, k])
        assert curve.average_precision == pytest.approx(expected)
        assert (np.diff(curve.recall) * curve.precision[1:]).sum() == pytest.approx(expected)
        assert (curve.recall[0], curve.recall[-1]) == (0.0, 1.0)


def test_a_curve_starts_at_its_first_real_precision():
    targets, scores = np.array([[0], [1]]), np.array([[0.9], [0.8]])
    curve = build_curves(ScoredSplit("test", "multilabel", ["a"], [], targets, scores))[0]
    assert curve.precision.tolist() == [0.5, 0.5]


def test_of_many_labels_the_most_frequent_and_all_together():
    scored = make(20)
    curves = build_curves(scored)
    support = scored.targets.sum(axis=0)
    assert len(curves) == 13
    assert min(curve.support for curve in curves[:12]) >= np.sort(support)[-12]
    assert curves[-1].label == "all labels (micro)"
    assert curves[-1].support == support.sum()


def test_labels_without_positives_have_no_curve():
    scored = make(3)
    scored.targets[:, 1] = 0
    assert [curve.label for curve in build_curves(scored)] == ["l0", "l2"]


def test_binary_shows_the_positive_label_and_multiclass_each_against_the_rest():
    scored = make(1)
    binary = ScoredSplit("test", "binary", ["no", "yes"], [], scored.targets, scored.scores)
    assert [curve.label for curve in build_curves(binary)] == ["yes"]
    multiclass = ScoredSplit("test", "multiclass", ["a", "b"], [], np.array([0, 1, 1]), np.eye(2)[[0, 1, 1]])
    assert [(curve.label, curve.support) for curve in build_curves(multiclass)] == [("a", 1), ("b", 2)]


def test_long_curves_are_thinned_and_keep_their_ends():
    curve = build_curves(make(1, n=5000))[0]
    assert len(curve.recall) <= MOST_POINTS < curve.support
    assert curve.recall[-1] == 1.0


def test_precision_at_recall_is_the_best_from_there_on():
    targets = np.array([[1], [0], [1], [1], [0]])
    scores = np.array([[0.9], [0.8], [0.7], [0.6], [0.5]])
    curve = build_curves(ScoredSplit("test", "multilabel", ["a"], [], targets, scores))[0]
    assert curve.precision.tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4])
    assert [curve.precision_at(recall) for recall in (0.25, 0.5, 1.0)] == pytest.approx([1, 0.75, 0.75])
