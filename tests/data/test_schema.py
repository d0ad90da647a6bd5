import os
from pathlib import Path

import polars as pl
import pytest

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.data.examples import to_examples
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema, label_order


def detect(labels, *, column="labels", **settings):
    data = labels if isinstance(labels, dict) else {column: labels}
    n = len(next(iter(data.values())))
    return detect_schema(
        open_source(pl.DataFrame({"text": [f"text {i}" for i in range(n)]} | data)), DataConfig(**settings)
    )


def folder(tmp_path, labels_txt=None, **splits):
    for split, labels in splits.items():
        pl.DataFrame({"text": [f"{split} {i}" for i in range(len(labels))], "labels": labels}).write_parquet(
            tmp_path / f"{split}.parquet"
        )
    if labels_txt:
        (tmp_path / "labels.txt").write_text("\n".join(labels_txt))
    return open_source(tmp_path)


@pytest.mark.parametrize(
    ("labels", "task", "names", "form"),
    [
        ([["b"], ["a", "b"], []], "multilabel", ["a", "b"], "list"),
        (["['b']", "['a', 'b']", "[]"], "multilabel", ["a", "b"], "list"),
        (["b", "a|b", ""], "multilabel", ["a", "b"], "delimited"),
        ({"b": [1, 0, 1], "a": [0, 0, 1]}, "multilabel", ["a", "b"], "onehot"),
        ({"b": [1, 0, 0], "a": [0, 1, 0], "c": [0, 0, 1]}, "multiclass", ["a", "b", "c"], "onehot"),
        ([["b"], ["a"], ["c"]], "multiclass", ["a", "b", "c"], "list"),
        (["10", "9", "2"], "multiclass", ["2", "9", "10"], "name"),
        ([" b", "a ", "b", "c"], "multiclass", ["a", "b", "c"], "name"),
        (["ham", "spam", "spam"], "binary", ["ham", "spam"], "name"),
        ([["yes"], ["no"]], "binary", ["no", "yes"], "list"),
        ([0, 1, 1], "binary", ["0", "1"], "name"),
        ([True, False, True], "binary", ["false", "true"], "name"),
    ],
)
def test_form_task_and_names_are_detected(labels, task, names, form):
    schema = detect(labels)
    assert (schema.task, schema.names, schema.form, schema.any_label) == (task, names, form, False)


@pytest.mark.parametrize(
    ("labels", "positive", "why"),
    [
        (["ham", "spam", "spam", "spam"], "spam", "by its name"),
        (["unfair", "fair", "fair", "unfair"], "unfair", "by its name"),
        (["useful", "not_useful", "useful", "useful"], "useful", "by its name"),
        (["north", "south", "south"], "north", "the rarer one"),
        (["north", "south", "south", "north"], "north", "the rarer one"),
        (["yes", "true", "true"], "yes", "the rarer one"),
    ],
)
def test_the_positive_label_is_chosen_and_said(labels, positive, why):
    schema = detect(labels)
    assert schema.names[1] == positive
    assert f"positive label '{positive}' ({why}" in schema.said


def test_the_positive_label_can_be_set():
    schema = detect(["ham", "spam"], positive="ham")
    assert schema.names == ["spam", "ham"]
    assert "'ham' (as set)" in schema.said
    with pytest.raises(DataError, match=r"'spann'(.|\n)*Did you mean 'spam'"):
        detect(["ham", "spam"], positive="spann")


def test_binary_on_many_labels_means_any_label():
    schema = detect([["a"], ["a", "b"], []], task="binary")
    assert (schema.task, schema.names, schema.any_label) == ("binary", ["none", "any"], True)
    assert detect([["a"], ["a", "b"], []], task="binary", positive="unfair").names == ["none", "unfair"]


def test_one_label_that_some_rows_lack_is_binary():
    schema = detect([["late"], [], []])
    assert (schema.task, schema.names, schema.any_label) == ("binary", ["none", "late"], True)
    assert detect([["late"], [], []], task="multilabel").names == ["late"]


@pytest.mark.parametrize(
    ("labels", "task", "what"),
    [
        ([["a"], ["a", "b"]], "multiclass", r"several labels or none; first at data, row 2: 'a', 'b'"),
        ([["a"], ["a", "b"]], "binary", "every row in 'labels' has a label"),
        (["a", "b", "c"], "binary", "task 'binary', but 'labels' has 3 labels"),
        (["a", "a"], "auto", "every row has the same label, 'a'"),
        ([["a"], ["a"]], "auto", "every row has the same label"),
        ([[], []], "auto", "no label in any row"),
        (["", None], "auto", "no label in any row"),
        ([f"n{i}" for i in range(2001)], "auto", "2,001 different labels(.|\n)*Is 'labels' really"),
    ],
)
def test_labels_that_do_not_fit_are_an_error(labels, task, what):
    with pytest.raises(DataError, match=what):
        detect(pl.Series(labels, dtype=pl.List(pl.String)) if labels == [[], []] else labels, task=task)


