"""The table of all measures, in words. In: validation and test `Metrics`. Out: groups of rows that say what each is.

For multilabel LexGLUE's measure and the plain one stand beside each other, each named. It computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from smallprint.core.results import Metrics

Words = dict[str, dict[str, str]]

CALIBRATION = {
    "brier": "Brier score: mean squared distance of score and truth (0 is best)",
    "adaptive_ece": "Adaptive calibration error: mean distance of score and share true, bins of equal mass (0 is best)",
}
BINARY: Words = {
    "At the tuned threshold": {
        "f1": "F1 of the positive label",
        "precision": "Precision: share of alarms that are right",
        "recall": "Recall: share of positives that are found",
        "accuracy": "Accuracy",
        "mcc": "Matthews correlation",
    },
    "At threshold 0.5": {"f1_at_0.5": "F1 of the positive label"},
    "Without a threshold": {
        "average_precision": "Average precision",
        "roc_auc": "Area under the ROC curve",
        **CALIBRATION,
    },
}
MULTICLASS: Words = {
    "By the highest score": {
        "accuracy": "Accuracy",
        "f1_macro": "Macro F1: mean over labels",
        "f1_weighted": "F1 weighted by support",
        "top_3_accuracy": "Truth among the three highest scores",
    },
    "By the scores themselves": {
        "average_precision_macro": "Macro average precision, each label against the rest",
        "labels_without_positives": "Labels without a positive example (left out of it)",
        "log_loss": "Log loss (0 is best)",
        **CALIBRATION,
    },
}
MULTILABEL: Words = {
    "Plain measure: the {labels} alone, tuned thresholds": {
        "f1_macro": "Macro F1: mean over labels",
        "f1_micro": "Micro F1: all decisions together",
        "precision_macro": "Macro precision",
        "recall_macro": "Macro recall",
        "precision_micro": "Micro precision",
        "recall_micro": "Micro recall",
        "exact_match": "Texts with every label right",
    },
    "Plain measure, threshold 0.5": {"f1_macro_at_0.5": "Macro F1", "f1_micro_at_0.5": "Micro F1"},
    "LexGLUE’s measure: {labels} and “none” ({n_columns} columns), score > 0.5": {
        "lexglue_f1_macro": "Macro F1, comparable to published LexGLUE numbers",
        "lexglue_f1_micro": "Micro F1, comparable to published LexGLUE numbers",
    },
    "LexGLUE’s {n_columns} columns, tuned thresholds": {
        "lexglue_f1_macro_tuned": "Macro F1",
        "lexglue_f1_micro_tuned": "Micro F1",
    },
    "Any label at all, or none": {
        "any_label_f1": "F1, tuned thresholds",
        "any_label_f1_at_0.5": "F1, threshold 0.5",
        "any_label_average_precision": "Average precision of the highest score",
    },
    "Without a threshold": {
        "average_precision_macro": "Macro average precision",
        "average_precision_micro": "Micro average precision",
        "labels_without_positives": "Labels without a positive example (left out of the macro mean)",
        **CALIBRATION,
    },
}
TASKS = {"binary": BINARY, "multiclass": MULTICLASS, "multilabel": MULTILABEL}


@dataclass(frozen=True)
class MeasureRow:
    """One measure: its key in `Metrics.values`, its words, its two values (None where a split has none)."""

    key: str
    words: str
    validation: float | None
    test: float | None


def group_measures(validation: Metrics, test: Metrics) -> dict[str, list[MeasureRow]]:
    """Rows under their headings, in reading order; values that have no words here stand under "Other"."""
    n = len(test.per_label)
    keys = dict.fromkeys([*test.values, *validation.values])
    groups: dict[str, list[MeasureRow]] = {}
    for heading, words in TASKS[test.task].items():
        rows = [
            MeasureRow(key, text, validation.values.get(key), test.values.get(key))
            for key, text in words.items()
            if key in keys
        ]
        if rows:
            groups[heading.format(labels=f"{n} label" + "s" * (n != 1), n_columns=n + 1)] = rows
    named = {row.key for rows in groups.values() for row in rows}
    other = [MeasureRow(key, key, validation.values.get(key), test.values.get(key)) for key in keys if key not in named]
    return groups | ({"Other": other} if other else {})
