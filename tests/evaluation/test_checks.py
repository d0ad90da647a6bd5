import numpy as np
import pytest

from smallprint.core.errors import DataError
from smallprint.core.results import ScoredSplit
from smallprint.evaluation.checks import check_arrays, check_scored, check_thresholds

TARGETS = np.array([[0, 1], [1, 0]], dtype=np.int8)
SCORES = np.array([[0.2, 0.9], [0.7, 0.1]], dtype=np.float32)


@pytest.mark.parametrize(
    ("targets", "scores", "task", "found"),
    [
        (TARGETS, SCORES, "regression", "regression"),
        (TARGETS[:, 0], SCORES[:, 0], "multilabel", "shape"),
        (TARGETS, SCORES, "binary", "shape"),
        (TARGETS[:1], SCORES, "multilabel", "shape"),
        (TARGETS[:, :1], SCORES, "multilabel", "shape"),
        (TARGETS, SCORES, "multiclass", "shape"),
        (TARGETS[:0], SCORES[:0], "multilabel", "no examples"),
        (np.zeros((2, 0)), np.zeros((2, 0)), "multilabel", "shape"),
        (TARGETS, np.array([[0.1, np.nan], [0.1, 0.2]]), "multilabel", "row 0, column 1"),
        (TARGETS, np.array([[0.1, 0.1], [np.inf, 0.2]]), "multilabel", "row 1, column 0"),
        (TARGETS, SCORES * 4 - 2, "multilabel", "reach from"),
        (TARGETS * 2, SCORES, "multilabel", "row 0"),
        (np.array([0, 2]), SCORES, "multiclass", "row 1"),
        (np.array([-1, 1]), SCORES, "multiclass", "row 0"),
        (np.array([0.5, 1]), SCORES, "multiclass", "row 0"),
    ],
)
def test_what_does_not_fit_is_an_error_with_its_place(targets, scores, task, found):
    with pytest.raises(DataError, match=found):
        check_arrays(targets, scores, task)


def test_what_fits_passes():
    check_arrays(TARGETS, SCORES, "multilabel")
    check_arrays(TARGETS[:, :1], SCORES[:, :1], "binary")
    check_arrays(np.array([0, 1]), SCORES, "multiclass")
    check_arrays(np.array([0, 1]), SCORES * 0 + np.float32(1.0000001), "multiclass")


def test_a_scored_split_needs_as_many_names_and_texts_as_the_arrays_have():
    check_scored(ScoredSplit("test", "multilabel", ["a", "b"], [], TARGETS, SCORES))
    check_scored(ScoredSplit("test", "binary", ["no", "yes"], ["x", "y"], TARGETS[:, :1], SCORES[:, :1]))
    with pytest.raises(DataError, match="1 label names"):
        check_scored(ScoredSplit("test", "multilabel", ["a"], [], TARGETS, SCORES))
    with pytest.raises(DataError, match="1 label names"):
        check_scored(ScoredSplit("test", "binary", ["yes"], [], TARGETS[:, :1], SCORES[:, :1]))
    with pytest.raises(DataError, match="1 texts"):
        check_scored(ScoredSplit("test", "multilabel", ["a", "b"], ["x"], TARGETS, SCORES))


@pytest.mark.parametrize("thresholds", [[0.5], [0.5, np.nan], [0.5, 0.5, 0.5]])
def test_thresholds_are_one_finite_number_a_column(thresholds):
    with pytest.raises(DataError, match="Thresholds are"):
        check_thresholds(np.array(thresholds), 2)
