import numpy as np
import pytest

from smallprint.core.config import EvaluationConfig
from smallprint.core.errors import DataError
from smallprint.evaluation.calibration import sigmoid
from smallprint.evaluation.earned import choose_thresholds, tune_thresholds_earned
from smallprint.evaluation.shrunk import tune_thresholds_shrunk
from smallprint.evaluation.thresholds import tune_thresholds


def split(best, n=400, seed=0, documents=20):
    """Two labels, 15% positives, whose scores are shares drawn apart so that `best` is about the best threshold; groups of equal size."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, 2)) < 0.15).astype(np.int8)
    moved = np.log(best / (1 - best))
    scores = sigmoid(rng.normal(0, 1, (n, 2)) * 0.8 + 5 * targets - 2.5 + moved)
    return targets, scores, [f"document {row % documents}" for row in range(n)]


def test_thresholds_that_pay_on_other_documents_are_kept():
    targets, scores, groups = split(0.1)
    found = tune_thresholds_earned(targets, scores, "multilabel", groups)
    assert np.array_equal(found, tune_thresholds_shrunk(targets, scores, "multilabel"))
    assert (found < 0.4).all()


def test_where_half_is_as_good_it_stays():
    for seed in range(5):
        targets, scores, groups = split(0.5, seed=seed)
        assert tune_thresholds_earned(targets, scores, "multilabel", groups).tolist() == [0.5, 0.5]


def test_groups_count_as_wholes_in_whatever_order_they_come():
    targets, scores, groups = split(0.2, documents=6)
    order = np.random.default_rng(1).permutation(len(scores))
    first = tune_thresholds_earned(targets, scores, "multilabel", groups)
    again = tune_thresholds_earned(targets[order], scores[order], "multilabel", [groups[row] for row in order])
    assert first.tolist() == again.tolist()


def test_one_document_can_prove_nothing():
    targets, scores, _ = split(0.1)
    assert tune_thresholds_earned(targets, scores, "multilabel", ["a"] * len(scores)).tolist() == [0.5, 0.5]


def test_without_groups_rows_are_documents():
    targets, scores, _ = split(0.1)
    found = tune_thresholds_earned(targets, scores, "multilabel")
    assert np.array_equal(found, tune_thresholds_shrunk(targets, scores, "multilabel"))
    assert np.array_equal(found, tune_thresholds_earned(targets, scores, "multilabel", [None] * len(scores)))


def test_a_split_too_large_for_repeats_is_parted_once(monkeypatch):
    targets, scores, groups = split(0.1)
    calls = []
    monkeypatch.setattr(
        "smallprint.evaluation.earned.tune_thresholds_shrunk",
        lambda *given: (calls.append(1), tune_thresholds_shrunk(*given))[1],
    )
    tune_thresholds_earned(targets, scores, "multilabel", groups)
    assert len(calls) == 1 + 4 * 5
    monkeypatch.setattr("smallprint.evaluation.earned.MANY_CELLS", 10)
    tune_thresholds_earned(targets, scores, "multilabel", groups)
    assert len(calls) == 1 + 4 * 5 + 1 + 5


def test_arrays_that_do_not_fit_are_an_error():
    with pytest.raises(DataError, match="Targets have shape"):
        tune_thresholds_earned(np.zeros((3, 2)), np.zeros((2, 2)), "multilabel")


@pytest.mark.parametrize("method", ["auto", "shrunk", "f1", "fixed"])
def test_every_method_takes_every_task(method):
    rng = np.random.default_rng(2)
    targets, scores = (rng.random((60, 1)) < 0.3).astype(np.int8), rng.random((60, 1))
    found = choose_thresholds(targets, scores, "binary", method)
    wanted = {"auto": tune_thresholds_earned(targets, scores, "binary"), "fixed": 0.5}
    assert found == wanted.get(method, tune_thresholds(targets, scores, "binary"))
    scores = rng.dirichlet(np.ones(3), 60)
    assert choose_thresholds(rng.integers(0, 3, 60), scores, "multiclass", method).tolist() == [0.5] * 3
    assert choose_thresholds(np.zeros((60, 3)), scores, "multilabel", method).tolist() == [0.5] * 3


def test_the_setting_chooses_the_method():
    assert EvaluationConfig().threshold == "auto"
    rng = np.random.default_rng(3)
    targets = (rng.random((200, 2)) < 0.1).astype(np.int8)
    scores = np.clip(targets * 0.3 + rng.random((200, 2)) * 0.6, 0, 1)
    ways = {method: choose_thresholds(targets, scores, "multilabel", method) for method in ("f1", "shrunk", "fixed")}
    assert np.array_equal(ways["f1"], tune_thresholds(targets, scores, "multilabel"))
    assert np.array_equal(ways["shrunk"], tune_thresholds_shrunk(targets, scores, "multilabel"))
    assert ways["fixed"].tolist() == [0.5, 0.5]
    assert not np.array_equal(ways["f1"], ways["shrunk"])
    groups = [row % 10 for row in range(200)]
    assert np.array_equal(
        choose_thresholds(targets, scores, "multilabel", "auto", groups),
        tune_thresholds_earned(targets, scores, "multilabel", groups),
    )
