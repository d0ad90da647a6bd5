import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from smallprint.core.errors import ConfigError, DataError
from smallprint.data.labels import LabelSet
from smallprint.inference import predictor
from smallprint.inference.engine import Engine
from smallprint.inference.predictor import PredictSummary, predict_file

BINARY = LabelSet("binary", ["fair", "unfair"])
MULTICLASS = LabelSet("multiclass", ["a", "b", "c"])
MULTILABEL = LabelSet("multilabel", ["late", "rude", "Choice of law"])


class ToyScorer:
    """Scores that follow from the number of characters; no network inside."""

    max_length = 10

    def __init__(self, n_outputs: int) -> None:
        self.n_outputs, self.n_truncated, self.most = n_outputs, 0, 0

    def score(self, texts):
        self.most = max(self.most, len(texts))
        self.n_truncated += sum(len(text) > 20 for text in texts)
        lengths = np.array([len(text) for text in texts], dtype=np.float32)[:, None]
        return ((lengths + np.arange(self.n_outputs)) % 4 / 4).astype(np.float32).reshape(-1, self.n_outputs)


def toy(labels: LabelSet) -> Engine:
    return Engine(ToyScorer(labels.n_outputs), labels, np.full(labels.n_outputs, 0.5))


@pytest.fixture
def table() -> pl.DataFrame:
    return pl.DataFrame({"id": [3, 1, 2], "text": ["ab", "abc", "abcd"], "weight": [0.123456789012, 1e-9, 2.0]})


