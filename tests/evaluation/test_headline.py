import numpy as np
import pytest
from sklearn.metrics import f1_score

from smallprint.core.errors import DataError
from smallprint.core.results import ScoredSplit
from smallprint.evaluation.headline import build_headline
from smallprint.evaluation.metrics import compute_metrics


def make(task, targets, scores):
    names = ["no", "yes"] if task == "binary" else [f"l{k}" for k in range(scores.shape[1])]
    return ScoredSplit("test", task, names, [], targets, scores)


@pytest.mark.parametrize(("task", "n_labels"), [("binary", 1), ("multilabel", 4)])
def test_value_is_the_metric_and_the_floor_is_saying_yes_to_all(task, n_labels):
    rng = np.random.default_rng(0)
    targets = (rng.random((300, n_labels)) < 0.2).astype(np.int8)
    scores = np.clip(targets * 0.4 + rng.random(targets.shape) * 0.6, 0, 1)
    scored, thresholds = make(task, targets, scores), np.full(n_labels, 0.45)
    headline = build_headline(scored, thresholds)
    assert headline.value == pytest.approx(compute_metrics(scored, thresholds).values[headline.measure])
    yes = np.ones_like(targets)
    assert headline.floor == pytest.approx(np.mean([f1_score(targets[:, k], yes[:, k]) for k in range(n_labels)]))
    assert headline.interval.low < headline.value < headline.interval.high
    assert headline.positives == targets.any(axis=1).sum()
    assert headline.measure == {"binary": "f1", "multilabel": "f1_macro"}[task]


def test_multiclass_leads_with_accuracy_over_the_most_frequent_label():
    ids = np.array([0] * 6 + [1] * 3 + [2])
    scores = np.eye(3)[np.array([0] * 5 + [1] * 5)]
    headline = build_headline(make("multiclass", ids, scores), np.full(3, 0.5))
    assert (headline.measure, headline.value, headline.floor) == ("accuracy", pytest.approx(0.8), pytest.approx(0.6))
    assert "l0" in headline.floor_answer
    assert headline.positives is None


def test_a_label_absent_from_a_resample_does_not_push_the_interval_down():
    targets = np.zeros((100, 2), dtype=np.int8)
    targets[:50, 0], targets[0, 1] = 1, 1
    headline = build_headline(make("multilabel", targets, targets.astype(float)), np.full(2, 0.5))
    assert (headline.value, headline.interval.low, headline.interval.high) == (1.0, 1.0, 1.0)


def test_a_label_absent_from_the_split_counts_as_0_in_score_and_interval():
    targets = np.zeros((100, 2), dtype=np.int8)
    targets[:50, 0] = 1
    headline = build_headline(make("multilabel", targets, targets.astype(float)), np.full(2, 0.5))
    assert (headline.value, headline.interval.low, headline.interval.high) == (0.5, 0.5, 0.5)


def test_groups_reach_the_interval():
    targets = np.array([[1], [0]] * 20)
    scored = make("binary", targets, targets.astype(float))
    assert build_headline(scored, np.array([0.5]), groups=[k // 4 for k in range(40)]).interval.units == 10
    with pytest.raises(DataError, match="group values"):
        build_headline(scored, np.array([0.5]), groups=[1])
