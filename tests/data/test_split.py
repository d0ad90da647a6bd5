import itertools

import polars as pl
import pytest

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.data import read
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import check_test_labels, split_source


def table(n=200, start=0, **more):
    labels = [["a"] if i % 5 == 0 else ["a", "b"] if i % 7 == 0 else [] for i in range(n)]
    return pl.DataFrame({"text": [f"text {i + start}" for i in range(n)], "labels": labels} | more)


def split(data, seed=1, **settings):
    source, config = open_source(data), DataConfig(**settings)
    return split_source(source, detect_schema(source, config), config, seed)


def check(data, **settings):
    source = open_source(data)
    check_test_labels(source, detect_schema(source, DataConfig(**settings)))


def texts_of(splits):
    return [set(part.texts) for part in (splits.train, splits.validation, splits.open_test())]


def test_an_undivided_table_is_carved_in_three():
    splits = split(table())
    parts = texts_of(splits)
    assert [len(part) for part in parts] == [140, 30, 30]
    assert len(set.union(*parts)) == 200
    assert splits.open_test().split == "test"
    assert "Validation (15% of rows) and test (15% of rows) carved out of train" in splits.made


def test_rows_keep_their_order_and_number():
    train = split(table()).train
    assert train.frame["row"].is_sorted()
    assert train.texts[5] == f"text {train.frame['row'][5]}"


def test_the_seed_decides_the_split():
    first, again, other = split(table()), split(table()), split(table(), seed=2)
    assert texts_of(first) == texts_of(again)
    assert texts_of(first) != texts_of(other)


def test_ready_splits_are_used_as_they_are():
    splits = split({"train": table(20), "validation": table(5, 100), "test": table(6, 200)})
    assert [len(part) for part in (splits.train, splits.validation, splits.open_test())] == [20, 5, 6]
    assert splits.made == "Train, validation and test are ready (by files)."


@pytest.mark.parametrize(("ready", "sizes"), [("test", [85, 15, 40]), ("validation", [85, 40, 15])])
def test_what_is_missing_is_carved_from_train(ready, sizes):
    splits = split({"train": table(100), ready: table(40, 1000)})
    assert [len(part) for part in texts_of(splits)] == sizes
    assert f"Train and {ready} are ready (by files)." in splits.made


def test_a_split_column_is_used():
    splits = split(table(20, split=["train"] * 12 + ["val"] * 4 + ["test"] * 4))
    assert [len(part) for part in texts_of(splits)] == [12, 4, 4]
    assert splits.open_test().frame["row"].to_list() == [16, 17, 18, 19]
    assert "column 'split'" in splits.made


def test_groups_stay_whole():
    splits = split(table(document=[f"d{i // 10}" for i in range(200)]))
    groups = [set(part.groups) for part in (splits.train, splits.validation, splits.open_test())]
    assert sum(len(part) for part in groups) == len(set.union(*groups)) == 20
    assert all(groups)
    assert "groups of 'document' whole" in splits.made


def test_rows_without_a_group_are_groups_of_their_own():
    splits = split(table(document=["d"] * 50 + [None] * 150))
    where = [part for part in (splits.train, splits.validation, splits.open_test()) if "d" in part.groups]
    assert len(where) == 1
    assert 20 <= len(splits.validation) <= 40


def test_equal_texts_stay_together():
    doubled = pl.concat([table(), table()])
    parts = texts_of(split(doubled))
    assert sum(len(part) for part in parts) == 200


def test_texts_that_differ_in_case_or_punctuation_stay_together():
    parts = texts_of(split(pl.concat([table(), table().with_columns(pl.col("text").str.to_uppercase() + ".")])))
    forms = [{text.rstrip(".").lower() for text in part} for part in parts]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(forms, 2))


def test_a_test_file_is_opened_by_open_test_and_not_before(tmp_path, monkeypatch):
    opened = []
    original = read.read_table
    monkeypatch.setattr(
        read, "read_table", lambda path, columns, **more: opened.append(path.stem) or original(path, columns, **more)
    )
    table(50).write_parquet(tmp_path / "train.parquet")
    table(10, 100).write_parquet(tmp_path / "test.parquet")
    splits = split(tmp_path)
    assert set(opened) == {"train"}
    assert len(splits.open_test()) == 10
    assert "test" in opened


