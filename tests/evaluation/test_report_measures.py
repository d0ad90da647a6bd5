from dataclasses import replace

import numpy as np
import pytest

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.report_measures import group_measures

ROUND = {
    "binary": ScoredSplit("test", "binary", ["n", "y"], [], np.array([[0], [1]]), np.array([[0.1], [0.8]])),
    "multiclass": ScoredSplit("test", "multiclass", list("abcd"), [], np.arange(4), np.eye(4)),
    "multilabel": ScoredSplit("test", "multilabel", ["a", "b"], [], np.eye(2, dtype=int), np.eye(2)),
}


@pytest.mark.parametrize("task", ROUND)
def test_every_metric_has_words(task):
    metrics = compute_metrics(ROUND[task], np.full(ROUND[task].scores.shape[1], 0.5))
    groups = group_measures(metrics, metrics)
    assert "Other" not in groups
    assert sorted(row.key for rows in groups.values() for row in rows) == sorted(metrics.values)


def test_both_multilabel_measures_are_named_with_their_columns():
    metrics = compute_metrics(ROUND["multilabel"], np.array([0.5, 0.5]))
    headings = list(group_measures(metrics, metrics))
    assert headings[0] == "Plain measure: the 2 labels alone, tuned thresholds"
    assert "LexGLUE’s measure: 2 labels and “none” (3 columns), score > 0.5" in headings


def test_what_one_split_lacks_is_none_and_what_has_no_words_is_shown_too():
    test = compute_metrics(ROUND["binary"], np.array([0.5]))
    validation = replace(test, values={"f1": 0.25, "own_measure": 0.5})
    rows = {row.key: row for rows in group_measures(validation, test).values() for row in rows}
    assert (rows["f1"].validation, rows["f1"].test) == (0.25, 1.0)
    assert rows["mcc"].validation is None
    assert (rows["own_measure"].words, rows["own_measure"].test) == ("own_measure", None)
