import json

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from smallprint.core.errors import ConfigError, DataError
from smallprint.evaluation.calibration import (
    Calibration,
    ReliabilityBin,
    adaptive_ece,
    brier,
    choose_calibration,
    fit_calibration,
    logits_of,
    reliability,
    sigmoid,
)


def drawn(n, slope=1.0, intercept=0.0, seed=0):
    """Targets and scores `[n, 1]`; the logit of the true share is slope x logit of the score + intercept."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, (n, 1))
    return (rng.random((n, 1)) < sigmoid(slope * logits + intercept)).astype(np.int8), sigmoid(logits)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def drawn_ids(n, sharpness, seed=0):
    """Ids `[n]` drawn from softmax(logits), and scores `[n, 4]` that are softmax(sharpness x logits)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 4))
    ids = (softmax(logits).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return ids, softmax(sharpness * logits)


def test_a_reliability_plot_by_hand():
    found = reliability(np.array([1, 0, 0, 1]), np.array([0.9, 0.2, 0.1, 0.6]), bins=2)
    assert [tuple(b) for b in found] == [(pytest.approx(0.15), 0.0, 2), (pytest.approx(0.75), 1.0, 2)]
    assert adaptive_ece(np.array([1, 0, 0, 1]), np.array([0.9, 0.2, 0.1, 0.6]), bins=2) == pytest.approx(0.2)


def test_bins_weigh_what_they_hold():
    targets, scores = np.array([0, 0, 0, 1]), np.array([0.0, 0.0, 0.0, 0.6])
    assert reliability(targets, scores, bins=2) == [ReliabilityBin(0.0, 0.0, 3), ReliabilityBin(0.6, 1.0, 1)]
    assert adaptive_ece(targets, scores, bins=2) == pytest.approx(0.1)


def test_bins_hold_equally_many():
    scores = np.random.default_rng(0).random(1500) ** 4  # crowded near 0
    assert [b.entries for b in reliability(np.zeros(1500), scores, bins=15)] == [100] * 15


@pytest.mark.parametrize("bins", [1, 2, 3, 7, 15])
def test_the_order_of_rows_changes_nothing_among_equal_scores(bins):
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 5, 60) / 8
    targets = (rng.random(60) < 0.4).astype(np.int8)
    first = reliability(targets, scores, bins)
    for _ in range(5):
        order = rng.permutation(60)
        assert reliability(targets[order], scores[order], bins) == first
    by_score = np.lexsort((targets, scores))  # the worst order: all 0 before all 1 among equals
    assert reliability(targets[by_score], scores[by_score], bins) == first


def test_one_score_for_all_is_one_bin():
    assert reliability(np.array([0, 1, 1, 1]), np.full(4, 0.75)) == [ReliabilityBin(0.75, 0.75, 4)]
    assert adaptive_ece(np.array([0, 1, 1, 1]), np.full(4, 0.75)) == 0


def test_ece_is_small_when_calibrated_and_large_when_not():
    assert adaptive_ece(*drawn(20_000)) < 0.015
    targets, scores = drawn(20_000)
    assert adaptive_ece(targets, sigmoid(4 * logits_of(scores))) > 0.08
    assert adaptive_ece(1 - targets, scores) > 0.4


def test_columns_are_flattened():
    targets, scores = np.array([[1, 0], [0, 1]]), np.array([[0.9, 0.4], [0.3, 0.8]])
    assert adaptive_ece(targets, scores, 2) == adaptive_ece(targets.ravel(), scores.ravel(), 2)
    assert brier(targets, scores) == brier(targets.ravel(), scores.ravel())


def test_brier_equals_scikit_learn():
    targets, scores = drawn(300)
    assert brier(targets, scores) == pytest.approx(brier_score_loss(targets[:, 0], scores[:, 0]))


def test_brier_of_float16_does_not_round():
    assert brier(np.array([0], dtype=np.int8), np.array([0.1], dtype=np.float16)) == float(np.float16(0.1)) ** 2


@pytest.mark.parametrize("measure", [adaptive_ece, brier, reliability])
@pytest.mark.parametrize(
    ("targets", "scores"),
    [
        (np.array([0, 1, 2]), np.array([0.1, 0.2, 0.3])),
        (np.array([0, 1]), np.array([0.1, np.nan])),
        (np.array([0, 1]), np.array([0.1, 1.2])),
        (np.array([0, 1]), np.array([[0.1, 0.9], [0.2, 0.8]])),
        (np.array([]), np.array([])),
    ],
)
def test_measures_refuse_what_they_cannot_measure(measure, targets, scores):
    with pytest.raises(DataError):
        measure(targets, scores)


def test_no_bins_are_an_error():
    with pytest.raises(ConfigError, match="0 bins"):
        adaptive_ece(np.array([0]), np.array([0.5]), bins=0)