@pytest.mark.parametrize("n", [2, 6])
def test_too_few_rows_are_an_error(n):
    with pytest.raises(DataError, match=rf"{n} train rows are too few(.|\n)*at least 7 rows"):
        split(table(n, labels=[["a"], []] * (n // 2)))


def test_too_few_groups_are_an_error():
    with pytest.raises(DataError, match="2 groups in 'document' are too few"):
        split(table(document=["x", "y"] * 100))
    with pytest.raises(DataError, match="2 different texts are too few"):
        split(table(text=["x", "y"] * 100))


def test_labels_too_rare_to_leave_anything_are_an_error():
    with pytest.raises(DataError, match="nothing is left for validation and test"):
        split(pl.DataFrame({"text": [f"t {i}" for i in range(9)], "label": list("abcdefghi")}))


def test_a_label_of_one_example_is_in_train():
    labels = ["rare"] + ["a", "b"] * 50
    for seed in range(5):
        splits = split(pl.DataFrame({"text": [f"t {i}" for i in range(101)], "label": labels}), seed=seed)
        assert ["rare"] in splits.train.labels


@pytest.mark.parametrize("ids", [False, True])
def test_validation_with_a_label_that_train_lacks_is_an_error(tmp_path, ids):
    labels = [[0], [1], []] if ids else [["a"], ["b"], []]
    pl.DataFrame({"text": list("xyz"), "labels": labels}).write_parquet(tmp_path / "train.parquet")
    pl.DataFrame({"text": ["v"], "labels": [[2] if ids else ["c"]]}).write_parquet(tmp_path / "validation.parquet")
    if ids:
        (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    with pytest.raises(DataError, match=r"validation split has labels .*'c' \(1 rows\)"):
        split(tmp_path)


@pytest.mark.parametrize("ids", [False, True])
def test_test_with_a_label_that_train_lacks_is_found_without_its_texts(tmp_path, ids):
    labels = [[0], [1], []] if ids else [["a"], ["b"], []]
    pl.DataFrame({"text": list("xyz"), "labels": labels}).write_parquet(tmp_path / "train.parquet")
    pl.DataFrame({"no_text": ["v"], "labels": [[2] if ids else ["c"]]}).write_parquet(tmp_path / "test.parquet")
    if ids:
        (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    with pytest.raises(DataError, match=r"test split has labels .*'c' \(1 rows\)"):
        check(tmp_path)


def test_only_the_label_columns_of_test_are_read(tmp_path, monkeypatch):
    asked = []
    original = read.read_table
    monkeypatch.setattr(
        read,
        "read_table",
        lambda path, columns, **more: asked.append((path.stem, columns)) or original(path, columns, **more),
    )
    for name in ("train", "test"):
        table(30).write_parquet(tmp_path / f"{name}.parquet")
    check(tmp_path)
    assert [columns for stem, columns in asked if stem == "test"] == [["labels"]]


def test_test_labels_of_a_split_column_are_checked_and_placed():
    data = pl.DataFrame(
        {"text": list("abcd"), "label": ["x", "y", "x", "z"], "split": ["train", "train", "test", "test"]}
    )
    with pytest.raises(DataError, match=r"'z' \(1 rows\); first at data, row 4"):
        check(data)


def test_test_rows_that_do_not_fit_the_task_are_found():
    train = pl.DataFrame({"text": list("ab"), "label": ["x", "y"]})
    with pytest.raises(DataError, match="test split has 1 row without exactly one label"):
        check({"train": train, "test": train.with_columns(label=pl.Series(["x", None]))})


@pytest.mark.parametrize("data", [table(), {"train": table()}], ids=["undivided", "train only"])
def test_without_a_ready_test_split_there_is_nothing_to_check(data):
    check(data)


def test_good_test_labels_pass():
    check({"train": table(), "test": table()})
    check({"train": table(), "test": table(2, labels=[["new"], []])}, task="binary")


def test_blank_groups_of_a_csv_are_spread_as_those_of_a_frame(tmp_path):
    frame = table(document=["d"] * 50 + [None] * 150, labels=["a", "b"] * 100)
    frame.write_csv(tmp_path / "t.csv")
    assert texts_of(split(tmp_path / "t.csv")) == texts_of(split(frame))


def test_test_rows_that_will_be_left_out_pass():
    train = pl.DataFrame({"text": list("abc"), "label": ["x", "y", "z"]})
    data = {"train": train, "test": train.with_columns(label=pl.Series(["x", None, "z"]))}
    check(data, empty_label="drop")
    check(data, empty_text="drop")  # it may have no text: nobody looked
    with pytest.raises(DataError, match=r"'new' \(1 rows\); first at test, row 3"):
        check(data | {"test": data["test"].with_columns(label=pl.Series(["x", None, "new"]))}, empty_label="drop")
    with pytest.raises(DataError, match="test split has 1 row without exactly one label"):
        split(data | {"validation": train}, empty_text="drop").open_test()
