"""The whole bench on a small table with the linear family: files, reuse of what is trained, stops, and bad input."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from smallprint import api
from smallprint.bench.collect import check_same_examples, measure_cost, read_run, train_seed
from smallprint.bench.command import run_bench
from smallprint.bench.systems import SYSTEMS, System
from smallprint.core.errors import ConfigError, DataError
from smallprint.training.stored import VectorCache

WORDS = {"late": "we may change the fees later", "rude": "you waive every claim", "Choice of law": "the law of Malta"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    for split, n in (("train", 160), ("validation", 90), ("test", 80)):
        rows = []
        for i in range(n):
            labels = [name for name in WORDS if rng.random() < 0.25]
            noise = " ".join(rng.choice(["service", "account", "please", "contact", "support", "page"], 5))
            rows.append(
                {"document": f"{split}{i // 10}", "text": " ".join([noise, *map(WORDS.get, labels)]), "labels": labels}
            )
        pl.DataFrame(rows, schema_overrides={"labels": pl.List(pl.String)}).write_parquet(folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    return out, *run_bench("unfair-tos", str(data), ["linear"], 2, out=out)


def test_it_writes_the_table_the_numbers_and_the_chart(done):
    out, figure, lines = done
    assert json.loads((out / "figure.json").read_text()) == figure
    assert "TF-IDF + linear SVM" in (out / "figure.svg").read_text()
    assert lines[0] in (out / "figure.md").read_text()
    row = figure["rows"][-1]
    assert (row["name"], row["seeds"], row["n_test"]) == ("linear", [42, 43], 80)
    assert row["mean"]["nine_macro_tuned"] > 0.9
    assert row["interval"]["eight_macro"][0] <= row["mean"]["eight_macro"] <= row["interval"]["eight_macro"][1]
    assert min(row["cost"].values()) > 0


def test_what_is_trained_is_not_trained_again(done, data, monkeypatch):
    out, figure, _ = done
    monkeypatch.setattr(api, "train", None)
    lines = []
    again, _ = run_bench("unfair-tos", str(data), ["linear"], 2, out=out, say=lines.append)
    assert sum("found in" in line for line in lines) == 2
    assert again["rows"][-1]["by_seed"] == figure["rows"][-1]["by_seed"]


def test_a_run_that_was_stopped_goes_on(done, data, tmp_path):
    train_seed(SYSTEMS["linear"], str(data), 42, tmp_path, VectorCache(), print)
    run = json.loads((tmp_path / "linear-seed42" / "run.json").read_text())
    (tmp_path / "linear-seed42" / "run.json").write_text(json.dumps({**run, "status": "stopped"}))
    lines = []
    train_seed(SYSTEMS["linear"], str(data), 42, tmp_path, VectorCache(), lines.append)
    assert any("going on" in line for line in lines)
    assert json.loads((tmp_path / "linear-seed42" / "run.json").read_text())["status"] == "finished"


def test_a_run_of_other_settings_is_not_taken_for_this_one(done, data):
    out, _, _ = done
    other = System("linear", "other", ("model.backbone=tfidf", "evaluation.threshold=fixed"))
    with pytest.raises(ConfigError, match="was trained with other settings"):
        train_seed(other, str(data), 42, out, VectorCache(), print)


def test_a_run_on_other_data_is_not_taken_for_this_one(done, data, tmp_path):
    out, _, _ = done
    with pytest.raises(ConfigError, match="was trained on"):
        train_seed(SYSTEMS["linear"], str(tmp_path), 42, out, VectorCache(), print)


def test_seeds_that_were_measured_on_other_examples_are_refused(done):
    out, _, _ = done
    folder = out / "linear-seed43"
    (_, truth), (_, its_truth) = read_run(out / "linear-seed42", 42), read_run(folder, 43)
    check_same_examples(folder, its_truth, truth)
    with pytest.raises(DataError, match="other examples"):
        check_same_examples(folder, its_truth, replace(truth, validation=1 - truth.validation))


def test_the_time_of_a_resumed_run_is_no_time_of_a_training(done, tmp_path):
    out, _, _ = done
    folder = tmp_path / "linear-seed42"
    shutil.copytree(out / "linear-seed42", folder)
    whole = measure_cost([folder, out / "linear-seed43"]).train_seconds
    timings = json.loads((folder / "timings.json").read_text())
    (folder / "timings.json").write_text(json.dumps({**timings, "resumed": True, "seconds_total": 1e9}))
    assert measure_cost([folder, out / "linear-seed43"]).train_seconds < 2 * whole
    assert measure_cost([folder]).train_seconds is None


def test_an_unknown_table_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no bench 'unfair'(.|\n)*unfair-tos"):
        run_bench("unfair", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_where_the_data_is(monkeypatch, tmp_path):
    from smallprint.bench import command

    places = []
    monkeypatch.setitem(command.BENCHES, "unfair-tos", ("unfair_tos", lambda place, *_: places.append(place) or 1 / 0))
    (tmp_path / "unfair_tos").mkdir()
    for root in (str(tmp_path), None):
        monkeypatch.setenv("SMALLPRINT_DATA", root) if root else monkeypatch.delenv("SMALLPRINT_DATA")
        with pytest.raises(ZeroDivisionError):
            run_bench("unfair-tos", out=tmp_path)
    assert places == [str(tmp_path / "unfair_tos"), "hub:coastalcph/lex_glue/unfair_tos"]


def test_finished_runs_alone(done, data, monkeypatch, tmp_path):
    out, figure, _ = done
    monkeypatch.setattr(api, "train", None)
    shown, _ = run_bench("unfair-tos", str(data), ["linear", "frozen"], 5, out=out, finished=True)
    assert [row["name"] for row in shown["rows"] if "name" in row] == ["linear"]
    assert shown["rows"][-1]["seeds"] == [42, 43]
    assert shown["rows"][-1]["by_seed"] == figure["rows"][-1]["by_seed"]
    with pytest.raises(ConfigError, match="No finished run is in"):
        run_bench("unfair-tos", str(data), ["linear"], 5, out=tmp_path, finished=True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mpnet": "/nope"}, "--mpnet: there is no folder /nope"),
        ({"mpnet": "folder/of/mine"}, "--mpnet: there is no folder folder/of/mine"),
        ({"decoder": "/nope.gguf"}, "--decoder: there is no file /nope.gguf"),
        ({"data": "/nope"}, "There is no folder /nope"),
    ],
)
def test_what_is_named_and_not_there_is_told_before_anything_is_trained(data, monkeypatch, tmp_path, given, told):
    monkeypatch.setattr(api, "train", None)
    with pytest.raises(ConfigError, match=told):
        run_bench("unfair-tos", **{"data": str(data), "rows": ["linear"], "out": tmp_path, **given})
    assert not list(tmp_path.iterdir())


def test_a_finished_run_of_another_row_is_not_shown_as_this_one(done, data, tmp_path):
    out, _, _ = done
    shutil.copytree(out / "linear-seed42", tmp_path / "full-seed42")
    with pytest.raises(ConfigError, match="full-seed42 was trained with other settings"):
        run_bench("unfair-tos", str(data), ["full"], 1, out=tmp_path, finished=True)
    shutil.copytree(out / "linear-seed42", tmp_path / "linear-seed43")
    with pytest.raises(ConfigError, match="linear-seed43 was trained with other settings"):
        run_bench("unfair-tos", str(data), ["linear"], 2, out=tmp_path, finished=True)


def test_who_stops_it_is_told_that_the_same_command_goes_on(data, monkeypatch, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "train", stop)
    lines = []
    with pytest.raises(KeyboardInterrupt):
        run_bench("unfair-tos", str(data), ["linear"], 1, out=tmp_path, say=lines.append)
    assert lines[-1] == "Stopped. The same command goes on: what is trained is kept."
