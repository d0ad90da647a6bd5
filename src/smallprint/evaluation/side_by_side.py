"""Two models on the same examples. In: both scored splits with thresholds, and groups. Out: a `Comparison`.

Differences are B - A, each with a paired interval and p (`compare.paired_bootstrap`): the same groups are drawn for both. A
model is called better only where the whole interval says so. It knows nothing of other training seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.checks import check_scored, check_thresholds
from smallprint.evaluation.compare import PairedDifference, paired_bootstrap
from smallprint.evaluation.compare_ranked import ranked_difference
from smallprint.evaluation.intervals import number_units
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.page_text import shorten
from smallprint.evaluation.ranking import one_hot
from smallprint.evaluation.score_intervals import PER_LABEL, Statistic, count_measures
from smallprint.evaluation.thresholds import apply_thresholds

MOST_CHARACTERS = 2000
RESAMPLES = 2000
FEWEST = 6  # groups or examples: of five, all in favour of one happens by chance once in sixteen times
KINDS = ("B right, A wrong", "A right, B wrong", "both wrong, otherwise")


@dataclass(frozen=True)
class Row:
    """One measure of both, with a paired difference where it was tested, else None."""

    measure: str
    a: float
    b: float
    paired: PairedDifference | None

    @property
    def verdict(self) -> str:
        """'B', 'A', or '' where the interval, or so few groups, allow neither."""
        if self.paired is None or self.paired.units < FEWEST:
            return ""
        return "B" if self.paired.low > 0 else "A" if self.paired.high < 0 else ""


@dataclass(frozen=True)
class Differing:
    """An example that both answer differently. `row` counts from 0; `gap` is how far their scores are apart at most."""

    row: int
    kind: str
    truth: list[str]
    a: list[str]
    b: list[str]
    gap: float
    text: str


@dataclass(frozen=True)
class Comparison:
    """Both models on one split.

    Attributes:
        task: Of both.
        n_examples: In the split.
        units: Groups or examples that were drawn again.
        over_groups: Whether they are groups.
        level: Of the intervals.
        measures: The leading one first, those without an interval last.
        labels: F1 of each label.
        differing: How many examples they answer differently, by kind.
        examples: Of these, the ones furthest apart.
        shared: Which examples are compared where the two test splits are not the same; '' where they are.
    """

    task: str
    n_examples: int
    units: int
    over_groups: bool
    level: float
    measures: list[Row]
    labels: list[Row]
    differing: dict[str, int]
    examples: list[Differing]
    shared: str = ""

    @property
    def lead(self) -> Row:
        """The leading measure."""
        return self.measures[0]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict without texts."""
        tree = asdict(self)
        for key in ("measures", "labels"):
            for entry, row in zip(tree[key], getattr(self, key), strict=True):
                entry["better"] = row.verdict or None
        for entry in tree["examples"]:
            del entry["text"]
        return tree


