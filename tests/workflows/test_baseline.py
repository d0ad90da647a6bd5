"""The linear baseline that a training is held against."""

import json
from html import unescape

import pytest

from smallprint import api, papers
from smallprint.core.run import open_run
from smallprint.core.settings import build_config


@pytest.fixture(scope="module")
def trained(tiny_backbone, labelled_frame, tmp_path_factory):
    root = tmp_path_factory.mktemp("baseline")
    labelled_frame("multilabel", 160).write_parquet(root / "d.parquet")

    def train(name, **evaluation):
        tree = {
            "model": {"backbone": str(tiny_backbone), "max_length": 24},
            "training": {"epochs": 1, "precision": "fp32"},
            "tracking": {"enabled": False},
            "evaluation": evaluation,
        }
        return api.train(str(root / "d.parquet"), config=build_config(tree), out=root / name)

    return train


def test_an_encoder_is_held_against_the_same_model_as_tfidf_gives(trained, toy_run):
    result = trained("with")
    saved = json.loads((toy_run / "metrics.json").read_text())
    linear = saved["test"]["values"]["f1_macro"]  # the same table, seed and splits
    page = " ".join(unescape(result.report.read_text(encoding="utf-8")).split())
    assert f"reaches <strong>{linear:.3f}</strong>" in page
    assert "fitted in seconds on the same texts" in page
    assert f"linear SVM reaches {linear:.3f} on the same examples" in (result.run / "README.md").read_text()
    assert "baseline" in json.loads((result.run / "timings.json").read_text())["seconds"]
    before = result.report.read_bytes()
    papers.write_report(open_run(result.run), open_run(result.run).state.get("command", ""))
    assert result.report.read_bytes() == before


def test_it_can_be_left_out_and_changes_no_weights(trained):
    result = trained("without", baseline="none", doubtful=0, evidence="off")
    assert not (result.run / "baseline.json").exists()
    page = result.report.read_text(encoding="utf-8")
    assert "linear baseline" not in page
    assert "Most doubtful texts" not in page
    again = result.run.parent / "with"
    assert (again / "metrics.json").read_bytes() == (result.run / "metrics.json").read_bytes()
    name = "model.safetensors"
    assert (again / "bundle" / name).read_bytes() == (result.run / "bundle" / name).read_bytes()


def test_where_it_would_take_minutes_it_is_left_out_and_said(trained, monkeypatch):
    from smallprint.families import baseline

    monkeypatch.setattr(baseline, "MOST_CELLS", 10)
    result = trained("large", evidence="on")
    assert not (result.run / "baseline.json").exists()
    assert "<mark>" in result.report.read_text(encoding="utf-8")  # an encoder's evidence, since it was asked for


def test_a_linear_model_has_none_and_its_errors_are_explained(tmp_path, labelled_frame):
    import polars as pl

    frame = labelled_frame("binary", 120)
    wrong = [
        {"red": "green", "green": "red"}[name] if row % 7 == 0 else name for row, name in enumerate(frame["label"])
    ]
    frame.with_columns(pl.Series("label", wrong)).write_csv(tmp_path / "d.csv")
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
    result = api.train(str(tmp_path / "d.csv"), config=config, out=tmp_path / "run")
    page = result.report.read_text(encoding="utf-8")
    assert not (result.run / "baseline.json").exists()
    assert "<mark>" in page
    assert "Most doubtful texts" in page
    assert "test fingerprint" in page
