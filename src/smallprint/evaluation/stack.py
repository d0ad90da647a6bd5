"""Several models' scores into one. In: their scores of one split and the truth. Out: a `Stack` that combines new scores.

Stacked generalisation (Wolpert 1992) by logistic regression on the members' logits: one weight a member, shared by all
labels, and one offset a label, because single labels have too few positives for weights of their own. The result is
calibrated on what it was fitted on. Fit it on scores of texts that no member was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.results import Array
from smallprint.evaluation.calibration import logits_of, sigmoid
from smallprint.evaluation.checks import check_arrays

STRENGTH = 1.0  # inverse of the L2 penalty on weights and offsets


@dataclass(frozen=True)
class Stack:
    """How scores are combined: sigmoid(sum of weight * logit over members + offset of the label).

    Attributes:
        weights: float64 `[n_members]`.
        offsets: float64 `[n_outputs]`.
    """

    weights: Array
    offsets: Array

    def apply(self, scores: Sequence[Array]) -> Array:
        """Gives combined scores, float32 `[n, n_outputs]`, of one such array a member.

        Raises:
            DataError: Another number of members.
        """
        if len(scores) != len(self.weights):
            raise DataError(
                f"{len(scores)} arrays of scores were given.", f"{len(self.weights)}, one a member", "Give one each."
            )
        total = (
            sum(weight * logits_of(np.asarray(part)) for weight, part in zip(self.weights, scores, strict=True))
            + self.offsets
        )
        return np.asarray(sigmoid(total), dtype=np.float32)


def fit_stack(scores: Sequence[Array], targets: Array) -> Stack:
    """Gives the stack that fits the truth best.

    Args:
        scores: One `[n, n_outputs]` a member, in [0, 1], of texts that the member was not trained on.
        targets: 0/1 `[n, n_outputs]`.

    Raises:
        DataError: Arrays that do not fit each other.
    """
    from sklearn.linear_model import LogisticRegression

    targets = np.asarray(targets)
    for part in scores:
        check_arrays(targets, np.asarray(part), "multilabel")
    n, k = targets.shape
    if targets.min() == targets.max():
        raise DataError("All labels are alike in what the stack is fitted on.", "both 0 and 1", "Label more examples.")
    columns = np.column_stack([logits_of(np.asarray(part)).ravel() for part in scores])
    which = np.tile(np.eye(k), (n, 1))
    model = LogisticRegression(C=STRENGTH, fit_intercept=False, max_iter=1000)
    coefficients = model.fit(np.hstack([columns, which]), targets.ravel()).coef_[0]
    return Stack(coefficients[: len(scores)], coefficients[len(scores) :])


def crossfit_stack(scores: Sequence[Array], targets: Array, groups: Sequence[object], folds: int = 5) -> Array:
    """Gives combined scores `[n, n_outputs]` of the same texts, each by a stack that was fitted without its group.

    Raises:
        DataError: Fewer than two groups, or a fold without positives.

    For thresholds and calibration: scores of a stack on what it was fitted on are too good.
    """
    if len(set(groups)) < 2:
        raise DataError("There is one group.", "at least two, to leave one out", "Group by document, or by row.")
    names = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    fold = np.array([names[name] for name in groups]) % folds
    combined = np.zeros(np.asarray(targets).shape, dtype=np.float32)
    for part in range(folds):
        inside, outside = fold != part, fold == part
        if outside.any():
            stack = fit_stack([np.asarray(member)[inside] for member in scores], np.asarray(targets)[inside])
            combined[outside] = stack.apply([np.asarray(member)[outside] for member in scores])
    return combined