def compare_splits(
    a: ScoredSplit,
    b: ScoredSplit,
    thresholds: tuple[Array, Array],
    groups: Sequence[object] | None = None,
    *,
    most: int = 50,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Gives how B differs from A.

    Args:
        a: Scores and truth of the first model, with texts.
        b: The same examples in the same order, scored by the second; its labels may stand in another order.
        thresholds: Of A and B, each `[n_outputs]` in its own label order.
        groups: One value an example; equal ones are drawn together.
        most: How many differing examples are kept.
        resamples: How often the split is drawn again.

    Raises:
        DataError: Other tasks, labels, texts or truths, or fewer than two examples or groups; it says what differs.
    """
    b, thresholds_b = align_labels(a, b, thresholds[1])
    check_same(a, b)
    for scored, limits in ((a, thresholds[0]), (b, thresholds_b)):
        check_scored(scored)
        check_thresholds(np.asarray(limits), scored.scores.shape[1])
    counted_a, counted_b = count_measures(a, thresholds[0]), count_measures(b, thresholds_b)
    values_a, values_b = (
        compute_metrics(scored, limits).values for scored, limits in ((a, thresholds[0]), (b, thresholds_b))
    )
    measures: list[Row] = []
    labels: list[Row] = []
    for name, (counts, statistic) in counted_a.items():
        if name.startswith(PER_LABEL) and not counts[:, 2].any():
            continue  # nothing true: an F1 of 0 for both says nothing
        row = _paired_row(name, counts, counted_b[name][0], statistic, groups, resamples)
        (labels if name.startswith(PER_LABEL) else measures).append(row)
    name = "average_precision" if a.task == "binary" else "average_precision_macro"
    truth = one_hot(np.asarray(a.targets), np.asarray(a.scores).shape[1])
    ranked = ranked_difference(truth, np.asarray(a.scores), np.asarray(b.scores), groups=groups)
    measures.append(Row(name, values_a[name], values_b[name], ranked))
    counted = {row.measure for row in measures}
    measures += [
        Row(key, value, values_b[key], None)
        for key, value in values_a.items()
        if key not in counted and key in values_b and key != "labels_without_positives"
    ]
    first = measures[0].paired
    assert first is not None
    differing, examples = _differing(a, b, thresholds[0], thresholds_b, most)
    return Comparison(
        task=a.task,
        n_examples=len(a.texts),
        units=first.units,
        over_groups=first.over_groups,
        level=first.level,
        measures=measures,
        labels=labels,
        differing=differing,
        examples=examples,
    )


def compare_lead(
    a: ScoredSplit, b: ScoredSplit, thresholds: tuple[Array, Array], groups: Sequence[object] | None = None
) -> Row:
    """Gives the leading measure of two models of the same examples, as `compare_splits` has it; no interval where all are of one group.

    Args:
        a: Scores and truth of the first model.
        b: The same examples, scored by the second, with labels in the same order.
        thresholds: Of A and B, each `[n_outputs]`.
        groups: One value an example; equal ones are drawn together.

    Raises:
        DataError: They do not stand on the same examples, or there are fewer than two.
    """
    check_same(a, b)
    alone = groups is not None and number_units(groups)[1] < 2
    counted_b = count_measures(b, thresholds[1])
    name, (counts, statistic) = next(iter(count_measures(a, thresholds[0]).items()))
    row = _paired_row(name, counts, counted_b[name][0], statistic, None if alone else groups, RESAMPLES)
    return replace(row, paired=None) if alone else row


def _paired_row(
    name: str, counts_a: Array, counts_b: Array, statistic: Statistic, groups: Sequence[object] | None, resamples: int
) -> Row:
    paired = paired_bootstrap(counts_a, counts_b, statistic, groups=groups, resamples=resamples)
    value_a, value_b = (float(statistic(part.sum(axis=0)[None])[0]) for part in (counts_a, counts_b))
    return Row(name.removeprefix(PER_LABEL), value_a, value_b, paired)


def align_labels(a: ScoredSplit, b: ScoredSplit, thresholds: Array) -> tuple[ScoredSplit, Array]:
    """Gives B and its thresholds with labels in A's order; as they are where tasks or labels differ.

    Args:
        a: Whose order is taken.
        b: To be put in that order.
        thresholds: Of B.
    """
    thresholds = np.asarray(thresholds, dtype=np.float64)
    if a.label_names == b.label_names or a.task != b.task or sorted(a.label_names) != sorted(b.label_names):
        return b, thresholds
    if a.task == "binary":
        return b, thresholds  # the other label as the positive one: another question
    order = [b.label_names.index(name) for name in a.label_names]
    scores, targets = np.asarray(b.scores)[:, order], np.asarray(b.targets)
    targets = np.argsort(order)[targets.astype(np.int64)] if a.task == "multiclass" else targets[:, order]
    return replace(b, label_names=list(a.label_names), scores=scores, targets=targets), thresholds[order]


def check_same(a: ScoredSplit, b: ScoredSplit) -> None:
    """Refuses two splits that do not hold the same examples, labelled alike, in the same order.

    Raises:
        DataError: It says what differs.
    """
    found = _what_differs(a, b)
    if found and set(a.label_names) != set(b.label_names):
        raise DataError(
            f"The two models do not know the same labels: {found}.",
            "the same labels",
            "Train both on data with the same labels. Scores of different labels cannot be compared, by --data neither.",
        )
    if found:
        raise DataError(
            f"The two do not stand on the same test examples: {found}.",
            "the same examples, labelled alike, in the same order",
            "Train both on the same splits, or score both on one table: smallprint report A B --data TABLE.",
        )


def _what_differs(a: ScoredSplit, b: ScoredSplit) -> str:
    if a.task != b.task:
        return f"A is {a.task}, B is {b.task}"
    if a.label_names != b.label_names:
        only = [sorted(set(x.label_names) - set(y.label_names)) for x, y in ((a, b), (b, a))]
        told = [f"only {name} has {', '.join(names[:5])}" for name, names in zip("AB", only, strict=True) if names]
        return "; ".join(told) or "the positive label is another"
    if a.texts != b.texts:
        shared = len(set(a.texts) & set(b.texts))
        rows = f"A has {len(a.texts):,} rows, B {len(b.texts):,}"
        if sorted(a.texts) == sorted(b.texts):
            return f"{rows}: the same texts in another order"
        return f"{rows}, and {shared:,} texts are in both"
    apart = np.asarray(a.targets != b.targets)
    rows_apart = int(np.count_nonzero(apart.reshape(len(a.texts), -1).any(axis=1)))
    return f"{rows_apart:,} of {len(a.texts):,} rows are labelled otherwise" if rows_apart else ""


def _differing(
    a: ScoredSplit, b: ScoredSplit, limits_a: Array, limits_b: Array, most: int
) -> tuple[dict[str, int], list[Differing]]:
    names = a.label_names[1:] if a.task == "binary" else a.label_names
    scores_a, scores_b = np.asarray(a.scores), np.asarray(b.scores)
    truth = one_hot(np.asarray(a.targets), scores_a.shape[1]).astype(bool)
    said_a, said_b = (
        apply_thresholds(scores, limits, a.task).astype(bool)
        for scores, limits in ((scores_a, limits_a), (scores_b, limits_b))
    )
    right_a, right_b = ((truth == said).all(axis=1) for said in (said_a, said_b))
    other = (said_a != said_b).any(axis=1)
    kinds = np.where(right_b, 0, np.where(right_a, 1, 2))
    gap = np.where(said_a != said_b, np.abs(scores_a - scores_b), 0.0).max(axis=1)
    rows = np.flatnonzero(other)
    ranked = rows[np.argsort(-gap[rows], kind="stable")]

    def named(chosen: Array) -> list[str]:
        return [name for name, yes in zip(names, chosen, strict=True) if yes]

    counts = {kind: int(np.count_nonzero(kinds[rows] == k)) for k, kind in enumerate(KINDS)}
    kept = [
        Differing(
            row=int(row),
            kind=KINDS[kinds[row]],
            truth=named(truth[row]),
            a=named(said_a[row]),
            b=named(said_b[row]),
            gap=float(gap[row]),
            text=shorten(a.texts[row], MOST_CHARACTERS),
        )
        for row in ranked[:most]
    ]
    return counts, kept


__all__ = ["Comparison", "Differing", "Row", "align_labels", "check_same", "compare_lead", "compare_splits"]
