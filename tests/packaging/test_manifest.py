import json

import pytest

from smallprint.core.errors import BundleError
from smallprint.core.files import sha256_file
from smallprint.packaging.manifest import (
    FORMAT_VERSION,
    EncoderManifest,
    LinearManifest,
    check_files,
    check_manifest,
    files_in,
    read_manifest,
)

TREE = {
    "format": "smallprint-bundle",
    "format_version": 3,
    "family": "encoder",
    "task": "binary",
    "label_names": ["fair", "unfair"],
    "thresholds": [0.5],
    "max_length": 64,
    "pooling": "mean",
    "head": "linear",
    "head_is_own": False,
    "backbone_is_own": False,
    "weights": "int8",
    "versions": {"smallprint": "9.0"},
    "created": "2026-01-01T00:00:00+00:00",
    "data": {},
    "metrics": {},
    "files": {},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tokenizer").mkdir()
    for name in ("model.safetensors", "config.yaml", "tokenizer/tokenizer.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "manifest.json").write_text(json.dumps(TREE))
    return tmp_path


def listed(folder):
    return {name: sha256_file(folder / name) for name in files_in(folder) if name != "manifest.json"}


def test_a_good_manifest(folder):
    manifest = check_manifest(read_manifest(folder), folder)
    assert manifest.label_names == ["fair", "unfair"]
    check_files(folder, listed(folder))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"[" * 200_000])
def test_a_manifest_that_is_no_json_object(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json") as error:
        read_manifest(folder)
    assert error.value.exit_code == 6
    assert error.value.do


def test_no_manifest(tmp_path):
    with pytest.raises(BundleError, match="has no manifest"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "key", sorted({key for key, field in EncoderManifest.model_fields.items() if field.is_required()} - {"format"})
)
def test_a_missing_key_is_named(folder, key):
    tree = {name: value for name, value in TREE.items() if name != key}
    with pytest.raises(BundleError, match=f"'{key}'"):
        check_manifest(tree, folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", "ranking"),
        ("label_names", "fair"),
        ("thresholds", [float("nan")]),
        ("thresholds", ["0.5"]),
        ("max_length", 0),
        ("pooling", "sum"),
        ("weights", "int4"),
        ("weights", None),
        ("head_is_own", "no"),
        ("calibration", [1.0]),
        ("calibration.slope", {"task": "binary", "intercept": [0.0]}),
        ("calibration.slope.0", {"task": "binary", "slope": [float("nan")], "intercept": [0.0]}),
        ("calibration.intercept.0", {"task": "binary", "slope": [1.0], "intercept": [float("inf")]}),
        ("calibration.slope.0", {"task": "binary", "slope": ["1"], "intercept": [0.0]}),
        ("calibration.task", {"task": "ranking", "slope": [1.0], "intercept": [0.0]}),
        ("calibration.bias", {"task": "binary", "slope": [1.0], "intercept": [0.0], "bias": [0.0]}),
        ("files", ["a"]),
        ("format_version", "1"),
    ],
)
def test_a_wrong_value_is_named(folder, key, value):
    with pytest.raises(BundleError, match=f"'{key}"):
        check_manifest(TREE | {key.split(".")[0]: value}, folder)


def test_a_calibration_may_be_there_null_or_missing(folder):
    assert check_manifest(TREE, folder).calibration is None
    assert check_manifest(TREE | {"calibration": None}, folder).calibration is None
    entry = {"task": "binary", "slope": [1.5], "intercept": [0.0]}
    assert check_manifest(TREE | {"calibration": entry}, folder).calibration.model_dump() == entry


def test_a_newer_format_says_what_to_do_even_with_other_keys(folder):
    newer = FORMAT_VERSION + 1
    with pytest.raises(BundleError, match=rf"format version {newer}, written by smallprint 9\.0") as error:
        check_manifest(
            {"format": "smallprint-bundle", "format_version": newer, "versions": {"smallprint": "9.0"}}, folder
        )
    assert "Update smallprint" in error.value.do


@pytest.mark.parametrize("tree", [{}, {"name": "a web page"}, TREE | {"format": "other"}])
def test_another_kind_of_manifest(folder, tree):
    with pytest.raises(BundleError, match="has format"):
        check_manifest(tree, folder)


def test_a_format_version_that_never_was(folder):
    with pytest.raises(BundleError, match="format version 0"):
        check_manifest(TREE | {"format_version": 0}, folder)


def test_format_1_knew_encoders_alone(folder):
    old = {name: value for name, value in TREE.items() if name != "family"} | {"format_version": 1}
    assert isinstance(check_manifest(old, folder), EncoderManifest)


@pytest.mark.parametrize("version", [1, 2])
def test_formats_1_and_2_knew_fp32_alone(folder, version):
    old = {name: value for name, value in TREE.items() if name != "weights"} | {"format_version": version}
    assert check_manifest(old, folder).weights == "fp32"
    assert check_manifest(TREE, folder).weights == "int8"


def test_int8_needs_a_format_that_older_readers_refuse():
    assert FORMAT_VERSION == 5  # models in ONNX need 5


def test_a_linear_manifest_has_no_encoders_keys(folder):
    encoders = {"max_length", "pooling", "head", "head_is_own", "backbone_is_own", "weights"}
    tree = {name: value for name, value in TREE.items() if name not in encoders} | {"family": "linear"}
    assert isinstance(check_manifest(tree, folder), LinearManifest)


@pytest.mark.parametrize("family", ["tree", None, 3, ["linear"]])
def test_a_family_that_is_not_known(folder, family):
    with pytest.raises(BundleError, match="'family'") as error:
        check_manifest(TREE | {"family": family}, folder)
    assert error.value.expected == "encoder or onnx or linear or static or stack"


def test_a_missing_file(folder):
    files = listed(folder)
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"lacks tokenizer/tokenizer\.json"):
        check_files(folder, files)


@pytest.mark.parametrize("name", ["model.safetensors", "config.yaml"])
def test_weights_and_settings_must_be_listed_too(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match="lacks"):
        check_files(folder, listed(folder))


@pytest.mark.parametrize("name", ["extra.txt", "tokenizer/extra.json", ".hidden"])
def test_a_file_that_is_not_listed(folder, name):
    files = listed(folder)
    (folder / name).write_text("x")
    with pytest.raises(BundleError, match="does not list") as error:
        check_files(folder, files)
    assert name in error.value.found


def test_a_file_outside_of_the_folder_cannot_be_listed(folder):
    outside = folder.parent / "outside.txt"
    outside.write_text("x")
    with pytest.raises(BundleError, match="lacks"):
        check_files(folder, listed(folder) | {"../outside.txt": sha256_file(outside)})


def test_a_changed_file(folder):
    files = listed(folder)
    (folder / "config.yaml").write_text("changed")
    with pytest.raises(BundleError, match=r"config\.yaml was changed or damaged"):
        check_files(folder, files)
