import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from smallprint.core.errors import DataError
from smallprint.evaluation.ranking import (
    average_precision,
    average_precision_macro,
    average_precision_micro,
    mean_defined,
    one_hot,
)


def test_macro_leaves_out_labels_without_positives():
    rng = np.random.default_rng(0)
    targets, scores = (rng.random((60, 4)) < 0.3).astype(np.int8), rng.random((60, 4)).round(1)
    targets[:, 2] = 0
    kept = [0, 1, 3]
    assert average_precision_macro(targets, scores) == pytest.approx(
        average_precision_score(targets[:, kept], scores[:, kept], average="macro")
    )
    assert np.isnan(average_precision(targets, scores)).tolist() == [False, False, True, False]
    assert average_precision_micro(targets, scores) == pytest.approx(
        average_precision_score(targets, scores, average="micro")
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_one_label_s_is_scikit_learn_s_to_the_bit(kind):
    rng = np.random.default_rng(3)
    for trial in range(150):
        n = int(rng.integers(1, 200))
        truth = (rng.random((n, 1)) < rng.random()).astype(np.int8)
        truth[rng.integers(n)] = 1
        scores = rng.random((n, 1)).astype(kind).round(1 + 5 * (trial % 2))  # with ties, and without
        assert average_precision(truth, scores)[0] == average_precision_score(truth[:, 0], scores[:, 0])


def test_ids_are_each_label_against_the_rest():
    rng = np.random.default_rng(1)
    ids, scores = rng.integers(0, 4, 50), rng.dirichlet(np.ones(4), 50)
    assert average_precision_macro(ids, scores) == pytest.approx(average_precision_score(np.eye(4)[ids], scores))
    assert one_hot(ids, 4).tolist() == np.eye(4, dtype=int)[ids].tolist()


def test_nothing_defined_gives_0():
    assert average_precision_macro(np.zeros((3, 2)), np.full((3, 2), 0.5)) == 0.0
    assert mean_defined(np.array([np.nan])) == 0.0


def test_misfits_are_errors():
    with pytest.raises(DataError, match="shape"):
        average_precision_macro(np.zeros((3, 2)), np.full((2, 2), 0.5))
    with pytest.raises(DataError, match="NaN"):
        average_precision_macro(np.zeros((1, 2)), np.array([[0.1, np.nan]]))


def test_it_loops_over_labels_and_not_over_rows(steps):
    rng = np.random.default_rng(0)
    targets, scores = rng.random((2000, 8)) < 0.1, rng.random((2000, 8), dtype=np.float32)
    few = steps(lambda: average_precision_macro(targets[:200], scores[:200]))
    assert 0 < few == steps(lambda: average_precision_macro(targets, scores))
    assert steps(lambda: average_precision_macro(targets[:, :4], scores[:, :4])) < few
