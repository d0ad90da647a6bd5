"""Tuned borders against brute force over all pairs of borders, and what is measured of them."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import fbeta_score

from smallprint.core.errors import ConfigError, DataError
from smallprint.evaluation.operating import Aim, band_of, measure_aim, tell_band, tune_band
from smallprint.evaluation.policy import Policy

RNG = np.random.default_rng(4)
TRUTH = (RNG.random(60) < 0.3).astype(np.int8)[:, None]
SCORES = np.round(np.clip(0.3 * TRUTH + RNG.random((60, 1)) * 0.7, 0, 1), 2)  # with ties
DOCUMENTS = [f"d{i % 12}" for i in range(60)]


def outcome(low, high):
    """Gives misses, false alarms and read texts."""
    truth, score = TRUTH[:, 0].astype(bool), SCORES[:, 0]
    return (
        int((truth & (score < low)).sum()),
        int((~truth & (score >= high)).sum()),
        int(((score >= low) & (score < high)).sum()),
    )


def test_f_beta_is_the_highest():
    borders = np.unique(SCORES)
    for beta in (0.5, 1, 2):
        band = tune_band(TRUTH, SCORES, Aim(f_beta=beta))
        assert band.low == band.high
        best = max(fbeta_score(TRUTH[:, 0], SCORES[:, 0] >= border, beta=beta) for border in borders)
        assert fbeta_score(TRUTH[:, 0], SCORES[:, 0] >= band.low, beta=beta) == pytest.approx(best)


@pytest.mark.parametrize("ratio", [0.2, 1.0, 5.0, 1000.0])
@pytest.mark.parametrize("budget", [None, 0.1, 0.35, 1.0])
def test_cost_within_a_budget_is_the_lowest(ratio, budget):
    band = tune_band(TRUTH, SCORES, Aim(cost_ratio=ratio, budget=budget))
    most = int(60 * (budget or 0))
    borders = [*np.unique(SCORES), 1.1]
    costs = []
    for low, high in itertools.combinations_with_replacement(borders, 2):
        misses, alarms, read = outcome(low, high)
        if read <= most:
            costs.append(ratio * misses + alarms)
    misses, alarms, read = outcome(band.low, band.high)
    assert read <= most
    assert ratio * misses + alarms == pytest.approx(min(costs))


def test_recall_and_precision_with_a_person_between():
    band = tune_band(TRUTH, SCORES, Aim(recall=0.95, precision=0.9))
    assert band.low < band.high
    truth, score = TRUTH[:, 0].astype(bool), SCORES[:, 0]
    assert (score[truth] >= band.low).mean() >= 0.95
    assert truth[score >= band.high].mean() >= 0.9
    higher = np.unique(score)[np.unique(score) > band.low + 1e-9][0]
    assert (score[truth] >= higher).mean() < 0.95
    easy = tune_band(TRUTH, SCORES, Aim(recall=0.3, precision=0.4))
    assert easy.low == easy.high
    assert (score[truth] >= easy.low).mean() >= 0.3
    assert truth[score >= easy.low].mean() >= 0.4


def test_both_hold_where_the_highest_scores_are_wrong():
    scores = np.array([0.96, 0.95, 0.8, *[0.2] * 9, *[0.1] * 6])[:, None]
    truth = np.array([0, 0, 1, *[1] * 9, *[0] * 6])[:, None]
    band = tune_band(truth, scores, Aim(recall=0.1, precision=0.6))
    flagged = scores[:, 0] >= band.high
    assert truth[flagged].mean() >= 0.6
    assert truth[scores[:, 0] >= band.low].sum() >= 0.1 * truth.sum()


def test_what_cannot_be_is_told():
    with pytest.raises(ConfigError, match="tuned to one thing"):
        tune_band(TRUTH, SCORES, Aim(f_beta=1, budget=0.1))
    with pytest.raises(ConfigError, match="tuned to one thing"):
        tune_band(TRUTH, SCORES, Aim())
    with pytest.raises(DataError, match="all texts have a label or none"):
        tune_band(np.zeros_like(TRUTH), SCORES, Aim(f_beta=1))
    with pytest.raises(DataError, match="No border has a precision"):
        tune_band(1 - TRUTH, np.where(TRUTH == 1, 0.9, 0.1), Aim(precision=0.9))
    with pytest.raises(DataError, match="There is one document"):
        measure_aim(TRUTH, SCORES, ["x"] * 60, Aim(f_beta=1))


def test_what_is_measured_is_of_other_documents():
    rng = np.random.default_rng(4)
    truth = (rng.random((400, 1)) < 0.5).astype(np.int8)
    noise = rng.random((400, 1))  # says nothing: whatever is tuned to it holds nowhere else
    groups = [f"d{i % 40}" for i in range(400)]
    done = measure_aim(truth, noise, groups, Aim(precision=0.65))
    assert truth[noise >= tune_band(truth, noise, Aim(precision=0.65)).high].mean() >= 0.65
    assert done.precision < 0.65
    assert done.precision_interval.over_groups
    assert done.misses + round(done.recall * truth.sum()) == truth.sum()
    lines = tell_band(tune_band(truth, noise, Aim(precision=0.65)), done)
    assert "Nothing is guaranteed" in lines[-1]


def test_a_policy_decides_by_its_band_and_is_stored_with_it():
    band = tune_band(TRUTH, SCORES, Aim(cost_ratio=5, budget=0.3))
    policy = Policy(None, None, band)
    said = policy.decide(SCORES)
    misses, alarms, read = outcome(band.low, band.high)
    truth = TRUTH[:, 0]
    assert said.count("person") == read
    assert sum(s == "cleared" and t for s, t in zip(said, truth, strict=True)) == misses
    assert sum(s == "flagged" and not t for s, t in zip(said, truth, strict=True)) == alarms
    assert Policy.from_dict(policy.to_dict()) == policy
    assert "band" not in Policy(None, None).to_dict()
    with pytest.raises(TypeError):
        band_of({"aim": "x", "low": 0.5, "high": 0.1})
