"""Batch by batch gives what the whole table in memory gives, and memory stays at a few batches."""

import json
import runpy
from pathlib import Path

import polars as pl
import pytest

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.data import batches, plain_csv
from smallprint.data.examples import fingerprint, to_examples
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema

survey_source = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "survey.py"))["survey_source"]
N = 500
LABELS = {
    "name": lambda i: "ab"[i % 2],
    "multiclass": lambda i: "abc"[i % 3],
    "lists": lambda i: [x for x in "abc" if (i + ord(x)) % 3 == 0 or i % 7 == 0],
}
WRITERS = {
    "csv": lambda frame, path: frame.write_csv(path),
    "tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "jsonl": lambda frame, path: frame.write_ndjson(path),
    "parquet": lambda frame, path: frame.write_parquet(path, row_group_size=70),
    "xlsx": lambda frame, path: frame.write_excel(path),
}


@pytest.fixture
def small_batches(monkeypatch):
    for module, name, value in (
        (batches, "BATCH_BYTES", 900),
        (batches, "BATCH_ROWS", 32),
        (plain_csv, "CHUNK", 700),
    ):
        monkeypatch.setattr(module, name, value)


def table(labels, suffix):
    made = [LABELS[labels](i) for i in range(N)]
    if suffix not in ("jsonl", "parquet"):
        made = ["|".join(x) if isinstance(x, list) else x for x in made]
    texts = [None if i % 50 == 3 else f'clause {i}, "said" he\nand é' for i in range(N)]
    return pl.DataFrame({"n": range(N), "text": texts, "labels": made, "company": [f"g{i % 9}" for i in range(N)]})


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("suffix", WRITERS)
def test_the_fingerprint_is_that_of_the_whole(tmp_path, labels, suffix):
    WRITERS[suffix](table(labels, suffix), tmp_path / f"t.{suffix}")
    source = open_source(tmp_path / f"t.{suffix}")
    schema = detect_schema(source, DataConfig(empty_text="drop"))
    whole = to_examples(source.read(None), schema, "train", source)
    found = survey_source(source, schema)
    assert found.keys() == {"train"}
    assert found["train"].fingerprint == fingerprint(whole)
    assert (found["train"].rows, found["train"].without_text) == (490, 10) == (len(whole), whole.dropped)


@pytest.mark.usefixtures("small_batches")
def test_splits_of_a_column_and_of_files_are_told_apart(tmp_path):
    frame = table("name", "csv").drop_nulls()
    splits = ["train", "test", "train", "dev"] * N
    frame = frame.with_columns(pl.Series("split", splits[: frame.height]))
    frame.write_csv(tmp_path / "t.csv")
    (tmp_path / "folder").mkdir()
    for split, part in frame.partition_by("split", as_dict=True).items():
        part.drop("split").write_csv(tmp_path / "folder" / f"{split[0]}.csv")
    prints = []
    for name in ("t.csv", "folder"):
        source = open_source(tmp_path / name)
        schema = detect_schema(source, DataConfig())
        assert schema.split_column == ("split" if name == "t.csv" else None)
        prints.append({split: part.fingerprint for split, part in survey_source(source, schema).items()})
    assert prints[0] == prints[1]
    assert prints[0].keys() == {"train", "validation", "test"}


@pytest.mark.usefixtures("small_batches")
def test_what_is_wrong_late_in_the_file_is_told_with_its_line(tmp_path):
    lines = [f"text {i},{'ab'[i % 2]}" for i in range(N)]
    (tmp_path / "t.csv").write_text("text,label\n" + "\n".join([*lines, "short"]) + "\n")
    with pytest.raises(DataError, match=f"line {N + 2}: 1 fields"):
        detect_schema(open_source(tmp_path / "t.csv"), DataConfig())
    (tmp_path / "s.csv").write_text("text,label,split\n" + "".join(f"{line},train\n" for line in lines) + "x,a,tset\n")
    with pytest.raises(DataError, match=f"'tset', s.csv, line {N + 2} "):
        detect_schema(open_source(tmp_path / "s.csv"), DataConfig())


@pytest.mark.usefixtures("small_batches")
def test_labels_of_a_json_file_that_change_their_kind_late(tmp_path):
    kinds = [["a"], "b", None, ["a", "b"]]
    rows = [{"text": f"some text {i}", "labels": ["a"] if i < 400 else kinds[i % 4]} for i in range(N)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = open_source(tmp_path / "t.jsonl")
    whole = pl.DataFrame({"text": [row["text"] for row in rows]}).with_columns(source.read(None, ["labels"])["labels"])
    schema, other = detect_schema(source, DataConfig()), detect_schema(open_source(whole), DataConfig())
    assert (schema.form, schema.names, schema.task) == (other.form, other.names, other.task)


def test_texts_are_not_read_to_know_the_labels(tmp_path, monkeypatch):
    table("name", "parquet").write_parquet(tmp_path / "t.parquet")
    source, asked = open_source(tmp_path / "t.parquet"), []
    real = source.tables[""].batches

    def batches_of(columns):
        asked.append(columns)
        return real(columns)

    monkeypatch.setitem(source.tables, "", type(source.tables[""])(None, source.place, batches_of))
    detect_schema(source, DataConfig())
    assert asked == [None, ["labels"]]


@pytest.mark.parametrize("name", ["times", "row", "first", "split", "key"])
def test_a_label_column_may_have_any_name(name, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"clause,{name}\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(6)))
    schema = detect_schema(open_source(path), DataConfig(labels=name, split=None))
    assert sorted(schema.names) == ["a", "b"]


@pytest.mark.usefixtures("small_batches")
def test_keys_that_only_later_objects_have_are_columns_too(tmp_path):
    path = tmp_path / "t.jsonl"
    for key, values in (("group", "gh"), ("split", ("train", "test"))):
        rows = [
            {"text": f"clause {i}", "label": "ab"[i % 2]} | ({key: values[i % 2]} if i > 90 else {}) for i in range(99)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        if key == "group":
            assert detect_schema(open_source(path), DataConfig()).group == "group"
        else:
            with pytest.raises(DataError, match=r"column 'split' has the value None"):
                detect_schema(open_source(path), DataConfig())
