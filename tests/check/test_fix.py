import json

import polars as pl
import pytest

from smallprint.check.command import check_data, clean_data
from smallprint.core.config import DataConfig
from smallprint.core.errors import ConfigError

TABLES = {
    "train": [
        ("We may close it.", "end"),
        ("we may close it", "end"),
        ("", "end"),
        ("You pay\u200b now", "pay"),
        ("Copy of test.", "pay"),
        ("odd", "end"),
        ("odd", "pay"),
    ],
    "validation": [("Copy of test!", "pay"), ("Own.", "end")],
    "test": [("copy of TEST", "pay"), ("", "pay"), ("Twice", "end"), ("Twice", "end")],
}


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for split, rows in TABLES.items():
        pl.DataFrame(rows, schema=["text", "label"], orient="row").write_csv(data / f"{split}.csv")
    return data


def test_what_is_safe_is_done_and_told(folder, tmp_path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    counts = clean_data(str(folder), DataConfig(), tmp_path / "out")
    assert counts == {
        "empty text removed": 1,
        "copy of a text of validation or test removed": 1,
        "copy of a text of test removed": 1,
        "repeat with equal labels removed": 1,
        "unseen characters removed": 1,
    }
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    train = pl.read_csv(tmp_path / "out" / "train.csv")
    assert train["text"].to_list() == ["We may close it.", "You pay now", "odd", "odd"], "contradictions are a person's"
    assert pl.read_csv(tmp_path / "out" / "validation.csv")["text"].to_list() == ["Own."]
    assert pl.read_csv(tmp_path / "out" / "test.csv").equals(pl.read_csv(folder / "test.csv"))
    changes = [json.loads(line) for line in (tmp_path / "out" / "changes.jsonl").read_text().splitlines()]
    assert len(changes) == sum(counts.values())
    [empty] = [change for change in changes if change["change"] == "empty text removed"]
    assert (empty["split"], empty["row"]) == ("train", 2)
    assert empty["where"].endswith("train.csv, line 4")
    assert not any("now" in json.dumps(change) for change in changes), "texts stay out of the log"
    kinds = {finding.kind for finding in check_data(str(tmp_path / "out")).findings}
    assert not kinds & {"test-in-train", "validation-in-train", "unseen-characters"}
    assert "contradiction" in kinds


def test_a_folder_that_is_there_is_left_alone(folder, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="is there already"):
        clean_data(str(folder), DataConfig(), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_one_table_of_another_format(tmp_path, suffix):
    labels = {"labels": pl.List(pl.String)}
    frame = pl.DataFrame({"text": ["a b c", "a b c", "d"], "labels": [["x"], ["x"], []]}, schema_overrides=labels)
    path = tmp_path / f"t.{suffix}"
    write = frame.write_parquet if suffix == "parquet" else frame.write_ndjson
    write(path)
    clean_data(str(path), DataConfig(), tmp_path / "out")
    [written] = [p for p in (tmp_path / "out").iterdir() if p.name.startswith("train")]
    assert written.suffix == f".{suffix}"


def test_names_of_ids_go_along(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "labels.txt").write_text("red\ngreen\n")
    pl.DataFrame({"text": [f"words {i}" for i in range(9)], "label": [i % 2 for i in range(9)]}).write_csv(
        data / "train.csv"
    )
    clean_data(str(data), DataConfig(), tmp_path / "out")
    assert (tmp_path / "out" / "labels.txt").read_text() == "red\ngreen\n"
    assert check_data(str(tmp_path / "out")).support["train"] == {"red": 5, "green": 4}
