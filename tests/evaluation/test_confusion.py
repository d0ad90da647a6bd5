import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.confusion import count_confusion


def test_multiclass_and_binary_are_scikit_learns():
    rng = np.random.default_rng(0)
    scores, targets = rng.random((90, 4)).astype(np.float32), rng.integers(0, 4, 90)
    found = count_confusion(ScoredSplit("test", "multiclass", list("abcd"), [], targets, scores), np.full(4, 0.5))
    assert found.counts == confusion_matrix(targets, scores.argmax(axis=1)).tolist()
    assert [sum(row) for row in found.shares] == pytest.approx([1.0] * 4)
    truth, said = rng.integers(0, 2, 90), rng.random(90).astype(np.float32)
    scored = ScoredSplit("test", "binary", ["no", "yes"], [], truth[:, None], said[:, None])
    assert count_confusion(scored, np.array([0.3])).counts == confusion_matrix(truth, said >= 0.3).tolist()


def test_multilabel_counts_pairs_and_texts_without_a_label():
    targets = np.array([[1, 1], [0, 0], [0, 0], [1, 0]])
    scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1], [0.1, 0.1]], dtype=np.float32)
    found = count_confusion(ScoredSplit("test", "multilabel", ["a", "b"], [], targets, scores), np.full(2, 0.5))
    assert found.names == ["a", "b", "none"]
    assert found.counts == [[1, 0, 1], [1, 0, 0], [0, 1, 1]]
    assert found.shares[0] == [0.5, 0.0, 0.5]


def test_too_many_labels_have_no_table():
    scores = np.eye(21, dtype=np.float32)
    names = [str(k) for k in range(21)]
    assert (
        count_confusion(ScoredSplit("test", "multiclass", names, [], np.arange(21), scores), np.full(21, 0.5)) is None
    )
