"""Metrics of one split. In: a `ScoredSplit` and thresholds. Out: `Metrics`, every number finite.

All is computed once over the whole split, never averaged over batches. Means over labels are plain ("macro") or of all
labels' counts together ("micro"); an F1, precision or recall without a denominator is 0. It tunes nothing.
"""

from __future__ import annotations

import numpy as np

from smallprint.core.results import Array, LabelMetrics, Metrics, ScoredSplit
from smallprint.evaluation.calibration import adaptive_ece, brier
from smallprint.evaluation.checks import check_scored, check_thresholds
from smallprint.evaluation.counts import Counts, count_decisions, f1, micro, precision, recall
from smallprint.evaluation.lexglue import lexglue_f1, lexglue_f1_of_decisions
from smallprint.evaluation.ranking import (
    any_score,
    average_precision,
    average_precision_macro,
    average_precision_micro,
    mean_defined,
    one_hot,
)
from smallprint.evaluation.thresholds import DEFAULT, apply_thresholds

TOP = 3


def compute_metrics(scored: ScoredSplit, thresholds: Array) -> Metrics:
    """All metrics of a scored split.

    Args:
        scored: Truth and scores; binary has the positive label's column alone and names [negative, positive].
        thresholds: `[n_outputs]`, unused for multiclass, where the highest score decides.

    Returns:
        `values` by name and one `LabelMetrics` a label (binary: the positive one's alone). A label without positives
        has average precision 0 in its row and is left out of `average_precision_macro`, which
        `labels_without_positives` counts. `roc_auc` is missing where a split has one of the two labels only. `brier` and
        `adaptive_ece` take all labels' scores together, multiclass as each label against the rest.

    Raises:
        DataError: No examples, NaN scores, shapes or numbers of names that do not fit.
    """
    check_scored(scored)
    targets, scores = np.asarray(scored.targets), np.asarray(scored.scores)
    if scored.task == "multiclass":
        thresholds = np.full(scores.shape[1], DEFAULT)
    thresholds = np.asarray(thresholds, dtype=np.float64)
    check_thresholds(thresholds, scores.shape[1])
    decided = apply_thresholds(scores, thresholds, scored.task)
    truth = one_hot(targets, scores.shape[1])
    counts = count_decisions(truth, decided)
    per_label_ap = average_precision(truth, scores)
    if scored.task == "binary":
        names, values = scored.label_names[1:], _binary_values(truth[:, 0], scores[:, 0], decided[:, 0], counts)
    elif scored.task == "multiclass":
        names, values = scored.label_names, _multiclass_values(targets, scores, decided, counts)
    else:
        names, values = scored.label_names, _multilabel_values(truth, scores, decided, counts)
    if scored.task != "binary":
        values["average_precision_macro"] = mean_defined(per_label_ap)
        values["labels_without_positives"] = float(np.isnan(per_label_ap).sum())
    values |= {"brier": brier(truth, scores), "adaptive_ece": adaptive_ece(truth, scores)}
    return Metrics(
        split=scored.split,
        task=scored.task,
        n_examples=scores.shape[0],
        values=values,
        per_label=_label_rows(names, counts, per_label_ap, thresholds),
    )


