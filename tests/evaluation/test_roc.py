import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.plots_decisions import plot_roc, plot_thresholds, plot_workload
from smallprint.evaluation.roc import build_roc
from smallprint.evaluation.workload import threshold_curve, workload_curve


def split(n_labels=3, n=400):
    rng = np.random.default_rng(0)
    targets = (rng.random((n, n_labels)) < 0.2).astype(np.int8)
    scores = np.clip(targets * 0.3 + rng.random(targets.shape) * 0.7, 0, 1).astype(np.float32)
    return ScoredSplit("test", "multilabel", [f"label {k}" for k in range(n_labels)], [], targets, scores)


def test_areas_are_scikit_learns_and_points_few():
    scored = split()
    for k, curve in enumerate(build_roc(scored)):
        assert curve.area == pytest.approx(roc_auc_score(scored.targets[:, k], scored.scores[:, k]))
        assert len(curve.true_positives) <= 150
        border = np.sort(scored.scores[scored.targets[:, k] == 1, k])[::-1][int(np.ceil(0.5 * curve.support)) - 1]
        negatives = scored.scores[scored.targets[:, k] == 0, k]
        assert curve.false_at(0.5) == pytest.approx(float((negatives >= border).mean()), abs=0.02)


def test_labels_without_both_kinds_have_no_curve_and_many_get_one_of_all():
    scored = split()
    scored.targets[:, 0], scored.targets[:, 1] = 0, 1
    assert [curve.label for curve in build_roc(scored)] == ["label 2"]
    assert build_roc(split(14))[-1].label == "all labels (micro)"


def test_lines_can_be_told_apart_without_colour():
    styles = re.findall(r'style="([^"]*stroke-width: 1.3[^"]*)"', plot_roc(split(12)))
    dashes = {"".join(re.findall(r"stroke-dasharray: [^;]*", style)) for style in styles}
    assert len(dashes) == 12


def test_each_picture_has_a_title_and_none_fails_on_little():
    for scored in (split(), split(1, 5)):
        scored.targets[0] = 1
        pictures = [
            plot_roc(scored),
            plot_thresholds(threshold_curve(scored), "test", 0.4),
            plot_workload(workload_curve(scored), "test"),
        ]
        assert all('role="img"' in svg and "<title" in svg for svg in pictures)
