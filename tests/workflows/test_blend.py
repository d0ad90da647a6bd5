"""Finished runs averaged into one: the same scores as the mean of their logits, a run like any other, and clear refusals."""

import errno
import json
import shutil

import numpy as np
import polars as pl
import pytest

import smallprint
from smallprint import api, blending
from smallprint.cli.app import main
from smallprint.core.errors import BundleError, ConfigError, DataError, SmallprintError, TrainingError
from smallprint.core.mlflow_store import open_client, tracking_uri
from smallprint.core.settings import build_config, config_of_member, load_config
from smallprint.evaluation.calibration import logits_of
from smallprint.export import export
from smallprint.families.blend import share_weights
from smallprint.packaging.reference import load_reference

FRESH = ["", "crimson and leaf", "ocean the service 7", "we may close your account", "scarlet " * 30]
WORDS = {"backbone": "tfidf", "tfidf": {"characters": 0}}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("blend")


@pytest.fixture(scope="module")
def trained(root, labelled_frame):
    """`trained(name, task, **sections)` gives a finished run on the toy table, trained once."""

    def train(name, task="multilabel", model=None, rows=120, **sections):
        run = root / f"{task}-{name}"
        if not run.exists():
            data = root / f"{task}{rows}.parquet"
            labelled_frame(task, rows).write_parquet(data)
            tree = {"tracking": {"enabled": False}, "model": model or {"backbone": "tfidf"}, **sections}
            api.train(data, config=build_config({"data": {"task": task}, **tree}), out=run)
        return run

    return train


@pytest.fixture(scope="module")
def kernel(trained, tiny_backbone):
    return trained("kernel", model={"backbone": str(tiny_backbone), "adapter": "frozen", "head": "svm"})


@pytest.fixture(scope="module")
def blended(trained, kernel, root):
    members = [trained("linear"), kernel]
    return members, smallprint.blend(members, out=root / "blended")


def mean_of_logits(members, texts, weights, task="multilabel"):
    scores = [api.load(run).score(texts).astype(np.float64) for run in members]
    if task == "multiclass":
        total = sum(w * np.log(np.clip(part, 1e-7, 1)) for w, part in zip(weights, scores, strict=True))
        return np.exp(total) / np.exp(total).sum(axis=1, keepdims=True)
    return 1 / (1 + np.exp(-sum(w * logits_of(part) for w, part in zip(weights, scores, strict=True))))


def test_it_scores_fresh_texts_as_the_mean_of_the_members_logits(blended):
    members, result = blended
    expected = mean_of_logits(members, FRESH, [0.5, 0.5])
    np.testing.assert_allclose(api.load(result.run).score(FRESH), expected, atol=1e-5)
    assert not np.allclose(expected, api.load(members[0]).score(FRESH), atol=1e-2)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_so_it_does_for_the_other_tasks_and_by_weights(trained, root, task):
    members = [trained("linear", task), trained("words", task, WORDS)]
    result = smallprint.blend(members, out=root / f"of-{task}", weights=[3, 1])
    expected = mean_of_logits(members, FRESH, [0.75, 0.25], task)
    np.testing.assert_allclose(api.load(result.bundle).score(FRESH), expected, atol=1e-5)
    again, _ = api.evaluate(result.run, root / f"{task}120.parquet")
    assert again.values == pytest.approx(result.test.values, abs=1e-6)


def test_calibrated_members_are_averaged_as_they_answer(trained, root, kernel):
    members = [trained("platt", evaluation={"calibration": "platt"}), kernel]
    bundle = json.loads((members[0] / "bundle" / "manifest.json").read_text())
    assert bundle["calibration"] is not None
    result = smallprint.blend(members, out=root / "of-calibrated", settings=["evaluation.calibration=none"])
    expected = mean_of_logits(members, FRESH, [0.5, 0.5])
    np.testing.assert_allclose(api.load(result.bundle).score(FRESH), expected, atol=1e-5)
    both = smallprint.blend(members, out=root / "calibrated", settings=["evaluation.calibration=platt"])
    engine = api.load(both.bundle)
    np.testing.assert_allclose(engine.score(FRESH), engine.calibration.apply(expected), atol=1e-5)
    again, _ = api.evaluate(both.run, root / "multilabel120.parquet")
    assert again.values == pytest.approx(both.test.values, abs=1e-6)


