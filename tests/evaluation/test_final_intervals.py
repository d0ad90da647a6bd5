import numpy as np
import pytest

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.final_intervals import build_intervals
from smallprint.evaluation.headline import build_headline
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.score_intervals import score_intervals

NAMES = ["a", "b", "c"]


def scored(task, n=120):
    rng = np.random.default_rng(3)
    if task == "multiclass":
        targets = rng.integers(0, 3, n)
        scores = rng.dirichlet(np.ones(3), n) + 0.7 * np.eye(3)[targets]
        scores /= scores.sum(axis=1, keepdims=True)
    else:
        targets = (rng.random((n, 1 if task == "binary" else 3)) < 0.4).astype(np.int8)
        scores = np.clip(0.35 * targets + rng.random(targets.shape) * 0.6, 0, 1)
    names = NAMES[:2] if task == "binary" else NAMES
    return ScoredSplit("test", task, names, [""] * n, targets, scores.astype(np.float32))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_each_interval_holds_its_metric_and_the_leading_one_is_the_reports(task):
    split = scored(task)
    thresholds = np.full(1 if task == "binary" else 3, 0.45)
    values = compute_metrics(split, thresholds).values
    found = build_intervals(split, thresholds)
    assert set(found) <= set(values)
    assert len(found) >= 3
    for name, interval in found.items():
        assert interval.low < values[name] < interval.high, name
        assert 0.01 < interval.high - interval.low < 0.4, name
    leading = build_headline(split, thresholds)
    assert found[leading.measure] == leading.interval


def test_with_a_rare_label_card_and_report_tell_one_interval():
    split = scored("multilabel")
    split.targets[:, 2], split.targets[0, 2] = 0, 1
    split.scores[:, 2] = split.targets[:, 2]
    thresholds = np.full(3, 0.45)
    leading = build_headline(split, thresholds).interval
    assert score_intervals(split, thresholds)["f1_macro"] == leading
    assert build_intervals(split, thresholds)["f1_macro"] == leading


def test_perfect_answers_of_a_rare_label_have_perfect_intervals():
    split = scored("multilabel")
    split.targets[:, 2], split.targets[:3, 2] = 0, 1
    split.scores[:] = split.targets
    thresholds = np.full(3, 0.5)
    found = {**score_intervals(split, thresholds), **build_intervals(split, thresholds)}
    assert {(interval.low, interval.high) for interval in found.values()} == {(1.0, 1.0)}
    assert {"label:c", "f1_macro_at_0.5", "lexglue_f1_macro", "lexglue_f1_macro_tuned"} <= set(found)


def test_they_are_drawn_by_group():
    split, groups = scored("multilabel"), [f"d{i // 40}" for i in range(120)]
    found = build_intervals(split, np.full(3, 0.45), groups)
    assert {interval.units for interval in found.values()} == {3}
    assert all(interval.over_groups for interval in found.values())
    assert build_intervals(split, np.full(3, 0.45), [None] * 120)["f1_macro"].units == 120


def test_one_group_has_none():
    assert build_intervals(scored("multilabel"), np.full(3, 0.45), ["d"] * 120) == {}


def test_draws_are_not_ranked_one_by_one(monkeypatch):
    """scikit-learn once a draw and label took 12 s for 77 labels, at the end of each training that is tracked."""
    monkeypatch.setattr("sklearn.metrics.average_precision_score", None)
    assert "average_precision_macro" in build_intervals(scored("multilabel"), np.full(3, 0.45))
