"""How uncertain final scores are. In: a scored split. Out: an interval of each measure that follows from counts, or from ranks.

By the bootstrap over groups, or over examples without groups; see `intervals` for what that tells and what not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.compare import f1_counts, macro_f1_of, micro_f1_of, resampled
from smallprint.evaluation.compare_ranked import draw_weights, weighted_ap
from smallprint.evaluation.headline import build_headline
from smallprint.evaluation.intervals import Interval, bootstrap_interval, number_units
from smallprint.evaluation.ranking import one_hot
from smallprint.evaluation.score_intervals import macro_of_seen, share_of
from smallprint.evaluation.thresholds import DEFAULT, apply_thresholds

RANKED_RESAMPLES = 200  # each ranks all scores again
RANKED_CELLS = 50_000  # examples times labels: beyond, ranking takes too long
LEVEL = 0.95


def build_intervals(
    scored: ScoredSplit, thresholds: Array, groups: Sequence[object] | None = None, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Gives 95% intervals by the names of `compute_metrics`; none where there are fewer than two units to draw.

    Multilabel: macro and micro F1 of the plain and LexGLUE's measure, exact match; binary: F1, precision, recall, accuracy;
    multiclass: accuracy, macro F1; and average precision, where examples times labels are 50,000 at most.

    Args:
        scored: Truth and scores.
        thresholds: `[n_outputs]`.
        groups: One value an example; None inside means a group of its own.
        resamples: Draws for counts; ranks take 200 at most.
        seed: Of the draws.
    """
    targets, scores = np.asarray(scored.targets), np.asarray(scored.scores)
    over = groups if groups is not None and any(group is not None for group in groups) else None
    decided = apply_thresholds(scores, thresholds, scored.task).astype(bool)
    truth = one_hot(targets, scores.shape[1]).astype(bool)
    wanted: dict[str, tuple[Array, Callable[[Array], Array]]] = {}
    plain = f1_counts(truth, decided)
    ones = np.ones((len(scores), 1), dtype=np.int64)
    if scored.task == "multilabel":
        at_half = apply_thresholds(scores, np.full(scores.shape[1], DEFAULT), "multilabel").astype(bool)
        lexglue = f1_counts(truth, scores > DEFAULT, none_column=True)
        tuned = f1_counts(truth, decided, none_column=True)
        half = f1_counts(truth, at_half)
        wanted |= {"f1_micro": (plain, micro_f1_of), "f1_micro_at_0.5": (half, micro_f1_of)}
        wanted["f1_macro_at_0.5"] = (half, macro_f1_of)
        for suffix, counts in (("", lexglue), ("_tuned", tuned)):
            wanted |= {
                f"lexglue_f1_macro{suffix}": (counts, macro_f1_of),
                f"lexglue_f1_micro{suffix}": (counts, micro_f1_of),
            }
        wanted["exact_match"] = (np.hstack([(truth == decided).all(axis=1)[:, None], ones]), share_of)
    elif scored.task == "binary":
        wanted["precision"] = (plain[:, [0, 1]], share_of)
        wanted["recall"] = (plain[:, [0, 2]], share_of)
        wanted["accuracy"] = (np.hstack([truth == decided, ones]), share_of)
    else:
        wanted["f1_macro"] = (plain, macro_of_seen)
    found = {
        name: bootstrap_interval(
            counts, resampled(statistic, counts), groups=over, resamples=resamples, level=LEVEL, seed=seed
        )
        for name, (counts, statistic) in wanted.items()
    }
    leading = build_headline(scored, thresholds, over, resamples, seed)  # the same interval as in the report
    found[leading.measure] = leading.interval
    if scores.size <= RANKED_CELLS:
        name = "average_precision" if scored.task == "binary" else "average_precision_macro"
        found[name] = _ranked(truth, scores, over, min(resamples, RANKED_RESAMPLES), seed)
    return {name: interval for name, interval in found.items() if interval is not None}


def _ranked(truth: Array, scores: Array, groups: Sequence[object] | None, resamples: int, seed: int) -> Interval | None:
    """Gives the interval of average precision, for which every draw is ranked anew."""
    units, n_units = number_units(groups if groups is not None else range(len(scores)))
    if n_units < 2:
        return None
    values = [weighted_ap(truth, scores, weights) for weights in draw_weights(units, n_units, resamples, seed)]
    low, high = np.quantile(np.concatenate(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL, resamples, n_units, groups is not None)


__all__ = ["build_intervals"]
