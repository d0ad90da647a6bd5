import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from smallprint.evaluation.counts import Counts, count_decisions, f1, micro, precision, recall


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn_with_zero_division_0(seed):
    rng = np.random.default_rng(seed)
    truth, decided = (rng.random((30, 5)) < [0.0, 0.05, 0.3, 0.6, 1.0] for _ in range(2))
    counts = count_decisions(truth, decided)
    expected = precision_recall_fscore_support(truth, decided, average=None, zero_division=0)
    np.testing.assert_allclose([precision(counts), recall(counts), f1(counts)], expected[:3])
    np.testing.assert_array_equal(counts.support, expected[3])
    together = precision_recall_fscore_support(truth, decided, average="micro", zero_division=0)
    np.testing.assert_allclose([f(micro(counts)) for f in (precision, recall, f1)], together[:3])


def test_no_denominator_gives_0():
    nothing = Counts(*(np.zeros(2, dtype=np.int64) for _ in range(3)))
    assert [f(nothing).tolist() for f in (precision, recall, f1)] == [[0.0, 0.0]] * 3


def test_large_counts_of_int8_arrays_do_not_overflow():
    ones = np.ones((1000, 1), dtype=np.int8)
    assert count_decisions(ones, ones).hits.tolist() == [1000]
