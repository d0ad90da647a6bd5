"""How sure each score of a split is. In: a scored split and thresholds. Out: a 95% interval by name of the measure.

Names are those of `Metrics.values` that come from counts; `label:NAME` is the F1 of one label. Measures of a ranking, such
as average precision, have none here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.compare import f1_counts, macro_f1_of, micro_f1_of, resampled
from smallprint.evaluation.headline import build_headline
from smallprint.evaluation.intervals import Interval, bootstrap_interval
from smallprint.evaluation.ranking import one_hot
from smallprint.evaluation.thresholds import apply_thresholds

Statistic = Callable[[Array], Array]
PER_LABEL = "label:"


def count_measures(scored: ScoredSplit, thresholds: Array) -> dict[str, tuple[Array, Statistic]]:
    """Gives what each example adds to a measure, int `[n, n_counts]`, and how the sums become scores, by name.

    Args:
        scored: A checked split.
        thresholds: `[n_outputs]`; unused for multiclass.
    """
    scores = np.asarray(scored.scores)
    truth = np.asarray(one_hot(np.asarray(scored.targets), scores.shape[1]), dtype=np.int8)
    decided = np.asarray(apply_thresholds(scores, thresholds, scored.task), dtype=np.int8)
    counts = f1_counts(truth, decided)
    found: dict[str, tuple[Array, Statistic]] = {}
    if scored.task == "binary":
        found["f1"] = (counts, macro_f1_of)
        found["accuracy"] = (_with_ones(np.asarray((truth == decided).all(axis=1))), share_of)
        return found
    if scored.task == "multiclass":
        found["accuracy"] = (_with_ones(np.asarray((truth * decided).any(axis=1))), share_of)
        found["f1_macro"] = (counts, macro_of_seen)
    else:
        found["f1_macro"], found["f1_micro"] = (counts, macro_f1_of), (counts, micro_f1_of)
        any_true, any_said = truth.max(axis=1, keepdims=True), decided.max(axis=1, keepdims=True)
        found["any_label_f1"] = (f1_counts(np.asarray(any_true), np.asarray(any_said)), macro_f1_of)
        found["exact_match"] = (_with_ones(np.asarray((truth == decided).all(axis=1))), share_of)
    width = truth.shape[1]
    for k, name in enumerate(scored.label_names):
        found[f"{PER_LABEL}{name}"] = (counts[:, [k, width + k, 2 * width + k]], macro_f1_of)
    return found


def score_intervals(
    scored: ScoredSplit, thresholds: Array, groups: Sequence[object] | None = None, resamples: int = 1000
) -> dict[str, Interval]:
    """Gives the interval of each measure that comes from counts; of labels without an example in the split, none.

    Args:
        scored: A checked split.
        thresholds: `[n_outputs]`.
        groups: One value an example; equal ones are drawn together.
        resamples: How often it is drawn again.
    """
    found = {}
    for name, (counts, statistic) in count_measures(scored, thresholds).items():
        if name.startswith(PER_LABEL) and not counts[:, 2].any():
            continue
        interval = bootstrap_interval(counts, resampled(statistic, counts), groups=groups, resamples=resamples)
        if interval is not None:
            found[name] = interval
    leading = build_headline(scored, thresholds, groups, resamples)  # the same interval as in the report
    return found if leading.interval is None else {**found, leading.measure: leading.interval}


def _with_ones(right: Array) -> Array:
    return np.column_stack([right.astype(np.int64), np.ones(len(right), dtype=np.int64)])


def share_of(sums: Array) -> Array:
    """Gives the first count as a share of the second; 0 of none."""
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1))


def macro_of_seen(sums: Array) -> Array:
    """Macro F1 over the labels that truth or answers hold, as `Metrics` has it for multiclass."""
    hits, predicted, support = np.split(sums, 3, axis=1)
    seen = (predicted + support) > 0
    each = 2 * hits / np.maximum(predicted + support, 1)
    return np.asarray((each * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))


__all__ = ["PER_LABEL", "Statistic", "count_measures", "macro_of_seen", "score_intervals", "share_of"]
