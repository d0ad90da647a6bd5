"""LexGLUE's F1 for multi-label tasks. In: 0/1 targets and scores. Out: micro and macro F1 with one more column, "none".

Where texts may have no label, LexGLUE (Chalkidis et al. 2022, ACL; `experiments/unfair_tos.py`) adds a column that is 1
where no label is, in truth and prediction alike, and averages over all columns: nine for the eight of UNFAIR-ToS.
Since most texts there are fair, the column lifts both numbers. They compare to published LexGLUE numbers and to nothing
else; the plain measure over the labels alone is in `metrics`.
"""

from __future__ import annotations

import numpy as np

from smallprint.core.results import Array
from smallprint.evaluation.checks import check_arrays
from smallprint.evaluation.counts import count_decisions, f1, micro

THRESHOLD = 0.5


def lexglue_f1(targets: Array, scores: Array) -> tuple[float, float]:
    """Micro and macro F1 as LexGLUE computes them: a label is given where score > 0.5 (not >=).

    Args:
        targets: 0/1 `[n, n_labels]`.
        scores: `[n, n_labels]` in [0, 1].

    Raises:
        DataError: Arrays that do not fit each other (see `check_arrays`).

    >>> lexglue_f1(np.array([[1, 0], [0, 1], [0, 0]]), np.array([[0.9, 0.2], [0.1, 0.8], [0.1, 0.3]]))
    (1.0, 1.0)
    """
    targets, scores = np.asarray(targets), np.asarray(scores)
    check_arrays(targets, scores, "multilabel")
    return lexglue_f1_of_decisions(targets, scores > THRESHOLD)


def lexglue_f1_of_decisions(targets: Array, decided: Array) -> tuple[float, float]:
    """The same measure of decisions made by any rule, both 0/1 `[n, n_labels]`."""
    counts = count_decisions(with_none(targets), with_none(decided))
    return float(f1(micro(counts))), float(f1(counts).mean())


def with_none(decisions: Array) -> Array:
    """Decisions bool `[n, n_labels + 1]`: the given columns, then one that is true where all of them are 0."""
    decisions = np.asarray(decisions).astype(bool)
    return np.column_stack([decisions, ~decisions.any(axis=1)])
