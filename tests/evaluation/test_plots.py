import re
import subprocess
import sys
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest

from smallprint.core.errors import DataError
from smallprint.core.results import ScoredSplit
from smallprint.evaluation.calibration import ReliabilityBin, reliability
from smallprint.evaluation.plots import plot_learning_curves, plot_precision_recall, plot_reliability

HISTORY = [
    {
        "epoch": k,
        "train/loss": 1 / (k + 1),
        "validation/loss": 0.7,
        "validation/average_precision": [0.2, 0.8, 0.5][k],
        "validation/f1_macro": 0.1 * k,
        "validation/examples": 300.0,
    }
    for k in range(3)
]


def words(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def make(names):
    rng = np.random.default_rng(0)
    targets = (rng.random((200, len(names))) < 0.3).astype(np.int8)
    scores = np.clip(targets * 0.4 + rng.random(targets.shape) * 0.6, 0, 1).astype(np.float32)
    return ScoredSplit("test", "multilabel", names, [], targets, scores)


def test_learning_curves_name_the_lines_and_the_best_epoch():
    shown = words(plot_learning_curves(HISTORY))
    assert {"loss", "validation score", "train", "validation", "average precision", "f1 macro"} <= set(shown)
    assert "epoch (dotted: best average precision, 1)" in shown
    assert "examples" not in shown  # not a score in [0, 1]


@pytest.mark.parametrize(
    "history",
    [[], [{}], [{"epoch": 0, "train/loss": float("nan")}], [{"epoch": 0, "train/loss": None}]],
)
def test_a_history_without_numbers_says_so(history):
    assert words(plot_learning_curves(history)) == ["No epochs were recorded."]


def test_one_epoch_and_missing_parts_can_be_drawn():
    assert "train loss" not in words(plot_learning_curves([{"train/loss": 0.5}]))
    assert "loss" in words(plot_learning_curves([{"train/loss": 0.5}]))
    assert "loss" not in words(plot_learning_curves([{"validation/average_precision": 0.5}]))


def test_names_are_shown_as_they_are():
    names = ["_hidden", "$x^2$ fee", "<b>&", "合同", "n\x00l"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = words(plot_precision_recall(make(names)))
    for name in ["_hidden", "$x^2$ fee", "<b>&", "合同", "n\ufffdl"]:
        assert any(text.startswith(f"{name}  AP 0.") for text in shown), name


def test_many_labels_show_twelve_and_micro():
    shown = [text for text in words(plot_precision_recall(make([f"l{k}" for k in range(30)]))) if "  AP " in text]
    assert len(shown) == 13
    assert shown[-1].startswith("all labels (micro)")


def test_no_positives_say_so():
    scored = make(["a"])
    scored.targets[:] = 0
    assert words(plot_precision_recall(scored)) == ["No label has a positive example here."]


def test_reliability_says_how_much_stands_behind_it():
    scored = make(["a", "b"])
    shown = words(plot_reliability(reliability(scored.targets, scored.scores), "test"))
    assert "mean score of a bin (n = 400 scores in 15 bins)" in shown
    assert {"share that is true", "scores are shares", "test split", "0.01", "0.99"} <= set(shown)


def test_reliability_draws_each_bin_where_it_belongs():
    """Both axes alike: a dot with equal numbers lies on the diagonal, and ends are inside of the picture."""
    bins = [ReliabilityBin(share, share, 10) for share in (0.0, 0.001, 0.3, 1.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        root = ElementTree.fromstring(plot_reliability(bins, "test"))
    paths = [element.get("d", "") for element in root.iter() if element.tag.endswith("path")]
    points = [[tuple(map(float, point)) for point in re.findall(r"[ML] (\S+) (\S+)", path)] for path in paths]
    diagonal, dots = next(p for p in points if len(p) == 2 and p[0][0] < p[1][0] and p[0][1] > p[1][1]), points
    drawn = next(p for p in dots if len(p) == 4 and p[0] == diagonal[0])
    assert drawn[-1] == diagonal[-1]
    (x0, y0), (x1, y1) = diagonal
    share = [((x - x0) / (x1 - x0), (y - y0) / (y1 - y0)) for x, y in drawn]
    wanted = [np.arcsin(np.sqrt(found.mean_score)) / (np.pi / 2) for found in bins]
    assert [x for x, _ in share] == pytest.approx(wanted, abs=1e-3)
    assert [y for _, y in share] == pytest.approx(wanted, abs=1e-3)


def test_one_bin_can_be_drawn():
    assert "mean score of a bin (n = 1 score in 1 bin)" in words(plot_reliability([ReliabilityBin(1, 0, 1)], "test"))


def test_misfits_are_errors():
    with pytest.raises(DataError, match="shape"):
        plot_precision_recall(ScoredSplit("t", "multilabel", ["a"], [], np.zeros((2, 1)), np.zeros((3, 1))))


def test_the_bytes_are_deterministic():
    assert plot_learning_curves(HISTORY) == plot_learning_curves(HISTORY)
    assert plot_precision_recall(make(["a", "b"])) == plot_precision_recall(make(["a", "b"]))
    bins = [ReliabilityBin(0.2, 0.3, 5)]
    assert plot_reliability(bins, "test") == plot_reliability(bins, "test")


def test_importing_loads_nothing_heavy_and_drawing_no_pyplot():
    code = """
import sys
from smallprint.evaluation import headline, intervals, metrics, plots, report, thresholds
heavy = {"matplotlib", "sklearn", "scipy", "jinja2", "torch", "polars"} & set(sys.modules)
assert not heavy, heavy
plots.plot_learning_curves([{"train/loss": 1.0}])
assert "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
