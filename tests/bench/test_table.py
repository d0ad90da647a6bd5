"""What the table says: published beside measured, mean and spread, intervals, who is better, and a chart that parses."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from smallprint.bench.chart import render_chart
from smallprint.bench.collect import Collected, Cost, Truth
from smallprint.bench.measure import SeedResult, SeedScores
from smallprint.bench.systems import SYSTEMS
from smallprint.bench.table import build_rows, measured_row, published_rows, render_markdown, render_notes, render_pairs
from smallprint.bench.unfair_tos import chat_rows

K = 3


def truth_of(seed=0):
    rng = np.random.default_rng(seed)
    validation, test = ((rng.random((n, K)) < 0.2).astype(np.int8) for n in (300, 240))
    groups = [f"d{i // 12}" for i in range(300)]
    return Truth(["late", "rude", "Choice of law"], validation, test, groups, groups[:240], ["x"] * 240)


def collected(name, truth, noise, seeds=3):
    rng = np.random.default_rng(len(name))

    def scores(part):
        return np.clip(0.15 + 0.7 * part + rng.normal(0, noise, part.shape), 0.01, 0.99).astype(np.float32)

    rows = [SeedScores(s, scores(truth.validation), scores(truth.test), np.full(K, 0.5)) for s in range(seeds)]
    return Collected(SYSTEMS[name], rows, Cost(100.0, 88.0, 500.0))


@pytest.fixture
def figure():
    truth = truth_of()
    systems = [collected("linear", truth, 0.4), collected("full", truth, 0.15)]
    data = {"n_test": 240, "documents": 20, "test_in_train": 33}
    return {"data": data, "rows": published_rows() + build_rows(systems, truth)}


def test_eight_published_systems_stand_beside_ours(figure):
    assert [row["title"] for row in figure["rows"]][:2] == ["TFIDF-SVM", "BERT"]
    assert sum("cost" not in row for row in figure["rows"]) == 8
    text = render_markdown(figure)
    assert "| Legal-BERT | 96.0 | 83.0 |" in text
    widths = {line.count("|") for line in text.splitlines()}
    assert len(widths) == 1


def test_mean_spread_and_best_seed_are_of_the_seeds(figure):
    row = figure["rows"][8]
    values = row["by_seed"]["nine_macro"]
    assert row["mean"]["nine_macro"] == pytest.approx(np.mean(values))
    assert row["spread"]["nine_macro"] == pytest.approx(np.std(values, ddof=1))
    best = row["best_by_validation"]
    assert best["nine_macro"] == values[row["seeds"].index(best["seed"])]
    assert json.loads(json.dumps(figure)) == figure


def test_the_seed_that_validation_chooses_may_be_the_worst_on_test():
    counts = {name: np.ones((4, 3), dtype=np.int64) for name in ("nine", "nine_tuned", "eight", "binary")}
    results = [SeedResult(1, 0.9, {"nine_macro": 0.1}, counts), SeedResult(2, 0.8, {"nine_macro": 0.7}, counts)]
    assert measured_row("x", results, None)["best_by_validation"] == {"seed": 1, "nine_macro": 0.1}


def test_no_difference_is_not_worse(figure):
    figure["rows"][9]["against_linear"]["nine_macro"] |= {"better": False, "interval": [0.0, 0.0], "difference": 0.0}
    assert "| MiniLM, full | +0.0 [+0.0, +0.0], not shown to differ |" in render_pairs(figure)


def test_clauses_without_documents_are_said_to_be(figure):
    figure["data"]["documents"] = None
    notes = " ".join(render_notes(figure))
    assert "bootstrap over clauses, which makes it too narrow" in notes
    assert "None documents" not in notes


def test_better_is_said_only_where_the_interval_excludes_0(figure):
    notes = "\n".join(render_notes(figure))
    assert "always tuned" not in notes
    del figure["rows"][-1]["thresholds"]
    assert f"always tuned, and not again: {figure['rows'][-1]['title']}." in "\n".join(render_notes(figure))
    low, high = (100 * value for value in figure["rows"][9]["against_linear"]["nine_macro"]["interval"])
    assert low > 0
    assert f"[{low:+.1f}, {high:+.1f}], better |" in render_pairs(figure)
    figure["rows"][9]["against_linear"]["nine_macro"] |= {"better": False, "interval": [-0.01, 0.02]}
    assert "[-1.0, +2.0], not shown to differ |" in render_pairs(figure)
    figure["rows"][9]["against_linear"]["nine_macro"] |= {"better": False, "interval": [-0.03, -0.02]}
    assert "[-3.0, -2.0], worse |" in render_pairs(figure)
    assert "33 stand word for word in train" in notes


def test_pairs_of_fewer_seeds_say_so_and_what_was_not_compared_is_left_empty(figure):
    truth = truth_of()
    few = build_rows([collected("linear", truth, 0.4), collected("upper", truth, 0.15, seeds=2)], truth)[1:]
    figure["rows"] += few
    del few[0]["against_linear"]["nine_macro_tuned"]
    line = next(line for line in render_pairs(figure).splitlines() if "upper" in line)
    assert line.startswith("| MiniLM, upper three layers, by the first 2 seeds of both |")
    assert line.endswith("|  |  |  |")
    assert "first" not in next(line for line in render_pairs(figure).splitlines() if "full" in line)
    figure["rows"] = figure["rows"][:9]
    assert render_pairs(figure) == ""


def test_the_best_of_ours_is_said_beside_the_best_published(figure):
    notes = "\n".join(render_notes(figure))
    assert "Highest of LexGLUE's table: Legal-BERT, 83.0, one run" in notes
    row = figure["rows"][9]
    row["mean"]["nine_macro"], row["interval"]["nine_macro"] = 0.9, [0.82, 0.95]
    assert "(mean of 3 seeds)" in "\n".join(render_notes(figure))
    assert "ours is not shown to be above it" in "\n".join(render_notes(figure))
    row["interval"]["nine_macro"] = [0.84, 0.95]
    assert "ours is above it" in "\n".join(render_notes(figure))


def test_the_chat_model_is_scored_on_the_rows_that_it_was_asked(tmp_path):
    truth = truth_of()
    asked = list(range(0, 240, 2))
    perfect = [np.flatnonzero(truth.test[row]).tolist() for row in asked]
    frame = pl.DataFrame({"test_row": asked, "zero_shot": perfect, "few_shot_8": [[] for _ in asked]})
    frame.with_columns(pl.col("few_shot_8").cast(pl.List(pl.Int8))).write_parquet(tmp_path / "g.parquet")
    zero, few = chat_rows(tmp_path / "g.parquet", truth)
    assert (zero["n_test"], zero["mean"]["nine_macro"], zero["mean"]["binary_f1"]) == (120, 1.0, 1.0)
    assert few["mean"]["eight_macro"] == 0.0
    assert chat_rows(tmp_path / "none.parquet", truth) == []


def test_the_chart_is_an_image_with_a_bar_a_row(figure):
    root = ET.fromstring(render_chart(figure))
    bars = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    assert len(bars) == len(figure["rows"])
    assert "Legal-BERT" in "".join(root.itertext())
