"""A stack in a bundle: the same scores bit for bit, and a clear word for every damage."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from smallprint.core.config import Config
from smallprint.core.errors import BundleError
from smallprint.core.files import sha256_file, write_json
from smallprint.core.settings import load_config
from smallprint.data.labels import LabelSet
from smallprint.evaluation.calibration import Calibration
from smallprint.evaluation.stack import Stack
from smallprint.modeling.linear import fit_linear
from smallprint.modeling.stack_scorer import Member, StackScorer
from smallprint.packaging.bundle import load_bundle, save_bundle
from smallprint.packaging.manifest import MANIFEST, files_in

TEXTS = [f"{word} number {i}" for i in range(8) for word in ("red", "green", "plain")]
TARGETS = np.array([[word in text for word in ("red", "green")] for text in TEXTS], dtype=np.int8)
LABELS = LabelSet("multilabel", ["red", "green"])


def config() -> Config:
    members = '{"words": ["model.backbone=tfidf"], "folds": ["model.backbone=tfidf"]}'
    return load_config(None, ["model.backbone=stack", f"stack.members={members}"])


@pytest.fixture(scope="module")
def scorer():
    models = [fit_linear(TEXTS[k:], TARGETS[k:], "multilabel", 2, k) for k in range(3)]
    members = [Member("words", models[:1]), Member("folds", models[1:])]
    return StackScorer(members, Stack(np.array([0.7, 0.4]), np.array([0.1, -0.2])))


@pytest.fixture(scope="module")
def saved(scorer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack") / "bundle"
    save_bundle(
        folder, scorer=scorer, labels=LABELS, thresholds=np.full(2, 0.5), config=config(), data={}, metrics={"f1": 1}
    )
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(saved, folder)
    return folder


def resign(folder):
    """Writes the hashes anew, as somebody would who means to."""
    tree = json.loads((folder / MANIFEST).read_text())
    tree["files"] = {name: sha256_file(folder / name) for name in files_in(folder) if name != MANIFEST}
    write_json(folder / MANIFEST, tree)


def edit(folder, **changed):
    tree = json.loads((folder / "stack.json").read_text()) | changed
    write_json(folder / "stack.json", tree)
    resign(folder)


def test_scores_are_the_same_bits(scorer, saved):
    bundle = load_bundle(saved)
    assert np.array_equal(bundle.scorer.score(TEXTS), scorer.score(TEXTS))
    assert bundle.config == config()
    assert [member.name for member in bundle.scorer.members] == ["words", "folds"]


def test_it_averages_the_models_of_a_member(scorer):
    one, two, three = (model.score(TEXTS) for member in scorer.members for model in member.scorers)
    expected = scorer.stack.apply([one, (two + three) / 2])
    assert np.allclose(scorer.score(TEXTS), expected, atol=1e-6)


def test_a_members_calibration_is_kept_in_stack_json_and_applied_before_the_rest(scorer, tmp_path):
    calibration = Calibration("multilabel", np.array([2.0, 0.5]), np.array([0.3, -0.1]))
    own = StackScorer([replace(scorer.members[0], calibration=calibration), scorer.members[1]], scorer.stack)
    save_bundle(
        tmp_path / "own", scorer=own, labels=LABELS, thresholds=np.full(2, 0.5), config=config(), data={}, metrics={}
    )
    one, two, three = (model.score(TEXTS) for member in scorer.members for model in member.scorers)
    loaded = load_bundle(tmp_path / "own")
    assert np.allclose(
        loaded.scorer.score(TEXTS), scorer.stack.apply([calibration.apply(one), (two + three) / 2]), atol=1e-6
    )
    members = json.loads((tmp_path / "own" / "stack.json").read_text())["members"]
    assert ["calibration" in member for member in members] == [True, False]
    members[0]["calibration"]["slope"] = [1.0]
    members[0]["calibration"]["intercept"] = [1.0]
    edit(tmp_path / "own", members=members)
    with pytest.raises(BundleError, match=r"stack\.json has a calibration of 1 scores"):
        load_bundle(tmp_path / "own")


def test_each_model_is_a_bundle_of_its_own(scorer, saved):
    inner = load_bundle(saved / "members" / "folds-2")
    assert np.array_equal(inner.scorer.score(TEXTS), scorer.members[1].scorers[1].score(TEXTS))
    assert inner.config.model.backbone == "tfidf"


def test_a_changed_member_is_found(copy):
    file = copy / "members" / "folds-1" / "terms.json"
    file.write_text(file.read_text() + " ")
    with pytest.raises(BundleError, match=r"members/folds-1/terms\.json was changed"):
        load_bundle(copy)


def test_a_lost_member_is_found(copy):
    shutil.rmtree(copy / "members" / "folds-2")
    with pytest.raises(BundleError, match="lacks members/folds-2"):
        load_bundle(copy)
    resign(copy)
    with pytest.raises(BundleError, match=r"folds-2 has no manifest\.json"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"offsets": [0.0]}, "has 1 offsets, but the manifest names 2 labels"),
        ({"offsets": ["a", 0.0]}, r"stack\.json cannot be read: offsets\.0"),
        ({"members": []}, r"cannot be read: members"),
        ({"members": [{"name": "../../x", "models": 1, "weight": 1.0}]}, r"cannot be read: members\.0\.name"),
        ({"members": [{"name": "words", "models": 0, "weight": 1.0}]}, r"cannot be read: members\.0\.models"),
        ({"combine": "log scores"}, "combines log scores for a multilabel task"),
        ({"extra": 1}, "cannot be read: extra"),
    ],
)
def test_a_stack_file_that_does_not_fit(copy, changed, told):
    edit(copy, **changed)
    with pytest.raises(BundleError, match=told) as error:
        load_bundle(copy)
    assert error.value.do


def test_a_member_of_other_labels_is_refused(copy):
    place = copy / "members" / "words-1"
    tree = json.loads((place / MANIFEST).read_text()) | {"label_names": ["green", "red"]}
    write_json(place / MANIFEST, tree)
    resign(copy)
    with pytest.raises(BundleError, match="words-1 has other labels"):
        load_bundle(copy)


def test_without_its_stack_file_it_is_none(copy):
    (copy / "stack.json").unlink()
    with pytest.raises(BundleError, match=r"lacks stack\.json"):
        load_bundle(copy)