def test_it_is_a_run_like_any_other(blended, root):
    members, result = blended
    again, _ = api.evaluate(result.run, root / "multilabel120.parquet")
    assert again.values == pytest.approx(result.test.values, abs=1e-6)
    on_validation, _ = api.evaluate(result.run, root / "multilabel120.parquet", split="validation")
    assert on_validation.values == pytest.approx(result.validation.values, abs=1e-6)
    names = {path.name for path in result.run.iterdir()}
    trained = {path.name for path in members[1].iterdir()} - {"checkpoints"}
    assert names - {"members.json"} == trained
    state = json.loads((result.run / "run.json").read_text())
    assert state["status"] == "finished"
    assert [member["run"] for member in state["members"]] == [str(run.resolve()) for run in members]
    page = api.report(result.run).read_text()
    assert page.count("Members of the blend") == page.count("What each member of the blend adds") == 1
    assert "blend (mean of the logits) of 2 models" in (result.run / "README.md").read_text()
    reference = load_reference(result.bundle, 3)
    known = load_reference(members[0] / "bundle", 3)
    np.testing.assert_array_equal(reference.numbers.rarity, known.numbers.rarity)
    scores = pl.read_parquet(result.run / "validation_scores.parquet")["scores"].to_list()
    np.testing.assert_array_equal(reference.scores, np.array(scores, dtype=np.float16))


def test_thresholds_come_from_validation_alone(blended, trained, kernel, root, monkeypatch):
    tuned = blending.tune

    def check(run, unseen, scored, groups, say):
        assert unseen.split == scored.split == "validation"
        return tuned(run, unseen, scored, groups, say)

    monkeypatch.setattr(blending, "tune", check)
    other = root / "other-test"
    shutil.copytree(kernel, other)
    frame = pl.read_parquet(other / "test_scores.parquet")
    frame.with_columns(scores=frame["scores"].reverse()).write_parquet(other / "test_scores.parquet")
    result = smallprint.blend([trained("linear"), other], out=root / "by-validation")
    saved, before = (json.loads(each.metrics_file.read_text()) for each in (result, blended[1]))
    assert saved["thresholds"] == before["thresholds"]
    assert saved["test"] != before["test"]


def test_the_model_did_not_learn_from_validation_unless_a_member_did(blended, trained, root):
    _, result = blended
    said = []
    api.evaluate(result.run, root / "multilabel120.parquet", split="validation", say=said.append)
    assert not any("learned from validation" in line for line in said)
    members = {"members": {"a": ["model.backbone=tfidf"]}}
    stack = trained("stack", model={"backbone": "stack"}, stack=members)
    lines = []
    mixed = smallprint.blend([trained("linear"), stack], out=root / "mixed", say=lines.append)
    assert any("multilabel-stack, which learned from validation too" in line for line in lines)
    np.testing.assert_allclose(
        api.load(mixed.run).score(FRESH), mean_of_logits([trained("linear"), stack], FRESH, [0.5, 0.5]), atol=1e-5
    )
    api.evaluate(mixed.run, root / "multilabel120.parquet", split="validation", say=said.append)
    assert any("learned from validation" in line for line in said)
    held = set(pl.read_parquet(stack / "held_out_scores.parquet")["text"])
    assert len(api.load(mixed.run).known_texts) == len(held)


