import json
import re

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smallprint.check.command import check_data, clean_data
from smallprint.check.rows import cleaned_text, holds_unseen
from smallprint.cli.app import main
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


MAN, WOMAN, GIRL, ROCKET, SKIN = "\U0001f468", "\U0001f469", "\U0001f467", "\U0001f680", "\U0001f3fd"
ZWJ, ZWNJ = "\u200d", "\u200c"
JOINED = [
    f"{MAN}{ZWJ}{WOMAN}{ZWJ}{GIRL} family",
    f"{WOMAN}{SKIN}{ZWJ}{ROCKET}",
    f"\u0645\u06cc{ZWNJ}\u062e\u0648\u0627\u0647\u0645",  # Persian: I want
    f"\u0d05\u0d35\u0d28\u0d4d{ZWJ} \u0d35\u0d28\u0d4d\u0d28\u0d41",  # Malayalam: a chillu at the end of a word
    f"\u0995\u09cd{ZWNJ}\u09b7",  # Bengali
]


def cleaned(splits, tmp_path):
    """Gives the texts of each split after `--fix`, and the lines of the log."""
    frames = {
        name: pl.DataFrame({"text": texts, "label": ["a", "b"] * (len(texts) // 2)}) for name, texts in splits.items()
    }
    clean_data(frames, DataConfig(), tmp_path / "out")
    changes = [json.loads(line) for line in (tmp_path / "out" / "changes.jsonl").read_text().splitlines()]
    return {name: pl.read_parquet(tmp_path / "out" / f"{name}.parquet")["text"].to_list() for name in splits}, changes


@pytest.mark.parametrize("control", "\x0b\x0c\x1c\x1d\x1e\x1f\x85")
def test_controls_that_part_words_become_a_space(tmp_path, control):
    texts, _ = cleaned({"train": [f"end of page.{control}Next page", "a\x07\x1bbell"]}, tmp_path)
    assert texts["train"] == ["end of page. Next page", "abell"]


def test_joiners_stay_where_they_join_and_are_not_told(tmp_path):
    loose = [f"a{ZWJ} b", f"{ZWNJ}c", f"pay{ZWNJ}ment", f"d {ZWJ}{MAN}", f"e {MAN}{ZWJ}", f"f\u0645\u06cc{ZWNJ} g", "h"]
    texts, changes = cleaned({"train": JOINED + loose}, tmp_path)
    assert texts["train"] == [*JOINED, "a b", "c", "payment", f"d {MAN}", f"e {MAN}", "f\u0645\u06cc g", "h"]
    assert [change["row"] for change in changes] == list(range(len(JOINED), len(JOINED) + 6))
    kinds = {
        finding.kind: finding for finding in check_data({"train": pl.DataFrame({"text": JOINED + loose})}).findings
    }
    assert kinds["unseen-characters"].count == 6
    assert "unseen-characters" not in {finding.kind for finding in check_data(str(tmp_path / "out")).findings}


def test_what_is_blank_once_it_is_clean_goes_but_from_test(tmp_path):
    blank = ["\u200b", "\x0c \ufeff"]
    splits = {"train": ["one", "two", *blank], "validation": ["three", *blank, "four"], "test": [*blank, "five", "six"]}
    texts, changes = cleaned(splits, tmp_path)
    assert texts == {"train": ["one", "two"], "validation": ["three", "four"], "test": splits["test"]}
    assert [(change["change"], change["split"], change["row"]) for change in changes] == [
        ("empty text removed", split, row)
        for split, row in (("train", 2), ("train", 3), ("validation", 1), ("validation", 2))
    ]


# each joiner gives its letter another shape, and both stay once they stand side by side
@example(f"\u0645{ZWJ}\u202e\u0645{ZWJ}")
@given(st.text(alphabet=f"ab .\x0c\x07\u202e\u200b{ZWJ}{ZWNJ}{MAN}{SKIN}\u0645\u0d28\u0d4d", max_size=12))
def test_cleaned_once_is_clean(text):
    rows = pl.DataFrame({"text": [text]}).with_columns(
        clean=cleaned_text(pl.col("text")), loose=holds_unseen(pl.col("text"))
    )
    again = rows.with_columns(cleaned_text(pl.col("clean")).alias("again"), holds_unseen(pl.col("clean")).alias("left"))
    assert again["again"][0] == again["clean"][0]
    assert not again["left"][0]
    assert (text == again["clean"][0]) == (not re.search("[\x0c\x07\u202e]", text) and not again["loose"][0])


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


MIXED = [
    {
        "text": "We may close it at once",
        "label": "end",
        "score": 1,
        "meta": {"page": 2},
        "tags": [1, "x"],
        "big": 2**70,
    },
    {"text": "You pay\u200b for every day", "label": "pay", "score": 0.5, "meta": None, "tags": [], "big": 1},
    {"text": "", "label": "end", "score": 0.5, "meta": {}, "tags": ["y"], "big": 1},
]


def test_json_lines_keep_every_value_as_it_was_written(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "test"):
        lines = [json.dumps({**row, "text": row["text"] and f"{row['text']} {split}"}) for row in MIXED]
        (data / f"{split}.jsonl").write_text("\n\n".join(lines))
    clean_data(str(data), DataConfig(), tmp_path / "out")
    train, test = (
        [json.loads(line) for line in (tmp_path / "out" / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train", "test")
    )
    assert test == [{**row, "text": row["text"] and f"{row['text']} test"} for row in MIXED]
    assert train == [
        {**MIXED[0], "text": f"{MIXED[0]['text']} train"},
        {**MIXED[1], "text": "You pay for every day train"},
    ]


def test_a_blank_row_of_test_is_left_and_told(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text(
        "split,text,label\ntrain,We may close it,end\ntrain,You pay us,pay\ntest,,pay\ntest,You owe us,pay\n"
    )
    with pytest.raises(SystemExit):
        main(["check", str(path), "--fix", str(tmp_path / "out")])
    assert "1 error of the above that only you can mend is in it as well." in capsys.readouterr().err


def test_an_output_that_is_there_or_is_the_data_is_refused_before_the_work(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("smallprint.check.command.check_data", None)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for more in (["--html", folder / "train.csv"], ["--fix", folder]):
        with pytest.raises(SystemExit) as ended:
            main(["check", str(folder), *map(str, more)])
        assert ended.value.code == 2
    assert "is read, and would be written over" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
