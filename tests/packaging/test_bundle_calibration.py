"""A calibration in a bundle: the same numbers again, and a clear word for every damage."""

import json

import numpy as np
import pytest

from smallprint.core.errors import BundleError
from smallprint.core.settings import load_config
from smallprint.data.labels import LabelSet
from smallprint.evaluation.calibration import Calibration
from smallprint.evaluation.stack import Stack
from smallprint.inference.engine import load_engine
from smallprint.modeling.linear import fit_linear
from smallprint.modeling.stack_scorer import Member, StackScorer
from smallprint.packaging.bundle import load_bundle, save_bundle

TEXTS = [f"{word} number {i}" for i in range(8) for word in ("red", "green", "plain")]
TARGETS = {
    "binary": np.array([["red" in text] for text in TEXTS], dtype=np.int8),
    "multiclass": np.arange(24) % 3,
    "multilabel": np.array([[word in text for word in ("red", "green")] for text in TEXTS], dtype=np.int8),
}
CALIBRATIONS = {
    "binary": Calibration("binary", np.array([1 / 3]), np.array([-0.1])),
    "multiclass": Calibration("multiclass", np.full(3, 0.7), np.zeros(3)),
    "multilabel": Calibration("multilabel", np.array([0.3, 1.7]), np.array([0.1, -0.2])),
}


def labels_of(task):
    return LabelSet(
        task, {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "multilabel": ["red", "green"]}[task]
    )


def save(folder, task="multilabel", calibration=None, scorer=None, settings=("model.backbone=tfidf",)):
    labels = labels_of(task)
    return save_bundle(
        folder,
        scorer=scorer or fit_linear(TEXTS, TARGETS[task], task, labels.n_outputs),
        labels=labels,
        thresholds=np.full(labels.n_outputs, 0.5),
        config=load_config(None, list(settings)),
        data={},
        metrics={},
        calibration=calibration,
    )


def damage(folder, **changed):
    path = folder / "manifest.json"
    tree = json.loads(path.read_text())
    path.write_text(json.dumps(tree | {"calibration": (tree["calibration"] or {}) | changed}))


@pytest.mark.parametrize("task", list(CALIBRATIONS))
def test_it_comes_back_to_the_last_digit_and_is_applied(tmp_path, task):
    folder = save(tmp_path / "b", task, CALIBRATIONS[task])
    bundle = load_bundle(folder)
    assert bundle.calibration.to_dict() == CALIBRATIONS[task].to_dict()
    raw = bundle.scorer.score(TEXTS)
    np.testing.assert_array_equal(load_engine(folder).score(TEXTS), CALIBRATIONS[task].apply(raw))
    assert np.abs(load_engine(folder).score(TEXTS) - raw).max() > 1e-3


def test_none_is_none_and_older_bundles_have_none(tmp_path):
    folder = save(tmp_path / "b")
    assert json.loads((folder / "manifest.json").read_text())["calibration"] is None
    assert load_bundle(folder).calibration is None
    tree = json.loads((folder / "manifest.json").read_text())
    del tree["calibration"]
    (folder / "manifest.json").write_text(json.dumps(tree))
    assert load_bundle(folder).calibration is None
    assert load_engine(folder).calibration is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"slope": [1.0], "intercept": [0.0]}, r"a calibration of 1 scores \(multilabel\)"),
        ({"slope": [1.0, 1.0, 1.0], "intercept": [0.0, 0.0, 0.0]}, r"a calibration of 3 scores"),
        ({"slope": [1.0, 1.0, 1.0]}, "slopes .3., intercepts .2."),
        ({"slope": [], "intercept": []}, "slopes .0., intercepts .0."),
        ({"slope": [1.0, -1.0]}, r"slopes \[1.0, -1.0\]"),
        ({"slope": [1.0, float("inf")]}, r"'calibration\.slope\.1'.*finite"),
        ({"intercept": [float("nan"), 0.0]}, r"'calibration\.intercept\.0'.*finite"),
        ({"task": "multiclass"}, "several slopes, or intercepts, for a multiclass"),
        ({"task": "multiclass", "slope": [1.0, 1.0], "intercept": [0.0, 0.0]}, r"of 2 scores \(multiclass\)"),
        ({"task": "binary"}, "slopes .2., intercepts .2. for binary"),
        ({"intercept": None}, r"'calibration\.intercept'"),
    ],
)
def test_a_damaged_one_is_named(tmp_path, changed, told):
    folder = save(tmp_path / "b", calibration=CALIBRATIONS["multilabel"])
    damage(folder, **changed)
    with pytest.raises(BundleError, match=told) as error:
        load_bundle(folder)
    assert "manifest.json" in error.value.found
    assert error.value.do


def test_a_stack_is_calibrated_as_a_whole(tmp_path):
    one, two = (fit_linear(TEXTS[k:], TARGETS["multilabel"][k:], "multilabel", 2, k) for k in range(2))
    stack = StackScorer(
        [Member("one", [one]), Member("two", [two])], Stack(np.array([0.7, 0.4]), np.array([0.1, -0.2]))
    )
    members = '{"one": ["model.backbone=tfidf"], "two": ["model.backbone=tfidf"]}'
    settings = ("model.backbone=stack", f"stack.members={members}", "evaluation.calibration=platt")
    folder = save(tmp_path / "b", "multilabel", CALIBRATIONS["multilabel"], stack, settings)
    expected = CALIBRATIONS["multilabel"].apply(stack.score(TEXTS))
    np.testing.assert_array_equal(load_engine(folder).score(TEXTS), expected)
    assert load_bundle(folder / "members" / "one-1").calibration is None
