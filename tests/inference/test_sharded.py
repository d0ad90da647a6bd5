"""Scoring by several workers: the same file as by one, also after a stop, and what cannot be done is said."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time

import polars as pl
import pytest

from smallprint.core.errors import ConfigError, DataError
from smallprint.inference import sharded
from smallprint.inference.engine import load_engine
from smallprint.inference.predictor import predict_file
from smallprint.inference.sharded import PLAN, predict_sharded

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")

# scores shards, and never comes to put them together
HELD = """
import sys, time
from smallprint.cli.app import main
from smallprint.inference import sharded
score = sharded._score
sharded._score = lambda *given: (score(*given), time.sleep(600))
main(sys.argv[1:])
"""


@pytest.fixture
def table(tmp_path):
    texts = ["we may use scarlet", "the leaf and the ocean", None, "nothing at all", " ", "crimson sky, moss"] * 2_000
    path = tmp_path / "many.csv"
    pl.DataFrame({"n": range(len(texts)), "text": texts}).write_csv(path)
    return path


@needs_ray
@pytest.mark.usefixtures("loopback")
def test_the_same_file_also_after_it_was_killed(toy_run, table, tmp_path, monkeypatch, capfd):
    out, shards = tmp_path / "many.jsonl", tmp_path / "many.jsonl.shards"
    command = [sys.executable, "-c", HELD, "predict", str(toy_run), str(table), "-o", str(out)]
    work = subprocess.Popen([*command, "--engine", "ray", "--workers", "2"], stderr=subprocess.PIPE)
    until = time.monotonic() + 120
    while time.monotonic() < until and not list(shards.glob("scored-*.parquet")) and work.poll() is None:
        time.sleep(0.01)
    work.kill()
    work.wait()
    done = sorted(shards.glob("scored-*.parquet"))
    assert done
    if len(done) == len(list(shards.glob("rows-*"))):  # it was so fast that nothing is left to do
        done.pop().unlink()
    assert not out.exists()
    said, asked, score = [], [], sharded._score
    monkeypatch.setattr(sharded, "_score", lambda *given: (asked.extend(given[3]), score(*given))[1])
    summary = predict_sharded(toy_run, table, out, workers=2, say=said.append)
    assert any("scored already" in line for line in said)
    assert ".cc:" not in capfd.readouterr().err  # what Ray's core writes looks like a crash
    assert asked
    assert not {str(path) for path in done} & {shard["scored"] for shard in asked}
    alone = predict_file(toy_run / "bundle", table, tmp_path / "alone.jsonl")
    assert out.read_bytes() == (tmp_path / "alone.jsonl").read_bytes()
    assert (summary.rows, summary.skipped_empty) == (alone.rows, alone.skipped_empty) == (12_000, 4_000)
    assert not shards.exists()


@needs_ray
@pytest.mark.usefixtures("loopback")
def test_an_error_of_a_worker_is_told_as_ours(toy_run, tmp_path):
    pl.DataFrame({"text": ["red"], "score_red": [1.0]}).write_csv(tmp_path / "taken.csv")
    with pytest.raises(DataError, match="already has a column 'score_red'"):
        predict_sharded(toy_run, tmp_path / "taken.csv", tmp_path / "out.csv", workers=1)


@needs_ray
def test_a_ray_that_does_not_start_is_told(toy_run, table, tmp_path, monkeypatch):
    import ray

    def fail(**_):
        raise Exception("The current node timed out during startup.\nmore")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(
        ConfigError, match=r"Ray did not start on this machine \(The current node timed out during startup\.\)"
    ):
        predict_sharded(toy_run, table, tmp_path / "out.csv")


@needs_ray
def test_what_cannot_be_done_is_said(toy_run, table, tmp_path):
    with pytest.raises(ConfigError, match="Shards need files"):
        predict_sharded(toy_run, "-", tmp_path / "out.csv")
    folder = tmp_path / "out.csv.shards"
    folder.mkdir()
    (folder / PLAN).write_text('{"source": {"input": "another"}}')
    with pytest.raises(ConfigError, match="another input or model"):
        predict_sharded(toy_run, table, tmp_path / "out.csv")


@needs_ray
def test_a_folder_that_holds_something_else_is_left_alone(toy_run, table, tmp_path):
    folder = tmp_path / "out.csv.shards"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    (folder / "rows-000000.parquet").write_text("of a cut that was stopped")
    with pytest.raises(ConfigError, match=r"holds other files: thesis\.txt"):
        predict_sharded(toy_run, table, tmp_path / "out.csv")
    assert (folder / "thesis.txt").read_text() == "years of work"
    (folder / "thesis.txt").unlink()
    plan = sharded._plan(toy_run / "bundle", table, folder, None, "utf-8", lambda line: None)
    assert pl.read_parquet(plan["shards"][0]["rows"]).height


def test_shards_of_other_thresholds_are_not_gone_on_with(toy_run, table, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(toy_run / "bundle", bundle)
    sharded._plan(bundle, table, tmp_path / "shards", None, "utf-8", lambda line: None)
    manifest = bundle / "manifest.json"
    tree = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**tree, "thresholds": [0.9 for _ in tree["thresholds"]]}))
    with pytest.raises(ConfigError, match="another input or model"):
        sharded._plan(bundle, table, tmp_path / "shards", None, "utf-8", lambda line: None)


def test_what_was_cut_before_a_stop_is_counted_and_told_as_by_one_process(toy_run, table, tmp_path, monkeypatch):
    class Cutting:  # an encoder's scorer cuts, the one of TF-IDF does not
        max_length, n_truncated = 7, 0

        def __init__(self, scorer):
            self.scorer = scorer

        def score(self, texts):
            self.n_truncated += sum("ocean" in text for text in texts)
            return self.scorer.score(texts)

    def load(*given):
        engine = load_engine(toy_run / "bundle")
        engine.scorer = Cutting(engine.scorer)
        return engine

    def score(ray, bundle, column, shards, *rest):
        scorer = sharded.ShardScorer(str(bundle), column)
        for shard in shards[:stop]:
            assert not scorer(shard)["error"]
        if stop is not None:
            raise KeyboardInterrupt

    monkeypatch.setattr(sharded, "load_engine", load)
    monkeypatch.setattr(sharded, "_import_ray", lambda: None)
    monkeypatch.setattr(sharded, "_score", score)
    out, said, stop = tmp_path / "out.jsonl", [], 2
    with pytest.raises(KeyboardInterrupt):
        predict_sharded(toy_run, table, out)
    stop = None
    summary = predict_sharded(toy_run, table, out, say=said.append)
    alone = predict_file(load(), table, tmp_path / "alone.jsonl", say=said.append)
    assert alone.truncated == 2_000
    assert (summary.rows, summary.skipped_empty, summary.truncated) == (
        alone.rows,
        alone.skipped_empty,
        alone.truncated,
    )
    assert said[-1].replace("alone", "out") == re.sub(r" in \d+ shards", "", said[-2])
    assert "4,000 without text, left without a label; 2,000 cut at 7 tokens" in said[-2]
