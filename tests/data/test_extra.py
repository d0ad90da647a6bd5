"""Extra rows go to train and nowhere else, whatever form their table has; what would leak is refused."""

import json
from pathlib import Path

import polars as pl
import pytest

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.data import read
from smallprint.data.examples import Examples, fingerprint
from smallprint.data.extra import add_extra, count_shared
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import split_source
from smallprint.data.summary import summarize

NAMES = ["Choice of law", "Jurisdiction", "Arbitration"]
ROWS = {
    "text": ["the law of x", "courts of y", "arbiters", "nothing", "more of it"],
    "labels": [[0], [1, 0], [2], [], []],
    "company": ["P", "P", "Q", "Q", "R"],
}


@pytest.fixture
def folder(tmp_path):
    """Ready splits whose labels are ids, with names in labels.txt; test is such that reading it fails."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "labels.txt").write_text("\n".join(NAMES))
    frame = pl.DataFrame(ROWS, schema_overrides={"labels": pl.List(pl.Int8)})
    frame.write_parquet(data / "train.parquet")
    frame.head(2).with_columns(text=pl.Series(["Seen  in validation", "v2"])).write_parquet(data / "validation.parquet")
    (data / "test.parquet").write_bytes(b"not to be opened")
    return data


@pytest.fixture
def write(tmp_path):
    def make(content, name="extra.csv"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return make


def add(data, path, **settings):
    source, config = open_source(data), DataConfig(**settings)
    schema = detect_schema(source, config)
    splits = split_source(source, schema, config, 1)
    return splits, add_extra(splits, source, schema, path), schema


def extra_of(data, path, **settings):
    return add(data, path, **settings)[1].extra


def test_rows_are_added_to_train_and_to_nothing_else(folder, write):
    before, after, _ = add(folder, write("text,labels\nNew one,Arbitration\nNew two,\n"))
    assert after.train.texts == [*before.train.texts, "New one", "New two"]
    assert after.train.labels[-2:] == [["Arbitration"], []]
    assert after.train.groups[-2:] == [None, None]
    assert after.validation is before.validation
    assert after.open_test is before.open_test
    assert after.extra.texts == ["New one", "New two"]
    assert after.made == f"{before.made} 2 extra rows from extra.csv added to train."


def test_only_train_and_validation_are_read(folder, write, monkeypatch):
    opened = []
    original = read.read_table
    monkeypatch.setattr(
        read, "read_table", lambda path, columns, **more: opened.append(path.stem) or original(path, columns, **more)
    )
    add(folder, write("text,labels\nNew one,Arbitration\n"))
    assert set(opened) == {"train", "validation", "extra"}


def test_of_a_table_that_is_carved_nothing_moves(tmp_path, write):
    table = pl.DataFrame({"text": [f"t {i}" for i in range(60)], "label": ["a", "b", "c"] * 20})
    before, after, _ = add(table, write("text,label\nnew,c\nt 900,a\n"))
    assert after.train.texts == [*before.train.texts, "new", "t 900"]
    for one, other in ((before.validation, after.validation), (before.open_test(), after.open_test())):
        assert one.frame.equals(other.frame)


@pytest.mark.parametrize(
    "content",
    [
        "text,labels\nn1,Arbitration|Choice of law\nn2,\nn3,Jurisdiction\n",
        "text,labels\nn1,Arbitration;Choice of law\nn2,\nn3,Jurisdiction\nn4,Jurisdiction;Arbitration\n",
        'text,labels\nn1,"[""Arbitration"", ""Choice of law""]"\nn2,[]\nn3,"[""Jurisdiction""]"\n',
        "text,labels\nn1,2|0\nn2,\nn3,1\n",
        'text,labels\nn1,"[2, 0]"\nn2,[]\nn3,[1]\n',
    ],
    ids=["names by |", "names by ;", "JSON names", "ids by |", "JSON ids"],
)
def test_names_stand_for_ids_in_any_form_of_several_labels(folder, write, content):
    extra = extra_of(folder, write(content))
    assert extra.labels[:3] == [["Choice of law", "Arbitration"], [], ["Jurisdiction"]]


def test_one_name_a_row_is_read_where_the_data_has_lists(folder, write):
    assert extra_of(folder, write("text,labels\nn1,Arbitration\nn2,\n")).labels == [["Arbitration"], []]
    assert extra_of(folder, write("text,labels\nn1,2\nn2,1\n")).labels == [["Arbitration"], ["Jurisdiction"]]


def test_other_formats_and_further_columns(folder, write, tmp_path):
    lines = [{"id": 7, "labels": ["Arbitration"], "text": "n1"}, {"id": 8, "labels": [], "text": "n2"}]
    path = write("\n".join(json.dumps(line) for line in lines), "extra.jsonl")
    assert extra_of(folder, path).labels == [["Arbitration"], []]
    pl.DataFrame({"text": ["n1"], "labels": [[2]]}).write_parquet(tmp_path / "more.parquet")
    assert extra_of(folder, tmp_path / "more.parquet").labels == [["Arbitration"]]


def test_flags_and_chosen_columns(write):
    rows = 20
    table = pl.DataFrame({"clause": [f"t {i}" for i in range(rows)], "x": [1, 0] * 10, "y": [0, 0, 1, 1] * 5})
    data = {"train": table, "validation": table.with_columns(clause=pl.col("clause") + " v")}
    extra = extra_of(data, write("y,clause,x\n1,new,1\n0,newer,0\n"), text="clause", labels="x,y")
    assert extra.labels == [["x", "y"], []]


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("text,label,reason\nnew,y,likely y\n", [["y"]]),
        ("text,labels,document,place\nnew,y,a.txt,0-3\n", [["y"]]),
        ("text,Kind\nnew,y\n", [["y"]]),
        ("Message,label\nnew,y\n", [["y"]]),
    ],
)
def test_what_suggest_and_scan_write_is_read_where_the_data_has_other_column_names(write, content, labels):
    table = pl.DataFrame({"Message": [f"t {i}" for i in range(40)], "Kind": ["x", "y"] * 20})
    data = {"train": table, "validation": table.with_columns(Message=pl.col("Message") + " v")}
    assert extra_of(data, write(content), text="Message", labels="Kind").labels == labels


def test_several_labels_joined_by_bars_are_read_where_the_data_joins_them_by_commas_or_has_flags(write):
    extra = write("text,labels,reason\nnew,x|y,likely x\nnewer,,drawn\n")
    table = pl.DataFrame({"Message": [f"t {i}" for i in range(40)], "Kind": ["x", "y, x", "y", ""] * 10})
    data = {"train": table, "validation": table.with_columns(Message=pl.col("Message") + " v")}
    assert extra_of(data, extra, text="Message", labels="Kind", delimiter=",").labels == [["x", "y"], []]
    flags = {
        name: frame.with_columns(x=pl.Series([1, 0] * 20), y=pl.Series([0, 0, 1, 1] * 10))
        for name, frame in data.items()
    }
    assert extra_of(flags, extra, text="Message", labels="x,y").labels == [["x", "y"], []]


def test_a_table_without_any_of_the_names_is_refused(write):
    table = pl.DataFrame({"Message": [f"t {i}" for i in range(40)], "Kind": ["x", "y"] * 20})
    data = {"train": table, "validation": table.with_columns(Message=pl.col("Message") + " v")}
    with pytest.raises(DataError, match="no column 'Message'"):
        extra_of(data, write("words,label\nnew,y\n"), text="Message", labels="Kind")


def test_a_written_out_negative_label_is_none_where_binary_means_any_label(folder, write):
    extra = extra_of(folder, write("text,label\nn1,any\nn2,none\n"), task="binary")
    assert extra.labels == [["any"], ["none"]]


def test_binary_means_any_label_here_too(folder, write):
    extra = extra_of(folder, write("text,labels\nn1,Arbitration\nn2,\n"), task="binary")
    assert extra.labels == [["any"], ["none"]]


def test_what_stands_in_train_already_is_left_out_and_counted(folder, write):
    content = "text,labels\nnew,\nNothing,Arbitration\nThe  LAW of x,Choice of law\nNEW,Jurisdiction\n ,\n"
    _, after, _ = add(folder, write(content), empty_text="drop")
    assert after.extra.texts == ["new"]
    assert after.made.endswith(
        "1 extra row from extra.csv added to train, 3 left out that stand there already, 1 without text left out."
    )


def test_nothing_may_be_left(folder, write):
    before, after, schema = add(folder, write("text,labels\nnothing,\n"))
    assert after.train.texts == before.train.texts
    assert summarize(after, schema)["extra"] == 0


def test_texts_of_validation_are_refused_with_their_places(folder, write):
    path = write("text,labels\nnew,\nseen in VALIDATION,Arbitration\nother,\nv2,\n")
    with pytest.raises(DataError, match=r"2 rows of extra\.csv .*: extra\.csv, line 3, extra\.csv, line 5\."):
        add(folder, path)
    path = write("text,labels\n" + "V2,\n" * 8)
    with pytest.raises(DataError, match=r"line 6 and 3 more"):
        add(folder, path)


def test_places_hold_after_rows_without_text(folder, write):
    with pytest.raises(DataError, match=r"extra\.csv, line 4\."):
        add(folder, write("text,labels\n ,\n,\nv2,\n"), empty_text="drop")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("text,labels\nn1,Arbitraton\n", r"'Arbitraton' \(1 rows\); first at extra\.csv, line 2(.|\n)*'Arbitration'"),
        ("text,labels\nn1,3\n", r"label id 3"),
        ("text,kind\nn1,Arbitration\n", r"extra\.csv has no column 'labels'; it has 'text', 'kind'"),
        ("clause,labels\nn1,Arbitration\n", r"no column 'text'"),
        ("text,labels\nn1,\n ,\n", r"1 row without text(.|\n)*line 3"),
        ("text,labels\n", r"extra\.csv"),
        ("", r"empty \(0 bytes\)"),
    ],
)
def test_what_is_wrong_is_told(folder, write, content, told):
    with pytest.raises(DataError, match=told):
        add(folder, write(content))


def test_a_path_that_cannot_be_read_is_told(folder, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        add(folder, tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder"):
        add(folder, folder)
    with pytest.raises(DataError, match="suffix"):
        add(folder, folder / "labels.txt")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_of_the_data_itself_is_refused_unread(folder, split, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(DataError, match=f"is the {split} file of the data itself"):
        add(folder, f"{split}.parquet")


def test_the_summary_tells_extra_rows_apart(folder, write):
    before, after, schema = add(folder, write("text,labels\nn1,Arbitration\nn2,\nnothing,\n"))
    plain, numbers = summarize(before, schema), summarize(after, schema)
    assert "extra" not in plain
    assert numbers["extra"] == 2
    assert numbers["rows"] == {"train": 7, "validation": 2}
    assert numbers["labels"]["train"]["Arbitration"] == plain["labels"]["train"]["Arbitration"] + 1
    prints = numbers["fingerprints"]
    assert {split: prints[split] for split in ("train", "validation")} == plain["fingerprints"]
    assert prints["extra"] == fingerprint(after.extra)
    assert numbers["groups"] == plain["groups"]


def test_shared_texts_are_counted_but_for_capitals_and_spaces():
    def examples(*texts):
        frame = pl.DataFrame({"row": range(len(texts)), "text": texts, "labels": [[]] * len(texts), "group": None})
        return Examples("test", frame)

    assert count_shared(examples("a  b", "c", "A B", "d"), examples(" a b", "D", "e")) == 3


def test_the_shipped_clauses_are_read_as_extra_rows(tmp_path):
    names = [
        *("Limitation of liability", "Unilateral termination", "Unilateral change", "Content removal"),
        *("Contract by using", "Choice of law", "Jurisdiction", "Arbitration"),
    ]
    (tmp_path / "labels.txt").write_text("\n".join(names))
    train = pl.DataFrame({"text": [f"t {i}" for i in range(9)], "labels": [[i] for i in range(8)] + [[]]})
    train.write_parquet(tmp_path / "train.parquet")
    train.with_columns(text=pl.col("text") + " v").write_parquet(tmp_path / "validation.parquet")
    (tmp_path / "test.parquet").write_bytes(b"not to be opened")
    clauses = Path(__file__).parents[2] / "benchmarks" / "extra_clauses.csv"
    _, after, schema = add(tmp_path, clauses)
    counts = summarize(after, schema)["labels"]["train"]
    assert after.made.endswith("285 extra rows from extra_clauses.csv added to train.")
    assert min(counts.values()) > 15
    assert sum(not row for row in after.extra.labels) == 100
    assert all(10 <= len(text.split()) <= 90 for text in after.extra.texts)


def test_names_that_are_numbers_are_read_as_such_in_what_suggest_writes(tmp_path, write):
    data = tmp_path / "stars"
    data.mkdir()
    (data / "labels.txt").write_text("1\n2\n3\n")
    for split in ("train", "validation"):
        (data / f"{split}.csv").write_text("text,label\n" + "".join(f"{split} {i},{i % 3}\n" for i in range(9)))
    assert extra_of(data, write("text,label\nnew,1\nnewer,3\n")).labels == [["1"], ["3"]]
    assert extra_of(data, write("text,label\nnew,1\nnewer,0\n")).labels == [["2"], ["1"]]