def test_that_members_learned_from_other_rows_is_told(trained, kernel, root, labelled_frame):
    more = root / "more.csv"
    labelled_frame("multilabel", 120).head(3).select(
        text=pl.col("text") + " anew", labels=pl.col("labels").list.join("|")
    ).write_csv(more)
    extra = trained("extra", data={"task": "multilabel", "extra": str(more)})
    for other, told in ((extra, True), (kernel, False)):
        lines = []
        smallprint.blend([trained("linear"), other], out=root / f"with-{other.name}", say=lines.append)
        assert any("learned from other train examples" in line for line in lines) == told


def test_settings_tell_each_member_and_are_not_trained(blended):
    members, result = blended
    config = api.load_config_of(result.bundle)
    for run in members:
        assert config_of_member(config, run.name).model == load_config(run / "config.yaml").model
    with pytest.raises(ConfigError, match="settings of a blend, which is not trained"):
        smallprint.train("sample", config=config)
    with pytest.raises(ConfigError, match="settings of a blend, which is not trained"):
        api.train(resume=result.run)
    assert json.loads((result.run / "run.json").read_text())["status"] == "finished", "it is as it was"


def test_members_that_are_encoders_go_to_onnx(trained, kernel, root):
    result = smallprint.blend(
        [trained("platt", evaluation={"calibration": "platt"}), kernel], out=root / "encoders", weights=[1, 3]
    )
    found = export(result.run, "onnx", root / "encoders-onnx")
    assert found.difference < 1e-4
    exported = api.load(found.folder)
    families = [api.load_bundle(path).manifest["family"] for path in sorted((found.folder / "members").iterdir())]
    assert sorted(families) == ["linear", "onnx"]
    np.testing.assert_allclose(exported.score(FRESH), api.load(result.run).score(FRESH), atol=1e-4)


def test_it_is_tracked_with_its_members_and_promoted(trained, root):
    tracking = {"root": str(root / "tracked")}
    members = [trained(name, model=model, tracking=tracking) for name, model in (("one", None), ("two", WORDS))]
    result = smallprint.blend(members, out=root / "tracked" / "blend")
    state = json.loads((result.run / "run.json").read_text())
    client = open_client(tracking_uri(load_config(result.run / "config.yaml")))
    found = client.get_run(state["mlflow_run_id"]).data
    assert found.params["blend.members"] == "multilabel-one, multilabel-two"
    own = json.loads((members[1] / "run.json").read_text())["mlflow_run_id"]
    assert found.params["blend.multilabel-two.mlflow_run_id"] == own
    assert found.metrics["final/test/f1_macro"] == pytest.approx(result.test.values["f1_macro"])
    from smallprint.registry.promote import promote

    assert promote(result.run, "toys") is not None


def test_on_the_command_line(trained, kernel, root, capsys):
    words = ["blend", str(trained("linear")), str(kernel), "--weights", "1,3", "--out", str(root / "typed"), "--json"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["test"] == api.load_bundle(root / "typed" / "bundle").manifest["metrics"]["test"]
    assert "A blend of multilabel-linear 0.25, multilabel-kernel 0.75." in err
    assert (root / "typed" / "run.json").read_text().count("--weights 1,3")


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([1], "1 weights were given"),
        ([1, -1], "below 0"),
        ([1, float("nan")], "below 0, or none at all"),
        ([0, 0], "are all 0"),
    ],
)
def test_weights_that_cannot_be_used(trained, kernel, root, weights, told):
    with pytest.raises(ConfigError, match=told):
        smallprint.blend([trained("linear"), kernel], out=root / "none", weights=weights)
    assert not (root / "none").exists()


def test_weights_in_any_scale():
    for scale in (1e-300, 1.0, 1.7e308):
        np.testing.assert_allclose(share_weights([scale, scale / 3], 2), [0.75, 0.25])


