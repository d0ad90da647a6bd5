"""Signed distances from a plane into scores. In: out-of-fold margins and truth of each output. Out: slopes and intercepts.

Shared by the families that a support vector machine decides; margins of examples that a plane was fitted on are too sure.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smallprint.core.results import Array

FOLDS = 5
LEAST_SLOPE = 0.05
UNSCALED = (2.0, 0.0)

# fits on the rows where the first mask holds, and gives the margins of those where the second does
FoldMargins = Callable[[Array, Array], Array]


def fold_numbers(n: int, seed: int) -> Array:
    """Gives the inner fold of each training example, `[n]`, the same for the same seed."""
    return np.random.default_rng(seed).permutation(n) % FOLDS


def fit_platt(truth: Array, folds: Array, margins_of: FoldMargins) -> tuple[float, float]:
    """Gives slope and intercept of sigmoid(slope * margin + intercept) (Platt 1999), fitted on out-of-fold margins.

    An output too rare for that keeps (2, 0), uncalibrated.

    Args:
        truth: 0/1 `[n]`, both of them somewhere.
        folds: Inner fold of each example, `[n]`.
        margins_of: Fits on one part and gives the margins of another.
    """
    from sklearn.linear_model import LogisticRegression

    margins = np.zeros(len(truth))
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        if min(truth[inside].sum(), (1 - truth[inside]).sum()) < 2 or not outside.any():
            return UNSCALED
        margins[outside] = margins_of(inside, outside)
    model = LogisticRegression(C=1e3).fit(margins[:, None], truth)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < LEAST_SLOPE:  # nothing was learned: the base rate, and the ranking is not turned round
        return LEAST_SLOPE, float(np.log(truth.mean() / (1 - truth.mean())))
    return slope, intercept


__all__ = ["fit_platt", "fold_numbers"]
