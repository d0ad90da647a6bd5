"""A policy from a run's own scores into its bundle, and out again as a column of `predict`."""

import json
import shutil
import sys

import numpy as np
import polars as pl
import pytest

import smallprint
from smallprint import api, decide
from smallprint.cli.app import main
from smallprint.core.errors import BundleError, ConfigError, DataError
from smallprint.core.settings import build_config
from smallprint.data.normalise import text_hashes
from smallprint.evaluation.operating import Aim


@pytest.fixture
def run(labelled_frame, tmp_path):
    frame = labelled_frame("multilabel", 240).with_columns(pl.Series("document", [f"d{i % 60}" for i in range(240)]))
    frame.write_parquet(tmp_path / "table.parquet")
    config = build_config(
        {"model": {"backbone": "tfidf"}, "data": {"group": "document"}, "tracking": {"enabled": False}}
    )
    return api.train(tmp_path / "table.parquet", config=config, out=tmp_path / "run")


def test_from_a_run_to_a_column(run, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["policy", str(run.run), "--recall", "0.8", "--precision", "0.8", "--save", "--json"])
    assert ended.value.code in (0, None)
    told = json.loads(capsys.readouterr().out)
    assert told["policy"]["clear"]["documents"] == 9
    assert [row["wanted"] for row in told["trade"]] == [0.8, 0.9, 0.95, 0.98]
    engine = smallprint.load(run.run)
    assert engine.policy.to_dict() == told["policy"]
    table = tmp_path / "new.csv"
    pl.DataFrame({"text": ["we may scarlet", "", "fine"]}).write_csv(table)
    smallprint.predict_file(engine, table, tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows[1]["decision"] is None
    assert {rows[0]["decision"], rows[2]["decision"]} <= {"cleared", "flagged", "person"}
    assert engine.predict(["fine"]).decisions == [rows[2]["decision"]]


def few_documents(labelled_frame, folder, documents):
    rows = [f"d{i % documents}" for i in range(240)]
    labelled_frame("binary", 240).with_columns(pl.Series("document", rows)).write_parquet(folder / "few.parquet")
    config = build_config(
        {"model": {"backbone": "tfidf"}, "data": {"group": "document"}, "tracking": {"enabled": False}}
    )
    return api.train(folder / "few.parquet", config=config, out=folder / "few")


def test_tuned_borders_need_no_six_documents(labelled_frame, tmp_path, capsys):
    run = few_documents(labelled_frame, tmp_path, 20)
    with pytest.raises(SystemExit) as ended:
        main(["policy", str(run.run), "--recall", "0.8"])
    assert ended.value.code == 3
    assert "tune without a promise" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["policy", str(run.run), "--cost-ratio", "20", "--save"])
    assert ended.value.code in (0, None)
    assert "too few for a promise" in capsys.readouterr().out
    assert smallprint.load(run.run).policy.band is not None


def test_what_cannot_be_measured_is_not_stored(labelled_frame, tmp_path):
    run = few_documents(labelled_frame, tmp_path, 7)
    with pytest.raises(DataError, match="There is one document"):
        decide.policy(run.run, aim=Aim(cost_ratio=20), save=True)
    assert smallprint.load(run.run).policy is None


def test_without_a_policy_nothing_is_decided(run, tmp_path):
    engine = smallprint.load(run.run)
    assert engine.policy is None
    assert engine.predict(["fine"]).decisions is None
    pl.DataFrame({"text": ["fine"]}).write_csv(tmp_path / "new.csv")
    smallprint.predict_file(engine, tmp_path / "new.csv", tmp_path / "out.csv")
    assert "decision" not in pl.read_csv(tmp_path / "out.csv").columns


def test_what_is_flagged_has_a_label_and_what_is_cleared_has_none(run, tmp_path):
    decide.policy(run.run, recall=0.8, precision=0.6, save=True)
    engine = smallprint.load(run.run)
    texts = pl.read_parquet(tmp_path / "table.parquet")["text"].to_list()
    given = engine.predict(texts)
    assert "flagged" in given.decisions
    for labels, decision in zip(given.labels, given.decisions, strict=True):
        assert decision == "person" or bool(labels) == (decision == "flagged")


def test_texts_that_the_model_knows_promise_nothing(run, tmp_path, labelled_frame):
    table = pl.read_parquet(tmp_path / "table.parquet")
    rows = pl.read_parquet(run.run / "validation_scores.parquet")["text"]
    known = table.filter(~table["text"].is_in(rows.implode()))
    known.write_parquet(tmp_path / "known.parquet")
    lines = []
    engine = smallprint.load(run.run)
    assert len(engine.known_texts)
    scored = decide.policy(run.bundle, tmp_path / "known.parquet", recall=0.5, say=lines.append)[1]
    assert not np.isin(text_hashes(scored.texts), engine.known_texts).any()
    assert "left out: the model was trained on them" in lines[0]
    table.filter(pl.Series(np.isin(text_hashes(table["text"].to_list()), engine.known_texts))).write_parquet(
        tmp_path / "all.parquet"
    )
    with pytest.raises(DataError, match="the model was trained on all of it"):
        decide.policy(run.bundle, tmp_path / "all.parquet")