def test_runs_that_cannot_be_averaged(trained, kernel, blended, root, labelled_frame, tmp_path):
    linear, out = trained("linear"), tmp_path / "none"
    turned = change(kernel, tmp_path, "validation", text=pl.col("text").reverse())
    cases = [
        ([linear], ConfigError, "1 run was named"),
        ([linear, linear], ConfigError, "named twice"),
        ([linear, tmp_path / "nowhere"], TrainingError, "does not exist"),
        ([linear, kernel / "bundle"], TrainingError, "holds no run"),
        ([linear, blended[1].run], ConfigError, "is a blend itself"),
        ([linear, trained("linear", "multiclass")], DataError, "is multilabel(.|\n)*is multiclass"),
        ([linear, trained("short", rows=90)], DataError, "validation has .* examples in"),
        ([linear, turned], DataError, "other texts than .* rows of validation, first in row 1"),
    ]
    for members, kind, told in cases:
        with pytest.raises(kind, match=told):
            smallprint.blend(members, out=out)
    assert not out.exists()


def change(run, tmp_path, split="test", **columns):
    copy = tmp_path / "changed"
    shutil.copytree(run, copy)
    file = copy / f"{split}_scores.parquet"
    pl.read_parquet(file).with_columns(**columns).write_parquet(file)
    return copy


def test_other_labels_of_a_row(trained, kernel, tmp_path):
    frame = pl.read_parquet(kernel / "test_scores.parquet")
    targets = [[1 - value for value in row] if i == 4 else row for i, row in enumerate(frame["targets"].to_list())]
    copy = change(kernel, tmp_path, targets=pl.Series(targets))
    with pytest.raises(DataError, match="other labels than .* in 1 rows of test, first in row 5"):
        smallprint.blend([trained("linear"), copy], out=tmp_path / "none")


def test_damaged_runs(trained, kernel, tmp_path):
    linear, out = trained("linear"), tmp_path / "none"
    copy = tmp_path / "copy"
    shutil.copytree(kernel, copy)
    scores = copy / "validation_scores.parquet"
    whole = scores.read_bytes()
    scores.write_bytes(whole[:100])
    with pytest.raises(BundleError, match="cannot be read"):
        smallprint.blend([linear, copy], out=out)
    frame = pl.read_parquet(kernel / "validation_scores.parquet")
    frame.with_columns(scores=pl.Series([[1 - v for v in row] for row in frame["scores"].to_list()])).write_parquet(
        scores
    )
    with pytest.raises(BundleError, match="gives other scores than the run wrote down of its validation"):
        smallprint.blend([linear, copy], out=out)
    scores.write_bytes(whole)
    (copy / "bundle" / "model.safetensors").write_bytes(b"0")
    with pytest.raises(BundleError, match="changed or damaged"):
        smallprint.blend([linear, copy], out=out)
    shutil.rmtree(copy / "bundle")
    with pytest.raises(BundleError, match="has no bundle"):
        smallprint.blend([linear, copy], out=out)
    (copy / "metrics.json").unlink()
    with pytest.raises(TrainingError, match="has not finished"):
        smallprint.blend([linear, copy], out=out)
    assert not out.exists()


def test_a_full_disk_is_told_and_leaves_nothing(trained, kernel, tmp_path, monkeypatch):
    copy = shutil.copyfile

    def full(source, target, **more):
        if "members" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy(source, target, **more)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(SmallprintError, match="could not be written: No space left"):
        smallprint.blend([trained("linear"), kernel], out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_folder_is_free_and_a_failure_leaves_nothing(trained, kernel, tmp_path, monkeypatch):
    members = [trained("linear"), kernel]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    cases = [
        (kernel, "is a run that is to be blended"),
        (kernel / "new", "lies in a run"),
        (tmp_path / "taken", "there already"),
    ]
    for out, told in cases:
        with pytest.raises(ConfigError, match=told):
            smallprint.blend(members, out=out)
    with pytest.raises(ConfigError, match="training.epochs=3 cannot be set for a blend"):
        smallprint.blend(members, out=tmp_path / "new", settings=["training.epochs=3"])

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(blending, "write_down", stop)
    with pytest.raises(KeyboardInterrupt):
        smallprint.blend(members, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
