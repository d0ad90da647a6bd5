"""Several models' scores into one. In: their scores of one split and the truth. Out: a `Stack` that combines new scores.

Stacked generalisation (Wolpert 1992) by logistic regression on the members' logits: one weight a member, shared by all
labels, and one offset a label, because single labels have too few positives for weights of their own; where exactly one
label is right, on log-scores, with weights alone. The result is calibrated on what it was fitted on. Fit it on scores of
texts that no member was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.results import Array
from smallprint.evaluation.calibration import CLIP, logits_of, sigmoid
from smallprint.evaluation.checks import check_arrays

STRENGTH = 1.0  # inverse of the L2 penalty on weights and offsets


@dataclass(frozen=True)
class Stack:
    """How scores are combined: sigmoid(sum of weight * logit over members + offset of the label).

    For multiclass softmax(sum of weight * log-score over members + offset of the label).

    Attributes:
        weights: float64 `[n_members]`.
        offsets: float64 `[n_outputs]`.
        task: binary, multiclass or multilabel.
    """

    weights: Array
    offsets: Array
    task: str = "multilabel"

    def apply(self, scores: Sequence[Array]) -> Array:
        """Gives combined scores, float32 `[n, n_outputs]`, of one such array a member.

        Raises:
            DataError: Another number of members.
        """
        if len(scores) != len(self.weights):
            raise DataError(
                f"{len(scores)} arrays of scores were given.", f"{len(self.weights)}, one a member", "Give one each."
            )
        parts = [_evidence(np.asarray(part), self.task) for part in scores]
        total = sum(weight * part for weight, part in zip(self.weights, parts, strict=True)) + self.offsets
        if self.task == "multiclass":
            powers = np.exp(total - total.max(axis=1, keepdims=True)) if len(total) else total
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)
        return np.asarray(sigmoid(total), dtype=np.float32)


def fit_stack(scores: Sequence[Array], targets: Array, task: str = "multilabel") -> Stack:
    """Gives the stack that fits the truth best.

    Args:
        scores: One `[n, n_outputs]` a member, in [0, 1], of texts that the member was not trained on.
        targets: Ids `[n]` (multiclass) or 0/1 `[n, n_outputs]`.
        task: binary, multiclass or multilabel.

    Raises:
        DataError: Arrays that do not fit each other, or truth that is the same everywhere.
    """
    targets = np.asarray(targets)
    for part in scores:
        check_arrays(targets, np.asarray(part), task)
    if targets.min() == targets.max():
        raise DataError("All labels are alike in what the stack is fitted on.", "both 0 and 1", "Label more examples.")
    evidence = [_evidence(np.asarray(part), task) for part in scores]
    if task == "multiclass":
        return Stack(_fit_exclusive(evidence, targets), np.zeros(evidence[0].shape[1]), task)
    from sklearn.linear_model import LogisticRegression

    n, k = targets.shape
    columns, which = np.column_stack([part.ravel() for part in evidence]), np.tile(np.eye(k), (n, 1))
    model = LogisticRegression(C=STRENGTH, fit_intercept=False, max_iter=1000)
    coefficients = model.fit(np.hstack([columns, which]), targets.ravel()).coef_[0]
    return Stack(coefficients[: len(scores)], coefficients[len(scores) :], task)


def crossfit_stack(
    scores: Sequence[Array], targets: Array, groups: Sequence[object], task: str = "multilabel", folds: int = 5
) -> Array:
    """Gives combined scores `[n, n_outputs]` of the same texts, each by a stack that was fitted without its group.

    Raises:
        DataError: Fewer than two groups, or a fold without positives.

    For thresholds and calibration: scores of a stack on what it was fitted on are too good.
    """
    if len(set(groups)) < 2:
        raise DataError("There is one group.", "at least two, to leave one out", "Group by document, or by row.")
    names = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    fold = np.array([names[name] for name in groups]) % folds
    combined = np.zeros(np.asarray(scores[0]).shape, dtype=np.float32)
    for part in range(folds):
        inside, outside = fold != part, fold == part
        if outside.any():
            stack = fit_stack([np.asarray(member)[inside] for member in scores], np.asarray(targets)[inside], task)
            combined[outside] = stack.apply([np.asarray(member)[outside] for member in scores])
    return combined


def _evidence(scores: Array, task: str) -> Array:
    """Gives what is weighed and added up: logits, or logarithms where one label excludes the others."""
    if task == "multiclass":
        return np.asarray(np.log(np.clip(scores.astype(np.float64), CLIP, 1.0)))
    return logits_of(scores)


def _fit_exclusive(evidence: Sequence[Array], targets: Array) -> Array:
    """Gives the weight of each member with the least negative log likelihood, penalised as `fit_stack` does."""
    from scipy.optimize import minimize

    # relative to the true label's: the likelihood of all is then the sum of -log sum exp
    apart = np.stack([part - part[np.arange(len(part)), targets.astype(np.int64)][:, None] for part in evidence])

    def loss(weights: Array) -> tuple[float, Array]:
        total = np.tensordot(weights, apart, axes=1)
        top = total.max(axis=1, keepdims=True)
        powers = np.exp(total - top)
        shares = powers / powers.sum(axis=1, keepdims=True)
        value = (top[:, 0] + np.log(powers.sum(axis=1))).sum() + (weights**2).sum() / (2 * STRENGTH)
        gradient = (apart * shares).sum(axis=(1, 2)) + weights / STRENGTH
        return float(value) / len(targets), gradient / len(targets)

    start = np.full(len(evidence), 1 / len(evidence))
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B").x)