def test_rows_without_a_document_have_no_promise_and_may_be_tuned(labelled_frame, tmp_path):
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
    run = api.train(labelled_frame("multilabel", 240), config=config, out=tmp_path / "loose")
    with pytest.raises(DataError, match=r"37 examples of 37 name no document(.|\n)*--group"):
        decide.policy(run.run, save=True)
    assert smallprint.load(run.run).policy is None
    assert decide.policy(run.run, aim=Aim(f_beta=2))[0].band is not None


def test_scores_of_other_data(run, tmp_path):
    own, _, _ = decide.policy(run.run, recall=0.8)
    scored, _, _ = decide.policy(run.bundle, tmp_path / "table.parquet", recall=0.8)
    assert scored.clear.documents == own.clear.documents
    assert scored.clear.border == pytest.approx(own.clear.border, abs=1e-6)
    with pytest.raises(BundleError, match="is not a finished run"):
        decide.policy(run.bundle)


def test_exclusive_labels_have_no_policy(labelled_frame, tmp_path):
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
    run = api.train(labelled_frame("multiclass"), config=config, out=tmp_path / "run")
    with pytest.raises(ConfigError, match="is multiclass(.|\n)*--task multilabel"):
        decide.policy(run.run)


def test_a_damaged_policy(run):
    manifest = run.bundle / "manifest.json"
    tree = json.loads(manifest.read_text())
    for odd in ({"clear": {"of": "recall"}}, {"clear": 3}, {"flag": {**_promise(), "border": "high"}}):
        manifest.write_text(json.dumps({**tree, "policy": odd}))
        with pytest.raises(BundleError, match="has a policy of another form"):
            smallprint.load(run.bundle)


def _promise():
    return {
        "of": "recall",
        "wanted": 0.9,
        "confidence": 0.9,
        "border": 0.1,
        "aimed": 0.9,
        "kept": 1,
        "alone": 0,
        "documents": 9,
    }


def test_findings_go_out_once_however_often_it_runs(run, tmp_path):
    out, log = tmp_path / "out.jsonl", tmp_path / "log.txt"
    pl.DataFrame({"text": ["we may scarlet", "", "the leaf and ocean", "fine"]}).write_csv(tmp_path / "new.csv")
    script = "import json, sys; row = json.load(sys.stdin); open(sys.argv[1], 'a').write(json.dumps(row) + chr(10))"
    rules = [{"name": "keep", "when": ["undecided"], "command": [sys.executable, "-c", script, str(log)]}]
    (tmp_path / "rules.yaml").write_text(json.dumps(rules))
    for _ in range(2):
        counts = decide.act(run.run, tmp_path / "new.csv", out, tmp_path / "rules.yaml")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert counts == {"waiting": 0, "delivered": len(rows), "dead": 0}
    said = [json.loads(line) for line in out.read_text().splitlines()]
    wanted = [(number, label) for number, row in enumerate(said, 1) for label in row["labels"] or []]
    assert [(row["row"], row["label"]) for row in rows] == wanted
    assert len(wanted) >= 2
    assert rows[0]["text"] == "we may scarlet"
    with pytest.raises(SystemExit) as ended:
        rules[0] |= {"name": "odd", "command": [sys.executable, "-c", "raise SystemExit(2)"], "retries": 0}
        (tmp_path / "rules.yaml").write_text(json.dumps(rules))
        main(
            [
                "predict",
                str(run.run),
                str(tmp_path / "new.csv"),
                "-o",
                str(out),
                "--actions",
                str(tmp_path / "rules.yaml"),
            ]
        )
    assert ended.value.code == 1
    with pytest.raises(ConfigError, match="--outbox FILE"):
        decide.act(run.run, tmp_path / "new.csv", "-", tmp_path / "rules.yaml")


def test_a_tuned_band_is_stored_and_said_to_promise_nothing(run, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["policy", str(run.run), "--cost-ratio", "10", "--budget", "0.2", "--save"])
    told, errors = capsys.readouterr()
    assert ended.value.code in (0, None), errors
    assert "a miss costing 10 false alarms, with a person reading 20% at most" in told
    assert "Nothing is guaranteed of it" in told
    assert "Chosen:" not in told  # no promise was chosen
    band = smallprint.load(run.run).policy.band
    assert 0 <= band.low <= band.high
    assert set(smallprint.load(run.run).predict(["we may scarlet", "fine"]).decisions) <= {
        "cleared",
        "flagged",
        "person",
    }
    with pytest.raises(SystemExit) as ended:
        main(["policy", str(run.run), "--f-beta", "1", "--budget", "0.2"])
    assert ended.value.code == 2


def test_a_band_of_few_documents_is_stored_only_where_it_can_be_measured(run, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "few"
    shutil.copytree(run.run, folder)
    scored, groups = decide.unseen_scores(folder)
    monkeypatch.setattr(decide, "unseen_scores", lambda place: (scored, ["d"] * len(groups)))
    with pytest.raises(SystemExit) as ended:
        main(["policy", str(folder), "--f-beta", "2", "--save"])
    assert ended.value.code == 3
    assert smallprint.load(folder).policy is None
    monkeypatch.setattr(decide, "unseen_scores", lambda place: (scored, [f"d{i % 3}" for i in range(len(groups))]))
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["policy", str(folder), "--f-beta", "2", "--save"])
    told, errors = capsys.readouterr()
    assert ended.value.code in (0, None), errors
    assert "Tuned to highest F-2" in told
    assert smallprint.load(folder).policy.band is not None
