"""Thresholds that do not trust a handful of positives. In: targets and scores of examples that the model did not see.

Out: one threshold a label, shrunk towards the one threshold that is best for all labels together. It scores nothing;
`thresholds` has the plain rule, a label's own threshold or, where positives are few, the shared one.
"""

from __future__ import annotations

import numpy as np

from smallprint.core.errors import ConfigError
from smallprint.core.results import Array
from smallprint.evaluation.calibration import logits_of, sigmoid
from smallprint.evaluation.checks import check_arrays
from smallprint.evaluation.thresholds import DEFAULT, best_threshold


def tune_thresholds_shrunk(
    targets: Array, scores: Array, task: str, prior: float = 10.0, minimum_positives: int = 5
) -> Array:
    """Thresholds, float64 `[n_outputs]`: each label's best-F1 threshold mixed with the best one of all labels together.

    A label with few positives has a best threshold that hangs on one or two examples: noise, which would not be the
    best again on other examples. The threshold of all labels together is steadier but not made for the label. The mean
    of both on the logit scale weighs the own one with positives / (positives + prior), so trust grows with positives
    and no cut-off decides (the weight of a normal mean under a conjugate prior, Efron & Morris 1975). With one label both
    are the same threshold, and that is taken.

    Args:
        targets: Ids `[n]` (multiclass) or 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]` in [0, 1].
        task: "binary", "multiclass" (always 0.5, unused) or "multilabel".
        prior: Number of positives at which both thresholds weigh the same; 0 leaves each label its own.
        minimum_positives: Fewest positives of all labels together from which anything is tuned.

    Returns:
        Thresholds `[n_outputs]`; a label without positives has that of all together, and where all together have fewer
        than `minimum_positives`, every label 0.5.

    Raises:
        ConfigError: A prior that is negative or not finite.
        DataError: Arrays that do not fit (see `check_arrays`).

    >>> targets, scores = np.array([[0, 0], [1, 0], [1, 0]]), np.array([[0.1, 0.1], [0.3, 0.1], [0.9, 0.1]])
    >>> tune_thresholds_shrunk(targets, scores, "multilabel", minimum_positives=1).tolist()
    [0.2, 0.2]
    """
    if not (np.isfinite(prior) and prior >= 0):
        raise ConfigError(f"The prior is {prior}.", "a number of positives, 0 or more", "Pass such a number.")
    targets, scores = np.asarray(targets), np.asarray(scores)
    check_arrays(targets, scores, task)
    n_outputs = scores.shape[1]
    positives = np.zeros(n_outputs) if task == "multiclass" else np.count_nonzero(targets, axis=0)
    if positives.sum() < max(minimum_positives, 1):
        return np.full(n_outputs, DEFAULT)
    shared = best_threshold(targets.ravel(), scores.ravel())
    own = np.full(n_outputs, shared)
    for k in np.flatnonzero(positives):
        own[k] = best_threshold(targets[:, k], scores[:, k])
    weight = positives / np.maximum(positives + prior, 1)  # no positives and no prior: the shared one
    mixed = sigmoid(weight * logits_of(own) + (1 - weight) * logits_of(np.array(shared)))
    # The way to logits and back moves a threshold by rounding: where there is nothing to mix, it is not taken.
    return np.where((weight == 1) | (own == shared), own, mixed)
