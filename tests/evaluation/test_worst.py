import numpy as np

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.worst import ConfusedPair, find_confused_pairs, find_worst_errors

TARGETS = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0, 0], [1, 0]])
SCORES = np.array([[0.9, 0.1], [0.05, 0.1], [0.6, 0.9], [0.9, 0.9], [0.5, 0.1], [0.4, 0.95]])
SCORED = ScoredSplit("test", "multilabel", ["a", "b"], [f"text {k}" for k in range(6)], TARGETS, SCORES)
HALF = np.array([0.5, 0.5])


def test_most_confident_first_each_text_once_by_its_worst_label():
    found = find_worst_errors(SCORED, HALF, 10)
    assert [(e.row, e.kind, e.label) for e in found] == [
        (1, "false negative", "a"),
        (5, "false positive", "b"),  # it misses "a" too, by less
        (0, "false positive", "a"),
        (2, "false positive", "a"),
        (4, "false positive", "a"),
    ]
    views = {view.label: view for view in found[1].labels}
    assert (views["a"].truth, views["a"].predicted, views["a"].score) == (True, False, 0.4)
    assert (views["b"].truth, views["b"].predicted, views["b"].threshold) == (False, True, 0.5)
    assert [view.label for view in found[3].labels] == ["a", "b"]
    assert found[0].text == "text 1"


def test_half_are_misses_where_there_are_both():
    assert [e.row for e in find_worst_errors(SCORED, HALF, 2)] == [1, 5]
    assert [e.row for e in find_worst_errors(SCORED, HALF, 4)] == [1, 5, 0, 2]
    assert find_worst_errors(SCORED, HALF, 0) == []


def test_misses_count_where_thresholds_are_low():
    targets, scores = np.array([[1], [0]]), np.array([[0.001], [0.05]])
    scored = ScoredSplit("test", "binary", ["no", "yes"], ["x", "y"], targets, scores)
    found = find_worst_errors(scored, np.array([0.04]), 5)
    assert [(e.row, e.label) for e in found] == [(0, "yes"), (1, "yes")]


def test_thresholds_at_the_ends_do_no_harm():
    targets, scores = np.array([[0], [1], [0]]), np.array([[1.0], [0.2], [0.0]])
    scored = ScoredSplit("test", "binary", ["no", "yes"], ["x", "y", "z"], targets, scores)
    assert [e.row for e in find_worst_errors(scored, np.array([1.0]), 5)] == [1, 0]
    assert [e.row for e in find_worst_errors(scored, np.array([0.0]), 5)] == [0, 2]


def multiclass():
    ids = np.array([0, 1, 1, 2, 2, 2])
    scores = np.array(
        [[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.9, 0.0, 0.1], [0.2, 0.6, 0.2], [0.6, 0.2, 0.2], [0.1, 0.1, 0.8]]
    )
    return ScoredSplit("test", "multiclass", ["a", "b", "c"], [str(k) for k in range(6)], ids, scores)


def test_multiclass_ranks_by_the_lead_over_the_truth():
    found = find_worst_errors(multiclass(), np.full(3, 0.5), 3)
    assert [e.row for e in found] == [2, 3, 4]
    assert [(v.label, v.truth, v.predicted, v.score) for v in found[0].labels] == [
        ("b", True, False, 0.0),
        ("a", False, True, 0.9),
    ]
    assert len(find_worst_errors(multiclass(), np.full(3, 0.5), 99)) == 4


def test_confused_pairs():
    assert find_confused_pairs(multiclass()) == [
        ConfusedPair("b", "a", 2, 1.0),
        ConfusedPair("c", "a", 1, 1 / 3),
        ConfusedPair("c", "b", 1, 1 / 3),
    ]
    assert len(find_confused_pairs(multiclass(), most=1)) == 1


def test_long_texts_are_shortened_more_the_more_there_are():
    scored = ScoredSplit("test", "binary", ["n", "y"], ["x" * 9999], np.array([[1]]), np.array([[0.1]]))
    assert len(find_worst_errors(scored, np.array([0.5]), 5)[0].text) == 2000
    assert len(find_worst_errors(scored, np.array([0.5]), 1000)[0].text) == 300