def test_platt_finds_the_slope_and_intercept_that_made_the_data():
    found = fit_calibration(*drawn(40_000, slope=0.5, intercept=-0.7), "binary")
    assert (found.slope[0], found.intercept[0]) == (pytest.approx(0.5, abs=0.03), pytest.approx(-0.7, abs=0.05))
    targets, scores = drawn(20_000, slope=0.5, intercept=-0.7, seed=1)
    assert adaptive_ece(targets, found.apply(scores)) < 0.02 < 0.05 < adaptive_ece(targets, scores)


def test_platt_smooths_its_targets(monkeypatch):
    monkeypatch.setattr("smallprint.evaluation.calibration.SHRINKAGE", 0.0)
    targets = np.array([[1]] * 30 + [[0]] * 10)  # told apart without an error: plain logistic regression would run off
    found = fit_calibration(targets, np.where(targets == 1, 0.8, 0.2), "binary")
    assert found.apply(np.array([[0.8], [0.2]]))[:, 0] == pytest.approx([31 / 32, 1 / 12], abs=1e-4)


def several_labels(n=4000):
    """Two frequent labels with different calibrations and one with 10 positives, all scores near 0."""
    first, second = drawn(n, slope=0.5), drawn(n, slope=1.5, intercept=1, seed=1)
    rare = np.zeros((n, 1), dtype=np.int8), np.full((n, 1), 0.02)
    rare[0][:10] = 1
    return (np.hstack(parts) for parts in zip(first, second, rare, strict=True))


def test_a_label_with_few_positives_takes_the_shared_calibration():
    targets, scores = several_labels()
    found = fit_calibration(targets, scores, "multilabel", minimum_positives=20)
    together = fit_calibration(targets.reshape(-1, 1), scores.reshape(-1, 1), "binary")
    assert (found.slope[2], found.intercept[2]) == (together.slope[0], together.intercept[0])
    assert found.slope[:2] == pytest.approx([0.5, 1.5], abs=0.15)
    own = fit_calibration(targets, scores, "multilabel", minimum_positives=10)
    assert own.intercept[2] != found.intercept[2]


def test_labels_are_pulled_towards_all_together(monkeypatch):
    targets, scores = several_labels(300)

    def spread(strength):
        monkeypatch.setattr("smallprint.evaluation.calibration.SHRINKAGE", strength)
        return np.ptp(fit_calibration(targets, scores, "multilabel").slope[:2])

    free, as_shipped, fixed = spread(0.0), spread(4.0), spread(1e9)
    assert fixed < 1e-3 < as_shipped < free


def test_slope_and_intercept_have_the_least_penalised_log_loss():
    targets, scores = several_labels(300)
    found = fit_calibration(targets, scores, "multilabel")
    together = fit_calibration(targets.reshape(-1, 1), scores.reshape(-1, 1), "binary")
    hits = targets[:, 0].sum()
    smoothed = np.where(targets[:, 0] == 1, (hits + 1) / (hits + 2), 1 / (300 - hits + 2))

    def loss(slope, intercept):
        shares = sigmoid(slope * logits_of(scores[:, 0]) + intercept)
        off = np.array([slope - together.slope[0], intercept - together.intercept[0]])
        return -(smoothed * np.log(shares) + (1 - smoothed) * np.log(1 - shares)).sum() + 2 * (off**2).sum()

    slope, intercept = found.slope[0], found.intercept[0]
    around = [loss(slope + s, intercept + i) for s, i in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01))]
    assert loss(slope, intercept) < min(around)


def test_few_positives_in_all_leave_scores_as_they_are():
    targets = np.zeros((50, 2), dtype=np.int8)
    targets[:5] = 1
    scores = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    assert (fit_calibration(targets, scores, "multilabel").apply(scores) == scores).all()
    assert fit_calibration(targets, scores, "multilabel", minimum_positives=5).slope[0] != 1


def test_a_ranking_never_turns_round():
    targets, scores = drawn(500)
    found = fit_calibration(1 - targets, scores, "binary")  # scores say the opposite of the truth
    assert found.slope[0] > 0
    ordered = np.sort(scores, axis=0)
    assert (np.diff(found.apply(ordered), axis=0) >= 0).all()


def test_scores_of_exactly_0_and_1_are_used():
    targets, scores = drawn(400)
    scores[:40], scores[40:80] = 0, 1
    found = fit_calibration(targets, scores, "binary")
    ends = found.apply(np.array([[0.0], [1.0]], dtype=np.float32))
    assert np.isfinite(ends).all()
    assert 0 < ends[0, 0] < 0.5 < ends[1, 0] <= 1


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_one_temperature_undoes_too_sharp_scores(sharpness):
    ids, scores = drawn_ids(8000, sharpness)
    found = fit_calibration(ids, scores, "multiclass")
    assert found.slope == pytest.approx(np.full(4, 1 / sharpness), rel=0.05)
    assert not found.intercept.any()
    again = found.apply(scores)
    assert again.sum(axis=1) == pytest.approx(np.ones(8000), abs=1e-5)
    assert (again.argmax(axis=1) == scores.argmax(axis=1)).all()


