import numpy as np
import pytest

from smallprint.core.errors import ConfigError, DataError
from smallprint.evaluation.calibration import logits_of, sigmoid
from smallprint.evaluation.shrunk import tune_thresholds_shrunk
from smallprint.evaluation.thresholds import apply_thresholds, tune_thresholds


def split(n=400, seed=0):
    """Three labels with 120, 12 and 0 positives of 400, whose scores lie on different scales."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((n, 3), dtype=np.int8)
    targets[: n * 3 // 10, 0] = 1
    targets[-n * 3 // 100 :, 1] = 1
    return targets, sigmoid(rng.normal(0, 1, (n, 3)) + 2 * targets - np.array([0.0, 3.0, 3.0]))


def own_and_shared(targets, scores):
    shared = tune_thresholds(targets.reshape(-1, 1), scores.reshape(-1, 1), "binary", minimum_positives=1)[0]
    return tune_thresholds(targets, scores, "multilabel", minimum_positives=1), shared


def test_each_threshold_is_the_weighted_mean_on_the_logit_scale():
    targets, scores = split()
    own, shared = own_and_shared(targets, scores)
    weight = np.array([120 / 130, 12 / 22, 0])
    wanted = sigmoid(weight * logits_of(own) + (1 - weight) * logits_of(np.array(shared)))
    assert abs(own[1] - shared) > 0.1  # there is something to mix
    assert tune_thresholds_shrunk(targets, scores, "multilabel") == pytest.approx(wanted)


def test_the_prior_leads_from_the_own_to_the_shared_threshold():
    targets, scores = split()
    own, shared = own_and_shared(targets, scores)
    with np.errstate(invalid="raise"):
        at = [tune_thresholds_shrunk(targets, scores, "multilabel", prior) for prior in (0, 3, 30, 1e12)]
    assert at[0].tolist() == [own[0], own[1], shared]
    assert at[3] == pytest.approx(np.full(3, shared))
    distance = [abs(found[1] - shared) for found in at]
    assert distance == sorted(distance, reverse=True)
    assert len(set(distance)) == 4


def test_one_label_keeps_its_best_threshold_to_the_last_digit():
    for seed in range(20):  # the way to logits and back is exact for some
        targets, scores = (part[:, :1] for part in split(seed=seed))
        assert tune_thresholds_shrunk(targets, scores, "binary") == tune_thresholds(targets, scores, "binary")


def test_a_label_with_few_positives_does_better_on_other_examples():
    """Labels on one scale, 3 positives each: their own thresholds are noise, and the mixed ones nearer to the truth."""
    rng = np.random.default_rng(0)

    def f1_of(thresholds, targets, scores):
        decided = apply_thresholds(scores, thresholds, "multilabel")
        return 2 * (targets & decided).sum() / (targets.sum() + decided.sum())

    targets = np.zeros((100, 40), dtype=np.int8)
    targets[:3] = 1
    first, other = (sigmoid(rng.normal(0, 1, targets.shape) + 2.5 * targets) for _ in range(2))
    own = tune_thresholds(targets, first, "multilabel", minimum_positives=1)
    shrunk = tune_thresholds_shrunk(targets, first, "multilabel")
    assert f1_of(shrunk, targets, other) > f1_of(own, targets, other) + 0.02


def test_no_positives_and_multiclass_give_one_half():
    assert tune_thresholds_shrunk(np.zeros((4, 2)), np.full((4, 2), 0.1), "multilabel").tolist() == [0.5, 0.5]
    assert tune_thresholds_shrunk(np.array([0, 1]), np.full((2, 3), 0.3), "multiclass").tolist() == [0.5] * 3


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_a_handful_of_positives_in_all_tunes_nothing(task):
    targets, scores = np.zeros((40, 1 if task == "binary" else 3), dtype=np.int8), np.full((40, 3), 0.1)
    scores = scores[:, : targets.shape[1]]
    targets[:4, 0], scores[:4, 0] = 1, 0.2
    assert tune_thresholds_shrunk(targets, scores, task).tolist() == [0.5] * targets.shape[1]
    targets[4, 0], scores[4, 0] = 1, 0.2
    assert tune_thresholds_shrunk(targets, scores, task) == pytest.approx(0.15)


def test_a_label_without_positives_has_the_threshold_of_all_together():
    targets, scores = split()
    assert tune_thresholds_shrunk(targets, scores, "multilabel")[2] == own_and_shared(targets, scores)[1]


def test_the_order_of_rows_changes_nothing():
    targets, scores = split()
    order = np.random.default_rng(1).permutation(400)
    first = tune_thresholds_shrunk(targets, scores, "multilabel")
    assert tune_thresholds_shrunk(targets[order], scores[order], "multilabel").tolist() == first.tolist()


def test_thresholds_at_0_and_1_can_be_mixed():
    targets, scores = np.array([[1, 0], [1, 1]]), np.array([[0.0, 0.0], [0.0, 1.0]])
    found = tune_thresholds_shrunk(targets, scores, "multilabel", minimum_positives=1)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("prior", [-1.0, float("nan"), float("inf")])
def test_a_prior_that_is_no_number_of_positives_is_an_error(prior):
    with pytest.raises(ConfigError, match="prior"):
        tune_thresholds_shrunk(*split(), "multilabel", prior)


def test_arrays_that_do_not_fit_are_an_error():
    with pytest.raises(DataError, match="Targets have shape"):
        tune_thresholds_shrunk(np.zeros((3, 2)), np.zeros((2, 2)), "multilabel")
