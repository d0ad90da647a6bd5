"""The numbers of a row, against the metrics that a training writes and cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from smallprint.bench.measure import SeedScores, interval_of, measure_decisions, measure_seed, seed_mean
from smallprint.core.results import ScoredSplit
from smallprint.evaluation.compare import macro_f1_of
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.thresholds import tune_thresholds

NAMES = ["late", "rude", "Choice of law"]


def made(n, seed):
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 3)) < 0.2).astype(np.int8)
    scores = np.clip(truth * 0.4 + rng.random((n, 3)) * 0.5, 0, 1).astype(np.float32)
    return truth, scores


def one_seed(seed=1):
    (validation_truth, validation), (test_truth, test) = made(300, 10 + seed), made(200, 5)
    test = np.clip(test + np.random.default_rng(seed).normal(0, 0.05, test.shape), 0, 1).astype(np.float32)
    thresholds = tune_thresholds(validation_truth, validation, "multilabel")
    return SeedScores(seed, validation, test, thresholds), validation_truth, test_truth


def test_the_columns_are_those_that_a_training_writes():
    scores, validation_truth, test_truth = one_seed()
    values = measure_seed(scores, validation_truth, test_truth).values
    scored = ScoredSplit("test", "multilabel", NAMES, [""] * 200, test_truth, scores.test)
    expected = compute_metrics(scored, scores.thresholds).values
    for ours, theirs in {
        "nine_micro": "lexglue_f1_micro",
        "nine_macro": "lexglue_f1_macro",
        "nine_micro_tuned": "lexglue_f1_micro_tuned",
        "nine_macro_tuned": "lexglue_f1_macro_tuned",
        "eight_micro": "f1_micro",
        "eight_macro": "f1_macro",
        "eight_ap": "average_precision_macro",
        "binary_ap": "any_label_average_precision",
    }.items():
        assert values[ours] == pytest.approx(expected[theirs]), ours


def test_the_seed_is_chosen_by_validation_and_not_by_test():
    scores, validation_truth, test_truth = one_seed()
    result = measure_seed(scores, validation_truth, test_truth)
    flipped = measure_seed(scores, validation_truth, 1 - test_truth)
    assert result.chosen_by == flipped.chosen_by
    assert result.values["nine_micro"] != flipped.values["nine_micro"]


def test_answers_without_scores_worked_by_hand():
    truth = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.int8)
    decided = np.array([[1, 0], [0, 0], [0, 0]], dtype=np.int8)
    values = measure_decisions(truth, decided).values
    assert values["eight_macro"] == pytest.approx(0.5)
    assert values["nine_macro"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert values["binary_f1"] == pytest.approx(2 / 3)
    assert "binary_ap" not in values


def test_the_interval_of_several_seeds_draws_the_same_documents_for_all():
    results = [measure_seed(*one_seed(seed)) for seed in (1, 2, 3)]
    groups = [i // 10 for i in range(200)]
    interval = interval_of(results, "nine_macro", groups)
    mean = np.mean([result.values["nine_macro"] for result in results])
    assert interval is not None
    assert (interval.units, interval.over_groups) == (20, True)
    assert interval.low < mean < interval.high
    sums = np.hstack([result.counts["nine"].sum(axis=0) for result in results])[None]
    assert seed_mean([macro_f1_of] * 3)(sums)[0] == pytest.approx(mean)


def test_three_times_the_same_seed_has_the_interval_of_one():
    """Draws of their own for each seed would average out, and the interval would be too narrow."""
    result = measure_seed(*one_seed())
    one, three = (interval_of([result] * n, "nine_macro", [i // 10 for i in range(200)]) for n in (1, 3))
    assert (one.low, one.high) == pytest.approx((three.low, three.high))


def test_answers_without_scores_have_no_tuned_columns():
    truth = np.eye(3, dtype=np.int8)
    assert not any("tuned" in name for name in measure_decisions(truth, truth).values)


def test_calibration_is_fitted_on_validation():
    scores, validation_truth, test_truth = one_seed()
    values = measure_seed(scores, validation_truth, test_truth).values
    assert values["ece_calibrated"] < values["ece"]
