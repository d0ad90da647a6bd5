"""Stacks where exactly one label is right: weights on log-scores, by the likelihood."""

import numpy as np
import pytest

from smallprint.evaluation.stack import Stack, crossfit_stack, fit_stack


@pytest.fixture(scope="module")
def members():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, 600)

    def noisy(strength):
        logits = rng.normal(size=(600, 4)) + strength * np.eye(4)[targets]
        powers = np.exp(logits)
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)

    return targets, [noisy(2.0), noisy(2.0), noisy(0.0)]


def accuracy(scores, targets):
    return (scores.argmax(axis=1) == targets).mean()


def test_together_they_are_better_and_noise_has_no_say(members):
    targets, scores = members
    stack = fit_stack(scores, targets, "multiclass")
    assert abs(stack.weights[2]) < 0.1 < stack.weights[0]
    both = crossfit_stack(scores, targets, range(600), "multiclass")
    assert accuracy(both, targets) > max(accuracy(part, targets) for part in scores) + 0.03
    assert np.allclose(both.sum(axis=1), 1, atol=1e-5)


def test_weights_have_the_least_penalised_loss(members):
    targets, scores = members

    def loss(weights):
        applied = Stack(weights, np.zeros(4), "multiclass").apply(scores)
        return -np.log(applied[np.arange(600), targets]).sum() + (weights**2).sum() / 2

    best = fit_stack(scores, targets, "multiclass").weights
    for change in np.eye(3) * 0.05:
        assert loss(best) < loss(best + change)
        assert loss(best) < loss(best - change)


def test_no_text_has_no_score(members):
    targets, scores = members
    assert fit_stack(scores, targets, "multiclass").apply([part[:0] for part in scores]).shape == (0, 4)