def test_the_temperature_has_the_least_log_loss():
    ids, scores = drawn_ids(500, 2.0)
    found = fit_calibration(ids, scores, "multiclass")

    def loss_at(factor):
        return log_loss(ids, Calibration("multiclass", found.slope * factor, found.intercept).apply(scores))

    assert loss_at(1.0) < min(loss_at(0.95), loss_at(1.05))


def test_a_temperature_survives_scores_of_0_for_the_truth_and_says_1_where_nothing_is_gained():
    found = fit_calibration(np.array([0, 1, 0]), np.array([[1, 0], [1, 0], [0.9, 0.1]]), "multiclass")
    assert np.isfinite(found.apply(np.array([[1.0, 0.0]]))).all()
    assert fit_calibration(np.array([0, 1]), np.full((2, 2), 0.5), "multiclass").slope.tolist() == [1, 1]


def test_the_order_of_rows_and_a_second_fit_change_nothing():
    targets, scores = several_labels(500)
    first, order = fit_calibration(targets, scores, "multilabel"), np.random.default_rng(0).permutation(500)
    assert fit_calibration(targets, scores, "multilabel").to_dict() == first.to_dict()
    assert fit_calibration(targets[order], scores[order], "multilabel").slope == pytest.approx(first.slope, abs=1e-5)


@pytest.mark.parametrize(("task", "k"), [("binary", 1), ("multilabel", 3), ("multiclass", 3)])
def test_identity_gives_back_the_very_scores(task, k):
    scores = np.random.default_rng(0).random((50, k)).astype(np.float32)
    scores[:2] = [[0], [1]]
    scores[2] = 1 + 5e-7  # rounding of a float32 softmax
    found = Calibration.identity(task, k).apply(scores)
    assert found.dtype == np.float32
    assert (found == np.minimum(scores, 1)).all()


def test_applied_scores_keep_shape_and_range():
    extreme = Calibration("multilabel", np.array([1e3, 0.01]), np.array([-1e4, 1e4]))
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        found = extreme.apply(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]))
    assert found.shape == (3, 2)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert extreme.apply(np.zeros((0, 2))).shape == (0, 2)


def test_an_extreme_temperature_still_gives_shares():
    coldest = Calibration("multiclass", np.full(3, 1e4), np.zeros(3))
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        found = coldest.apply(np.array([[0.3, 0.4, 0.3], [0.0, 0.0, 1.0]]))
    assert found.tolist() == [[0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("scores", [np.zeros((2, 3)), np.zeros(2), np.full((1, 2), np.nan), np.full((1, 2), 1.5)])
def test_scores_of_other_labels_or_no_scores_are_an_error(scores):
    with pytest.raises(DataError):
        Calibration.identity("multilabel", 2).apply(scores)


def test_a_calibration_reads_back_from_json():
    targets, scores = several_labels(500)
    first = fit_calibration(targets, scores, "multilabel")
    again = Calibration.from_dict(json.loads(json.dumps(first.to_dict())))
    assert again.to_dict() == first.to_dict()
    assert (again.apply(scores) == first.apply(scores)).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"slope": [1.0]}, "slopes"),
        ({"intercept": [0.0, 0.0, 0.0]}, "intercepts"),
        ({"slope": [], "intercept": []}, "slopes"),
        ({"slope": 1.0, "intercept": 0.0}, "slopes"),
        ({"slope": [1.0, float("nan")]}, "nan"),
        ({"intercept": [0.0, float("inf")]}, "inf"),
        ({"slope": [1.0, float("inf")]}, "inf"),
        ({"slope": [1.0, 0.0]}, "slopes"),
        ({"slope": [1.0, -1.0]}, "slopes"),
        ({"slope": ["a", "b"]}, "numbers"),
        ({"slope": None}, "slopes"),
        ({"task": "regression"}, "regression"),
        ({"task": "binary"}, "binary"),
        ({"task": "multiclass", "slope": [1.0, 2.0]}, "multiclass"),
        ({"task": "multiclass", "intercept": [1.0, 1.0]}, "multiclass"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_an_error(changed, message):
    whole = {"task": "multilabel", "slope": [1.0, 1.0], "intercept": [0.0, 0.0]}
    Calibration.from_dict(whole)
    with pytest.raises(DataError, match=message):
        Calibration.from_dict(whole | changed)


def test_a_missing_part_is_named():
    with pytest.raises(DataError, match="no slope, intercept"):
        Calibration.from_dict({"task": "binary"})


def test_arrays_that_do_not_fit_are_an_error():
    with pytest.raises(DataError, match="Targets have shape"):
        fit_calibration(np.zeros((3, 2)), np.zeros((2, 2)), "multilabel")


def test_the_setting_chooses_the_method():
    targets, scores = drawn(300, slope=2.0)
    assert choose_calibration(targets, scores, "binary", "none") is None
    chosen = choose_calibration(targets, scores, "binary", "platt")
    assert chosen.to_dict() == fit_calibration(targets, scores, "binary").to_dict()
    assert chosen.slope[0] > 1.2