def standard_input(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_csv_keeps_rows_columns_and_their_order(table, tmp_path):
    (tmp_path / "in.csv").write_text('id,text,note\n007,ab," a, ""b"" "\n1,abc,1.50\n2,abcd,\n')
    summary = predict_file(toy(MULTILABEL), tmp_path / "in.csv", tmp_path / "out.csv")
    assert summary == PredictSummary(3, 0, str(tmp_path / "out.csv"), 0)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines == [
        "id,text,note,labels,score_late,score_rude,score_Choice of law",
        '007,ab," a, ""b"" ",late|rude,0.500000,0.750000,0.000000',
        "1,abc,1.50,late,0.750000,0.000000,0.250000",
        "2,abcd,,Choice of law,0.000000,0.250000,0.500000",
    ]


@pytest.mark.parametrize(
    ("labels", "column", "found"),
    [
        (BINARY, "label", ["unfair", "unfair", "fair"]),
        (MULTICLASS, "label", ["b", "a", "c"]),
        (MULTILABEL, "labels", [["late", "rude"], ["late"], ["Choice of law"]]),
    ],
)
@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_each_task_in_formats_that_keep_lists(table, tmp_path, labels, column, found, suffix):
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    table.write_parquet(source) if suffix == ".parquet" else table.write_ndjson(source)
    predict_file(toy(labels), source, target)
    out = pl.read_parquet(target) if suffix == ".parquet" else pl.read_ndjson(target)
    sure = ["label_score"] if labels.task == "multiclass" else []
    assert out.columns == [*table.columns, column, *sure, *(f"score_{name}" for name in labels.score_names)]
    assert out[column].to_list() == found
    assert out.select(table.columns).equals(table)  # floats of the input in full
    expected = toy(labels).score(table["text"].to_list())
    np.testing.assert_allclose(out.select(pl.col("^score_.*$")).to_numpy(), expected, atol=1e-6)
    if sure:
        np.testing.assert_allclose(out["label_score"].to_numpy(), expected.max(axis=1), atol=1e-6)


def test_a_text_column_of_another_name(tmp_path):
    (tmp_path / "in.csv").write_text("clause,remark\nab,xyz\n")
    predict_file(toy(BINARY), tmp_path / "in.csv", tmp_path / "out.csv", text="clause")
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "ab,xyz,unfair,0.500000"


@pytest.mark.parametrize("labels", [BINARY, MULTICLASS, MULTILABEL])
def test_rows_without_text_keep_null(tmp_path, labels):
    rows = [{"text": None}, {"text": "ab"}, {"text": "  \n"}, {"text": ""}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = predict_file(toy(labels), tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert (summary.rows, summary.skipped_empty) == (4, 3)
    out = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for place in (0, 2, 3):
        assert out[place]["text"] == rows[place]["text"]
        assert {value for name, value in out[place].items() if name != "text"} == {None}
    assert None not in out[1].values()


def test_only_rows_without_text(tmp_path):
    pl.DataFrame({"text": [None, " "]}, schema={"text": pl.String}).write_parquet(tmp_path / "in.parquet")
    predict_file(toy(MULTILABEL), tmp_path / "in.parquet", tmp_path / "out.parquet")
    out = pl.read_parquet(tmp_path / "out.parquet")
    assert out["labels"].to_list() == [None, None]
    assert out.schema["labels"] == pl.List(pl.String)


@pytest.mark.parametrize(("labels", "name"), [(BINARY, "label"), (MULTILABEL, "labels"), (BINARY, "score_unfair")])
def test_a_column_of_the_same_name_is_refused(tmp_path, labels, name):
    (tmp_path / "in.csv").write_text(f"text,{name}\nab,x\n")
    with pytest.raises(DataError, match=f"'{name}'") as error:
        predict_file(toy(labels), tmp_path / "in.csv", tmp_path / "out.csv")
    assert "Rename" in error.value.do
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_column_that_only_the_other_task_writes_is_kept(tmp_path):
    (tmp_path / "in.csv").write_text("text,labels\nab,x\n")
    predict_file(toy(BINARY), tmp_path / "in.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().startswith("text,labels,label,score_unfair\n")


def test_a_column_that_turns_up_late(tmp_path):
    rows = [json.dumps({"text": "ab"})] * 3000 + [json.dumps({"text": "ab", "x": 0.123456789})]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    predict_file(toy(BINARY), tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[-1])["x"] == 0.123456789
    (tmp_path / "in.jsonl").write_text("\n".join([*rows, json.dumps({"text": "ab", "label": 1})]))
    with pytest.raises(DataError, match="'label'"):
        predict_file(toy(BINARY), tmp_path / "in.jsonl", tmp_path / "out2.jsonl")
    assert not (tmp_path / "out2.jsonl").exists()


def test_a_value_that_is_no_text_is_placed(tmp_path):
    rows = [json.dumps({"text": "ab"})] * 3000 + [json.dumps({"text": 5})]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    with pytest.raises(DataError, match="3,001"):
        predict_file(toy(BINARY), tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("input", "output", "wanted", "expected"),
    [
        ("in.csv", "out.jsonl", None, "jsonl"),
        ("in.csv", "out", None, "csv"),
        ("in.csv", "-", None, "csv"),
        ("in.tsv", "-", None, "tsv"),
        ("in.jsonl", "-", None, "jsonl"),
        ("in.parquet", "-", None, "jsonl"),
        ("in.txt", "-", None, "jsonl"),
        ("in.txt", "out.csv", None, "csv"),
        ("in.csv", "out.csv", "jsonl", "jsonl"),
        ("in.csv", "-", "tsv", "tsv"),
    ],
)
def test_the_format_of_the_output(tmp_path, monkeypatch, capsysbinary, input, output, wanted, expected):
    monkeypatch.chdir(tmp_path)
    content = {
        "in.csv": "text,n\nab,1\n",
        "in.tsv": "text\tn\nab\t1\n",
        "in.jsonl": '{"text": "ab"}\n',
        "in.txt": "ab\n",
    }
    if input in content:
        Path(input).write_text(content[input])
    else:
        pl.DataFrame({"text": ["ab"]}).write_parquet(input)
    predict_file(toy(BINARY), input, output, output_format=wanted)
    first = (capsysbinary.readouterr().out if output == "-" else Path(output).read_bytes()).splitlines()[0].decode()
    assert ("{" in first, "," in first, "\t" in first) == {
        "jsonl": (True, True, False),
        "csv": (False, True, False),
        "tsv": (False, False, True),
    }[expected]


@pytest.mark.parametrize(("output", "wanted"), [("out.xlsx", None), ("out.csv", "excel"), ("-", "parquet")])
def test_a_format_that_cannot_be_written(tmp_path, output, wanted):
    (tmp_path / "in.csv").write_text("text\nab\n")
    with pytest.raises(ConfigError):
        predict_file(
            toy(BINARY), tmp_path / "in.csv", output if output == "-" else tmp_path / output, output_format=wanted
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_plain_lines_from_standard_input(monkeypatch, capsysbinary):
    standard_input(monkeypatch, "ab\n\nabc é\n".encode())
    summary = predict_file(toy(MULTILABEL), "-", "-")
    rows = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["ab", "", "abc é"]
    assert rows[1]["labels"] is None
    assert rows[0]["labels"] == ["late", "rude"]
    assert list(rows[0]) == ["text", "labels", "score_late", "score_rude", "score_Choice of law"]
    assert summary == PredictSummary(3, 1, "-", 0)


def test_objects_from_standard_input_keep_their_columns(monkeypatch, capsysbinary):
    standard_input(monkeypatch, b'{"id": "7", "text": "ab", "tree": {"a": [1, null]}}\n')
    predict_file(toy(BINARY), "-", "-")
    row = json.loads(capsysbinary.readouterr().out)
    assert row == {"id": "7", "text": "ab", "tree": {"a": [1, None]}, "label": "unfair", "score_unfair": 0.5}


def test_a_large_file_is_read_in_chunks(tmp_path, monkeypatch):
    (tmp_path / "in.csv").write_text("n,text\n" + "".join(f"{i},{'x' * (i % 7 + 1)}\n" for i in range(10_000)))
    monkeypatch.setattr(predictor, "SAY_SECONDS", 0.0)
    engine, lines = toy(BINARY), []
    summary = predict_file(engine, tmp_path / "in.csv", tmp_path / "out.csv", say=lines.append)
    out = pl.read_csv(tmp_path / "out.csv")
    assert summary.rows == out.height == 10_000
    assert out["n"].to_list() == list(range(10_000))
    assert engine.scorer.most <= 2048
    assert len(lines) > 2
    assert "2,048 rows done" in lines
    np.testing.assert_allclose(out["score_unfair"], toy(BINARY).score(out["text"].to_list())[:, 0], atol=1e-6)


def test_what_was_cut_or_skipped_is_said(tmp_path):
    (tmp_path / "in.csv").write_text(f"id,text\n1,{'long ' * 9}\n2,\n3,ab\n")
    lines = []
    engine = toy(BINARY)
    engine.scorer.n_truncated = 5  # of earlier calls
    summary = predict_file(engine, tmp_path / "in.csv", tmp_path / "out.csv", say=lines.append)
    assert lines == [
        f"3 rows predicted; 1 without text, left without a label; 1 cut at 10 tokens; written to {tmp_path / 'out.csv'}"
    ]
    assert (summary.truncated, summary.skipped_empty) == (1, 1)


def test_a_failure_midway_leaves_the_old_file(tmp_path):
    rows = "".join("ab\n" for _ in range(5000)).encode()
    (tmp_path / "in.csv").write_bytes(b"text\n" + rows + b"\xff\xfe\n")
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(DataError, match="5002"):
        predict_file(toy(BINARY), tmp_path / "in.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_a_file_in_its_own_place(tmp_path):
    (tmp_path / "in.csv").write_text("text\n" + "ab\n" * 5000)
    predict_file(toy(BINARY), tmp_path / "in.csv", tmp_path / "in.csv")
    assert pl.read_csv(tmp_path / "in.csv").shape == (5000, 3)


def test_a_folder_of_a_bundle_is_loaded(tmp_path, monkeypatch):
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "in.csv").write_text("text\nab\n")
    monkeypatch.setattr(predictor, "open_model", lambda folder, parts: toy(BINARY))
    assert predict_file(tmp_path, tmp_path / "in.csv", tmp_path / "out.csv").rows == 1


@pytest.mark.parametrize(
    ("name", "separator", "out", "written"),
    [
        ("a.csv", ";", "b.csv", ";"),
        ("a.csv", "\t", "b.csv", "\t"),
        ("a.csv", ";", "b.tsv", "\t"),
        ("a.tsv", "\t", "b.csv", ","),
    ],
)
def test_a_csv_keeps_its_separator_and_may_have_another_encoding(tmp_path, name, separator, out, written):
    content = f"text{separator}number\ncaf\u00e9, red{separator}1\n"
    (tmp_path / name).write_bytes(content.encode("windows-1252"))
    with pytest.raises(DataError, match="--encoding windows-1252"):
        predict_file(toy(BINARY), tmp_path / name, tmp_path / out)
    predict_file(toy(BINARY), tmp_path / name, tmp_path / out, encoding="windows-1252")
    with (tmp_path / out).open(encoding="utf-8", newline="") as file:
        header, row = csv.reader(file, delimiter=written)
    assert (header[:3], row[:2]) == (["text", "number", "label"], ["caf\u00e9, red", "1"])
