"""The row that averages other rows' runs: members of the same seed, some trained once, and its numbers by hand."""

import json

import numpy as np
import polars as pl
import pytest

from smallprint import api
from smallprint.bench.blended import blended_cost
from smallprint.bench.command import run_bench
from smallprint.bench.systems import SYSTEMS, System, choose_systems
from smallprint.bench.table import render_notes
from smallprint.core.errors import ConfigError
from smallprint.evaluation.calibration import logits_of, sigmoid
from smallprint.evaluation.ranking import average_precision_macro

NOTE = "the words were learned once"


@pytest.fixture
def rows(monkeypatch):
    words = System("words", "words alone", ("model.backbone=tfidf", "model.tfidf.characters=0"))
    both = System("both", "mean of the two", averages=("linear", "words"), once=("words",), note=NOTE)
    for system in (words, both):
        monkeypatch.setitem(SYSTEMS, system.name, system)


@pytest.fixture
def data(labelled_frame, tmp_path):
    folder, frame = tmp_path / "data", labelled_frame("multilabel", 150)
    folder.mkdir()
    for split, part in (("train", frame[:70]), ("validation", frame[70:110]), ("test", frame[110:])):
        part.write_parquet(folder / f"{split}.parquet")
    return str(folder)


def test_members_of_a_seed_are_averaged_and_some_are_trained_once(rows, data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    figure, _ = run_bench("unfair-tos", data, ["both"], 2, out=out)
    assert sorted(path.name for path in out.iterdir() if path.is_dir() and "seed" in path.name) == [
        "linear-seed42",
        "linear-seed43",
        "words-seed42",
    ]
    (row,) = (row for row in figure["rows"] if row.get("name") == "both")
    assert row["seeds"] == [42, 43]
    for seed, value in zip((42, 43), row["by_seed"]["eight_ap"], strict=True):
        frames = [
            pl.read_parquet(out / f"{name}/test_scores.parquet") for name in (f"linear-seed{seed}", "words-seed42")
        ]
        logits = [logits_of(np.array(frame["scores"].to_list(), dtype=np.float32)) for frame in frames]
        truth = np.array(frames[0]["targets"].to_list())
        assert value == pytest.approx(average_precision_macro(truth, sigmoid((logits[0] + logits[1]) / 2)), abs=1e-6)
    assert f"mean of the two: {NOTE}." in render_notes(figure)
    folders = [out / "linear-seed42", out / "words-seed42"]
    cost = blended_cost(folders)
    spent = [json.loads((folder / "timings.json").read_text())["seconds_total"] for folder in folders]
    assert cost.train_seconds == pytest.approx(sum(spent))
    assert row["cost"]["size_mb"] == pytest.approx(cost.size_mb)
    each = [json.loads((path / "timings.json").read_text())["seconds_total"] for path in out.glob("*-seed4*")]
    assert figure["trained"] == {"rows": ["both"], "n": 3, "seconds": round(sum(each)), "resumed": 0}
    assert any(line.startswith("3 trainings of both took ") and " s " in line for line in render_notes(figure))

    monkeypatch.setattr(api, "train", None)  # what is there is enough
    again, _ = run_bench("unfair-tos", data, ["both"], 5, out=out, finished=True)
    assert again["rows"][-1]["by_seed"] == row["by_seed"]


def test_weights_are_asked_for_where_they_are_needed(monkeypatch):
    with pytest.raises(ConfigError, match="'mpnet' has no weights"):
        choose_systems(["blend"])
    monkeypatch.setattr("smallprint.bench.systems.find_decoder", lambda: None)
    with pytest.raises(ConfigError, match="'decoder' has no weights(.|\n)*--decoder"):
        choose_systems(["blend"], "/base")
    (blend,) = choose_systems(["blend"], "/base", "/small.gguf")
    assert [part.name for part in blend.members] == ["linear", "mpnet", "mpnet-upper", "upper", "decoder"]
    assert all("model.backbone=/base" in part.settings for part in blend.members[1:3])
    assert "model.backbone=/small.gguf" in blend.members[4].settings
    assert set(blend.once) < set(blend.averages)
    assert len(choose_systems(["blend", "decoder"], trained=True)) == 2
