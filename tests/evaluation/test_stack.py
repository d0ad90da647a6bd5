"""Combining scores: what a stack learns, and that the scores for thresholds come from stacks that did not see them."""

from __future__ import annotations

import numpy as np
import pytest

from smallprint.core.errors import DataError
from smallprint.evaluation.stack import Stack, crossfit_stack, fit_stack


def simulated(n=4000, k=3, seed=0):
    rng = np.random.default_rng(seed)
    odds = rng.normal(-2, 2, (n, k))
    truth = (rng.random((n, k)) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    return odds, truth, rng


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_member_that_knows_nothing_gets_no_weight_and_the_other_keeps_its_scores():
    odds, truth, rng = simulated()
    stack = fit_stack([sigmoid(odds), sigmoid(rng.normal(0, 1, odds.shape))], truth)
    assert stack.weights == pytest.approx([1.0, 0.0], abs=0.08)
    assert stack.offsets == pytest.approx([0.0] * 3, abs=0.2)


def test_a_stack_mends_overconfidence_and_offset():
    odds, truth, _ = simulated()
    stack = fit_stack([sigmoid(3 * odds + 1.5)], truth)
    assert stack.weights == pytest.approx([1 / 3], abs=0.04)
    combined = stack.apply([sigmoid(3 * odds + 1.5)])
    assert combined.dtype == np.float32
    assert np.abs(combined - sigmoid(odds)).mean() < 0.02


def test_worked_by_hand():
    stack = Stack(np.array([0.5, 0.5]), np.array([0.0, np.log(3)]))
    combined = stack.apply([np.array([[0.9, 0.5]]), np.array([[0.9, 0.5]])])
    assert combined == pytest.approx(np.array([[0.9, 0.75]]))


def test_crossfit_never_fits_on_a_text_s_own_group():
    rng = np.random.default_rng(1)
    groups = [f"d{i // 20}" for i in range(400)]
    scores, truth = rng.random((400, 2)), (rng.random((400, 2)) < 0.3).astype(np.int8)
    combined = crossfit_stack([scores], truth, groups)
    changed = truth.copy()
    own = np.array([group == "d3" for group in groups])
    changed[own] = 1 - changed[own]  # what is true of a document moves the scores of others, never its own
    again = crossfit_stack([scores], changed, groups)
    assert np.array_equal(combined[own], again[own])
    assert not np.array_equal(combined[~own], again[~own])


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(DataError):
        fit_stack([np.zeros((3, 2))], np.zeros((4, 2), dtype=np.int8))
    with pytest.raises(DataError, match="2 arrays of scores were given"):
        Stack(np.ones(1), np.zeros(2)).apply([np.zeros((1, 2))] * 2)
