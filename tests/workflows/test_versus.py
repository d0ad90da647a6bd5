"""Comparing two runs from the command line."""

import json

import polars as pl
import pytest

from smallprint import api, versus
from smallprint.cli.app import main
from smallprint.core.errors import DataError, TrainingError
from smallprint.core.settings import build_config


@pytest.fixture(scope="module")
def others(toy_run, labelled_frame, tmp_path_factory):
    """A run on the same table with other thresholds, one on another table, and the table."""
    root = tmp_path_factory.mktemp("others")
    labelled_frame("multilabel", 160).write_parquet(root / "d.parquet")
    labelled_frame("multilabel", 120).write_parquet(root / "other.parquet")
    runs = []
    for name, table in (("same", "d"), ("apart", "other")):
        tree = {"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}, "evaluation": {"threshold": "fixed"}}
        runs.append(api.train(str(root / f"{table}.parquet"), config=build_config(tree), out=root / name).run)
    return *runs, root / "d.parquet"


def run_main(*words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code or 0


def test_two_runs_give_a_page_and_json(toy_run, others, tmp_path, capsys):
    page = tmp_path / "c.html"
    assert run_main("report", toy_run, others[0], "-o", page, "--json") == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["n_examples"] == json.loads((toy_run / "metrics.json").read_text())["test"]["n_examples"]
    assert tree["page"] == str(page)
    assert (tree["a"], tree["b"]) == ("run", "same")
    assert "Two models on the same test examples" in page.read_text()
    assert run_main("report", toy_run, others[0], "-o", page) == 0
    out, err = capsys.readouterr()
    assert out == f"{page}\n"
    assert "differences are B - A" in err


def test_other_test_splits_are_refused_and_told(toy_run, others, tmp_path, capsys):
    assert run_main("report", toy_run, others[1], "-o", tmp_path / "c.html") == 3
    told = capsys.readouterr().err
    assert "do not stand on the same test examples: A has 24 rows, B 19" in told
    assert "--data TABLE" in told
    assert not (tmp_path / "c.html").exists()


def test_models_of_other_splits_are_compared_on_one_table(toy_run, others, tmp_path):
    found, a, b = versus.compare_models(toy_run / "bundle", others[1], others[2], out=tmp_path / "c.html")
    assert (a["name"], b["name"]) == ("run", "apart")
    assert found.n_examples == 24  # the rows that the first kept for its test
    assert a["test_fingerprint"] == b["test_fingerprint"]


def test_what_is_no_run(toy_run, tmp_path):
    with pytest.raises(TrainingError, match="holds no run"):
        versus.compare_models(toy_run, tmp_path)
    with pytest.raises(DataError):
        versus.compare_models(toy_run, toy_run, tmp_path / "none.csv")


def test_options_for_two_are_refused_for_one(toy_run, capsys):
    assert run_main("report", toy_run, "--json") == 2
    assert "are for two models" in capsys.readouterr().err
    assert run_main("report", toy_run) == 0
    assert capsys.readouterr().out == f"{toy_run / 'report.html'}\n"


def test_a_run_on_a_relabelled_copy_is_compared_on_what_both_hold(labelled_frame, tmp_path, capsys):
    rows = labelled_frame("multilabel", 400).unique("text", keep="first", maintain_order=True)
    changed = rows.with_row_index("n").with_columns(
        pl.when(pl.col("n") % 10 == 0)
        .then(pl.lit([], dtype=rows.schema["labels"]))
        .otherwise(pl.col("labels"))
        .alias("labels")
    )
    runs = []
    for name, table in (("a", rows), ("b", changed.drop("n"))):
        table.write_parquet(tmp_path / f"{name}.parquet")
        tree = {"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}, "data": {"test_share": 0.45}}
        runs.append(api.train(str(tmp_path / f"{name}.parquet"), config=build_config(tree), out=tmp_path / name).run)
    found, _, _ = versus.compare_models(*runs, out=tmp_path / "c.html")
    a, b = (pl.read_parquet(run / "test_scores.parquet") for run in runs)
    both = a.join(b, on="text", suffix="_b")
    alike = both.filter(pl.col("targets") == pl.col("targets_b"))
    assert found.n_examples == alike.height >= 30
    assert f"the {alike.height} examples that both test splits hold" in found.shared
    assert f"{both.height - alike.height} that are labelled otherwise" in found.shared
    assert f"{a.height - both.height} that only A has" in found.shared
    assert found.shared.replace("'", "&#39;") in (tmp_path / "c.html").read_text()
    assert all(a["text"][each.row] == each.text for each in found.examples)
    assert found.to_dict()["shared"] == found.shared
    assert run_main("report", *runs, "-o", tmp_path / "c.html") == 0
    assert found.shared in capsys.readouterr().err
