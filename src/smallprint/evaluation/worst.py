"""Errors worth reading. In: a scored split and thresholds. Out: the most confident errors, and confused labels.

An error is confident when the score stands far on the wrong side of its threshold, as a share of the way that is there:
(score - threshold) / (1 - threshold) for a false positive, (threshold - score) / threshold for a false negative. So
misses are found too where thresholds are low. For multiclass it is the score of the answer less that of the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array, ScoredSplit
from smallprint.evaluation.page_text import shorten
from smallprint.evaluation.thresholds import apply_thresholds

KINDS = FALSE_POSITIVE, FALSE_NEGATIVE, WRONG_LABEL = "false positive", "false negative", "wrong label"
MOST_CHARACTERS = 300_000
"""Of all quoted texts together, so that a report stays small whatever the texts."""


@dataclass(frozen=True)
class LabelView:
    """What was true and what was said of one label in one text."""

    label: str
    truth: bool
    predicted: bool
    score: float
    threshold: float | None


@dataclass(frozen=True)
class WorstError:
    """One text that was judged wrongly: its worst label, and every label that is true or was said.

    `row` counts from 0 in the split; `text` is shortened.
    """

    row: int
    kind: str
    label: str
    text: str
    labels: list[LabelView]


@dataclass(frozen=True)
class ConfusedPair:
    """How often one label's examples were given another label; `share` is of the true label's support."""

    truth: str
    predicted: str
    count: int
    share: float


def find_worst_errors(scored: ScoredSplit, thresholds: Array, worst: int) -> list[WorstError]:
    """The `worst` most confident errors, most confident first; half false positives, half misses where there are both.

    A text is shown once, by its worst label. Expects a split that `check_scored` accepts, with its texts.
    """
    targets, scores = np.asarray(scored.targets), np.asarray(scored.scores).astype(np.float64)
    if worst <= 0:
        return []
    if scored.task == "multiclass":
        return _worst_multiclass(scored, targets.astype(np.int64), scores, worst)
    names = scored.label_names[1:] if scored.task == "binary" else scored.label_names
    truth, decided = targets.astype(bool), apply_thresholds(scores, thresholds, scored.task).astype(bool)
    over = (scores - thresholds) / np.maximum(1 - thresholds, 1e-9)
    under = (thresholds - scores) / np.maximum(thresholds, 1e-9)
    margin = np.where(decided & ~truth, over, np.where(truth & ~decided, under, -1.0))
    column = margin.argmax(axis=1)
    margin = margin[np.arange(len(margin)), column]
    missed = truth[np.arange(len(truth)), column]
    ranked = np.argsort(-margin, kind="stable")[: np.count_nonzero(margin >= 0)]
    errors = []
    for row in _balance(ranked, missed, worst):
        shown = np.flatnonzero(truth[row] | decided[row])
        errors.append(
            WorstError(
                row=int(row),
                kind=FALSE_NEGATIVE if missed[row] else FALSE_POSITIVE,
                label=names[column[row]],
                text=_quote(scored.texts[row], worst),
                labels=[
                    LabelView(names[k], bool(truth[row, k]), bool(decided[row, k]), scores[row, k], thresholds[k])
                    for k in shown
                ],
            )
        )
    return errors


def find_confused_pairs(scored: ScoredSplit, most: int = 15) -> list[ConfusedPair]:
    """The most frequent (truth, answer) pairs of a multiclass split that differ, most frequent first."""
    ids = np.asarray(scored.targets).astype(np.int64)
    answers = np.asarray(scored.scores).argmax(axis=1)
    n_labels = len(scored.label_names)
    table = np.bincount(ids * n_labels + answers, minlength=n_labels * n_labels).reshape(n_labels, n_labels)
    support = table.sum(axis=1)
    np.fill_diagonal(table, 0)
    order = np.argsort(-table.ravel(), kind="stable")[:most]
    pairs = [(int(cell) // n_labels, int(cell) % n_labels) for cell in order if table.ravel()[cell]]
    return [
        ConfusedPair(scored.label_names[i], scored.label_names[k], int(table[i, k]), float(table[i, k] / support[i]))
        for i, k in pairs
    ]


def _worst_multiclass(scored: ScoredSplit, ids: Array, scores: Array, worst: int) -> list[WorstError]:
    rows, answers = np.arange(len(ids)), scores.argmax(axis=1)
    margin = np.where(answers == ids, -1.0, scores[rows, answers] - scores[rows, ids])
    errors = []
    for row in np.argsort(-margin, kind="stable")[: min(worst, np.count_nonzero(answers != ids))]:
        views = [
            LabelView(scored.label_names[k], bool(k == ids[row]), bool(k == answers[row]), scores[row, k], None)
            for k in (ids[row], answers[row])
        ]
        text = _quote(scored.texts[row], worst)
        errors.append(WorstError(int(row), WRONG_LABEL, scored.label_names[answers[row]], text, views))
    return errors


def _balance(ranked: Array, missed: Array, worst: int) -> list[int]:
    """At most `worst` rows of a ranking, half of each kind; where one kind runs short, the other fills up."""
    positives, negatives = ranked[~missed[ranked]], ranked[missed[ranked]]
    n_positives = min(len(positives), max((worst + 1) // 2, worst - len(negatives)))
    kept = {*positives[:n_positives].tolist(), *negatives[: worst - n_positives].tolist()}
    return [int(row) for row in ranked if row in kept]


def _quote(text: str, worst: int) -> str:
    return shorten(text, min(2000, MOST_CHARACTERS // worst))
