"""What a row of the table is measured by. In: validation and test scores of one system, a seed at a time. Out: numbers.

Thresholds come from validation, of a stack from its held-out scores; LexGLUE's nine columns are given at 0.5, as it prints
them, and at the tuned ones.
"Unfair" in the binary columns is any of the labels, scored by the chance that not all of them are absent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array
from smallprint.evaluation.calibration import adaptive_ece, fit_calibration
from smallprint.evaluation.compare import f1_counts, macro_f1_of, micro_f1_of, resampled
from smallprint.evaluation.earned import tune_thresholds_earned
from smallprint.evaluation.intervals import Interval, bootstrap_interval
from smallprint.evaluation.ranking import any_score, average_precision_macro, average_precision_micro
from smallprint.evaluation.thresholds import DEFAULT, apply_thresholds

Statistic = Callable[[Array], Array]
# name of the column: what is counted, and how counts become a score
MEASURES: dict[str, tuple[str, Statistic]] = {
    "nine_micro": ("nine", micro_f1_of),
    "nine_macro": ("nine", macro_f1_of),
    "nine_micro_tuned": ("nine_tuned", micro_f1_of),
    "nine_macro_tuned": ("nine_tuned", macro_f1_of),
    "eight_micro": ("eight", micro_f1_of),
    "eight_macro": ("eight", macro_f1_of),
    "binary_f1": ("binary", macro_f1_of),
}
RANKED = ("eight_ap", "binary_ap", "ece", "ece_calibrated")
RESAMPLES = 1000


@dataclass(frozen=True)
class SeedScores:
    """One seed of one system.

    Attributes:
        seed: Of its training.
        validation: `[n_validation, n_labels]`, scores in [0, 1].
        test: `[n_test, n_labels]`.
        thresholds: `[n_labels]`, from validation.
    """

    seed: int
    validation: Array
    test: Array
    thresholds: Array


@dataclass(frozen=True)
class SeedResult:
    """One seed measured.

    Attributes:
        seed: Of its training.
        chosen_by: LexGLUE's nine-column micro F1 on validation at 0.5, by which papers choose among seeds.
        values: By name of the column, in [0, 1].
        counts: Of each test example, by what is counted: int `[n_test, 3 * columns]`.
    """

    seed: int
    chosen_by: float
    values: dict[str, float]
    counts: dict[str, Array]


def measure_seed(
    scores: SeedScores, validation_truth: Array, test_truth: Array, groups: Sequence[object] | None = None
) -> SeedResult:
    """Measures one seed of one system on test; `groups` are the documents of validation's examples, for the binary threshold."""
    any_validation, any_test = any_score(scores.validation), any_score(scores.test)
    any_truth = _any(test_truth)
    any_threshold = tune_thresholds_earned(_any(validation_truth), any_validation, "binary", groups)
    tuned = apply_thresholds(scores.test, scores.thresholds, "multilabel")
    counts = {
        **decision_counts(test_truth, scores.test > DEFAULT),
        "nine_tuned": f1_counts(test_truth, tuned, none_column=True),
        "eight": f1_counts(test_truth, tuned),
        "binary": f1_counts(any_truth, apply_thresholds(any_test, any_threshold, "binary")),
    }
    calibration = fit_calibration(validation_truth, scores.validation, "multilabel")
    at_half = f1_counts(validation_truth, scores.validation > DEFAULT, none_column=True)
    return SeedResult(
        seed=scores.seed,
        chosen_by=float(micro_f1_of(at_half.sum(axis=0)[None])[0]),
        values={
            **_values(counts),
            "eight_ap": float(average_precision_macro(test_truth, scores.test)),
            "binary_ap": float(average_precision_micro(any_truth, any_test)),
            "ece": adaptive_ece(test_truth, scores.test),
            "ece_calibrated": adaptive_ece(test_truth, calibration.apply(scores.test)),
        },
        counts=counts,
    )


def measure_decisions(truth: Array, decided: Array) -> SeedResult:
    """Measures answers that have no scores: those of a chat model."""
    counts = {**decision_counts(truth, decided), "binary": f1_counts(_any(truth), _any(decided))}
    return SeedResult(0, 0.0, _values(counts), counts)


def decision_counts(truth: Array, decided: Array) -> dict[str, Array]:
    """Gives what each example adds to the counts behind the nine columns and the eight."""
    return {"nine": f1_counts(truth, decided, none_column=True), "eight": f1_counts(truth, decided)}


def seed_mean(statistics: Sequence[Statistic]) -> Statistic:
    """Gives the mean over seeds, a statistic each, whose counts stand side by side: the same texts are drawn for all."""

    def mean(sums: Array) -> Array:
        parts = np.split(sums, len(statistics), axis=1)
        return np.asarray(np.mean([of(part) for of, part in zip(statistics, parts, strict=True)], axis=0))

    return mean


def counts_of(results: Sequence[SeedResult], what: str) -> Array:
    """Gives the counts of all seeds side by side, `[n_test, n_seeds * 3 * columns]`."""
    return np.hstack([result.counts[what] for result in results])


def interval_of(results: Sequence[SeedResult], name: str, groups: Sequence[object] | None) -> Interval | None:
    """Gives the 95% interval of a column's mean over seeds, by drawing whole documents."""
    what, statistic = MEASURES[name]
    of = [resampled(statistic, result.counts[what]) for result in results]
    return bootstrap_interval(counts_of(results, what), seed_mean(of), groups=groups, resamples=RESAMPLES)


def _values(counts: dict[str, Array]) -> dict[str, float]:
    return {
        name: float(statistic(counts[what].sum(axis=0)[None])[0])
        for name, (what, statistic) in MEASURES.items()
        if what in counts
    }


def _any(truth: Array) -> Array:
    """Gives 1 where a text has any label, `[n, 1]`."""
    return np.asarray(truth.max(axis=1, keepdims=True), dtype=np.int8)