def _multilabel_values(truth: Array, scores: Array, decided: Array, counts: Counts) -> dict[str, float]:
    at_half = apply_thresholds(scores, np.full(scores.shape[1], DEFAULT), "multilabel")
    counts_at_half = count_decisions(truth, at_half)
    any_truth, any_decided, any_half = (np.asarray(a.any(axis=1))[:, None] for a in (truth, decided, at_half))
    any_counts = count_decisions(any_truth, any_decided)
    any_at_half = count_decisions(any_truth, any_half)
    lexglue_micro, lexglue_macro = lexglue_f1(truth, scores)
    tuned_micro, tuned_macro = lexglue_f1_of_decisions(truth, decided)
    return {
        "f1_micro": float(f1(micro(counts))),
        "f1_macro": float(f1(counts).mean()),
        "precision_micro": float(precision(micro(counts))),
        "recall_micro": float(recall(micro(counts))),
        "precision_macro": float(precision(counts).mean()),
        "recall_macro": float(recall(counts).mean()),
        "f1_micro_at_0.5": float(f1(micro(counts_at_half))),
        "f1_macro_at_0.5": float(f1(counts_at_half).mean()),
        "lexglue_f1_micro": lexglue_micro,
        "lexglue_f1_macro": lexglue_macro,
        "lexglue_f1_micro_tuned": tuned_micro,
        "lexglue_f1_macro_tuned": tuned_macro,
        "average_precision_micro": average_precision_micro(truth, scores),
        "exact_match": float((truth == decided).all(axis=1).mean()),
        "any_label_f1": float(f1(any_counts)[0]),
        "any_label_f1_at_0.5": float(f1(any_at_half)[0]),
        "any_label_average_precision": average_precision_micro(any_truth, any_score(scores)),
    }


def _binary_values(truth: Array, scores: Array, decided: Array, counts: Counts) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    at_half = apply_thresholds(scores, np.array(DEFAULT), "binary")
    n, hits, predicted, support = truth.shape[0], *(int(part[0]) for part in counts)
    correct_negatives = n - predicted - support + hits
    # Matthews (1975), written in counts; 0 where truth or decisions hold one label only.
    spread = float(predicted * support) * float((n - support) * (n - predicted))
    misses = (predicted - hits) * (support - hits)
    values = {
        "f1": float(f1(counts)[0]),
        "precision": float(precision(counts)[0]),
        "recall": float(recall(counts)[0]),
        "f1_at_0.5": float(f1(count_decisions(truth[:, None], at_half[:, None]))[0]),
        "average_precision": average_precision_micro(truth, scores),
        "accuracy": float((truth == decided).mean()),
        "mcc": (hits * correct_negatives - misses) / spread**0.5 if spread else 0.0,
    }
    if 0 < support < n:
        values["roc_auc"] = float(roc_auc_score(truth, scores))
    return values


def _multiclass_values(targets: Array, scores: Array, decided: Array, counts: Counts) -> dict[str, float]:
    n, n_labels = scores.shape
    rows, ids = np.arange(n), targets.astype(np.int64)
    per_label = f1(counts)
    seen = (counts.support + counts.predicted) > 0  # scikit-learn's macro mean: labels in the truth or the decisions
    of_truth = scores[rows, ids]
    smallest = float(np.finfo(np.float32).eps)
    values = {
        "accuracy": float(decided[rows, ids].mean()),
        "f1_macro": float(per_label[seen].mean()),
        "f1_weighted": float((per_label * counts.support).sum() / n),
        "log_loss": float(-np.log(np.clip(of_truth.astype(np.float64), smallest, 1.0)).mean()),
    }
    if n_labels > TOP:
        # Of equal scores the first label stands higher, as in argmax (scikit-learn's top-k takes the last).
        equal_before = (scores == of_truth[:, None]) & (np.arange(n_labels) < ids[:, None])
        rank = (scores > of_truth[:, None]).sum(axis=1) + equal_before.sum(axis=1)
        values["top_3_accuracy"] = float((rank < TOP).mean())
    return values


def _label_rows(names: list[str], counts: Counts, per_label_ap: Array, thresholds: Array) -> list[LabelMetrics]:
    rows = zip(names, *counts, precision(counts), recall(counts), f1(counts), per_label_ap, thresholds, strict=True)
    return [
        LabelMetrics(
            label=name,
            support=int(support),
            predicted=int(predicted),
            precision=float(label_precision),
            recall=float(label_recall),
            f1=float(label_f1),
            average_precision=0.0 if np.isnan(label_ap) else float(label_ap),
            threshold=float(threshold),
        )
        for name, _, predicted, support, label_precision, label_recall, label_f1, label_ap, threshold in rows
    ]


__all__ = ["average_precision_macro", "compute_metrics", "lexglue_f1"]
