"""`scan --explain-by` and `--similar` by the command line."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from smallprint.cli.app import app

TEXT = "Crimson ink is used.\nThe service is good.\n"


def invoke(*arguments):
    return CliRunner().invoke(app, ["scan", *map(str, arguments)])


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    return tmp_path / "a.txt"


def test_similar_training_texts_stand_with_their_labels(toy_run, path, tmp_path):
    (entry,) = json.loads(invoke(toy_run, path, "--similar", "3", "--format", "json").stdout)["documents"]
    finding = next(found for found in entry["findings"] if "Crimson" in found["text"])
    assert len(finding["similar"]) == 3
    assert "crimson" in finding["similar"][0]["text"]
    assert "red" in finding["similar"][0]["labels"]
    assert "like (0." in invoke(toy_run, path, "--similar", "2").stdout
    done = invoke(toy_run, path, "--similar", "2", "-o", tmp_path / "o.html")
    assert done.exit_code == 0
    assert "Training texts like" in (tmp_path / "o.html").read_text(encoding="utf-8")
    (entry,) = json.loads(invoke(toy_run, path, "--format", "json").stdout)["documents"]
    assert "similar" not in entry["findings"][0]


def test_a_bundle_alone_needs_the_data_named(toy_run, path, tmp_path):
    bundle = tmp_path / "alone"
    shutil.copytree(toy_run / "bundle", bundle)
    done = invoke(bundle, path, "--similar", "1")
    assert done.exit_code == 3
    assert "--training DATA" in done.output
    data = toy_run.parent / "d.parquet"
    done = invoke(bundle, path, "--similar", "1", "--training", data)
    assert done.exit_code == 0
    assert "like (0." in done.stdout
    assert "not what the model was trained on" not in done.stderr
    done = invoke(bundle, path, "--similar", "1", "--training", "sample")
    assert done.exit_code in (0, 3)
    assert invoke(bundle, path, "--similar", "1", "--training", tmp_path / "none.csv").exit_code == 3
    for file in bundle.rglob("*"):
        assert not file.is_file() or b"the service crimson" not in file.read_bytes()


def test_ways_to_explain(toy_run, path):
    (entry,) = json.loads(invoke(toy_run, path, "--explain-by", "occlusion", "--format", "json").stdout)["documents"]
    assert "Crimson" in [part["text"] for part in entry["findings"][0]["evidence"]]
    done = invoke(toy_run, path, "--explain-by", "magic")
    assert done.exit_code == 2
    assert "occlusion or gradients" in done.output
    assert invoke(toy_run, path, "--explain-by", "gradients").exit_code == 2  # TF-IDF has none