def test_multilabel_can_be_asked_for():
    schema = detect(["a", "b", ""], task="multilabel")
    assert (schema.task, schema.form) == ("multilabel", "delimited")


def test_label_names_give_the_order_and_unused_ones_are_noted(tmp_path):
    schema = detect_schema(folder(tmp_path, ["z", "y", "x"], train=[[0], [0, 2], []]), DataConfig())
    assert schema.names == ["z", "y", "x"]
    assert schema.unused == ("y",)
    assert "never used in train: 'y'" in schema.said


def test_ids_in_one_column_have_the_form_ids(tmp_path):
    schema = detect_schema(folder(tmp_path, ["z", "y", "x"], train=[0, 1, 2]), DataConfig())
    assert (schema.form, schema.task, schema.names) == ("ids", "multiclass", ["z", "y", "x"])


def test_an_id_out_of_range_names_file_and_row(tmp_path):
    with pytest.raises(DataError, match=r"label id 7, train\.parquet, row 2"):
        detect_schema(folder(tmp_path, ["z", "y"], train=[[0], [7]]), DataConfig())


def test_a_name_that_labels_txt_lacks_is_named_with_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"'lates' \(1 rows\); first at train\.parquet, row 2"):
        detect_schema(folder(tmp_path, ["late", "rude"], train=[["late"], ["lates"]]), DataConfig())


def test_validation_counts_for_the_task(tmp_path):
    source = folder(tmp_path, train=[["a"], ["b"], ["c"]], validation=[[]])
    assert detect_schema(source, DataConfig()).task == "multilabel"


def test_names_come_from_train_alone_and_test_is_never_read(tmp_path):
    source = folder(tmp_path, train=[["a"], ["b"], []], validation=[["c"]])
    (tmp_path / "test.parquet").write_text("not parquet: reading it would fail")
    source = open_source(tmp_path)
    assert source.splits == ("train", "validation", "test")
    assert detect_schema(source, DataConfig()).names == ["a", "b"]


def test_test_rows_of_a_split_column_play_no_part():
    table = pl.DataFrame({"text": list("abc"), "label": ["x", "y", "z"], "split": ["train", "train", "test"]})
    schema = detect_schema(open_source(table), DataConfig())
    assert (schema.names, schema.split_column) == (["x", "y"], "split")


def test_validation_must_have_the_label_column(tmp_path):
    folder(tmp_path, train=[["a"], []])
    pl.DataFrame({"text": ["x"]}).write_parquet(tmp_path / "validation.parquet")
    with pytest.raises(DataError, match="no column 'labels'"):
        detect_schema(open_source(tmp_path), DataConfig())


def test_what_was_found_is_said(tmp_path):
    pl.DataFrame({"text": list("abc"), "labels": [["x"], ["y"], []], "company": list("AAB")}).write_parquet(
        tmp_path / "train.parquet"
    )
    assert detect_schema(open_source(tmp_path), DataConfig()).said == (
        "Found 3 rows, text in 'text', 2 labels in 'labels' (lists), groups in 'company': multilabel."
    )


def test_whole_numbers_are_ordered_by_value():
    assert label_order(["10", "9"]) == ["9", "10"]
    assert label_order(["10", "9", "a"]) == ["10", "9", "a"]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        (
            "unfair_tos",
            "auto",
            "Found 5,532 + 2,275 rows, text in 'text', 8 labels in 'labels' (lists), groups in 'document'",
        ),
        ("unfair_tos", "binary", "binary (any label or none)"),
        ("banking77", "auto", "Found 10,003 rows, text in 'text', 77 labels in 'category' (names): multiclass."),
    ],
)
def test_real_tables_are_understood(name, task, said):
    root = Path(os.environ.get("SMALLPRINT_DATA", "../shared"))
    if not (root / name).is_dir():
        pytest.skip(f"no {root / name}; SMALLPRINT_DATA names the data folder")
    assert said in detect_schema(open_source(root / name), DataConfig(task=task)).said


def test_numbers_that_are_names_and_ids_mean_the_same_in_each_split(tmp_path):
    (tmp_path / "labels.txt").write_text("1\n2\n3\n4\n5\n")
    for split, labels in {"train": [0, 1, 2, 3, 4], "test": [1, 4]}.items():
        rows = "".join(f"{split} {i},{label}\n" for i, label in enumerate(labels))
        (tmp_path / f"{split}.csv").write_text(f"text,label\n{rows}")
    source = open_source(tmp_path)
    schema = detect_schema(source, DataConfig())
    assert schema.ids == ("1", "2", "3", "4", "5")
    assert to_examples(source.read("test"), schema, "test", source).labels == [["2"], ["5"]]
