import polars as pl
import pytest

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.data.read import open_source
from smallprint.data.split_column import read_parts

TABLE = pl.DataFrame({"text": list("abcd"), "split": ["train", " Dev", "test", "training"]})


def parts(table, splits=("train", "validation"), **settings):
    return read_parts(open_source(table), DataConfig(**settings), splits)


def test_a_split_column_divides_a_table_and_rows_keep_their_numbers():
    made = parts(TABLE)
    assert {split: frame["text"].to_list() for split, frame in made.frames.items()} == {
        "train": ["a", "d"],
        "validation": ["b"],
    }
    assert made.rows["train"].to_list() == [0, 3]
    assert made.present == ("train", "validation", "test")
    assert made.split_column == "split"
    assert made.place(open_source(TABLE), "train")(1) == "data, row 4"


def test_without_a_split_column_all_is_train():
    made = parts(TABLE.drop("split"))
    assert made.frames["train"].height == 4
    assert made.present == ()
    assert made.split_column is None


def test_the_split_column_can_be_switched_off():
    assert parts(TABLE, split=None).frames["train"].height == 4


def test_a_split_column_that_was_set_must_be_there():
    with pytest.raises(DataError, match=r"no column 'splt' \(data.split\)(.|\n)*Did you mean 'split'"):
        parts(TABLE, split="splt")


@pytest.mark.parametrize("value", ["fold 1", None])
def test_a_value_that_names_no_split_is_named(value):
    table = pl.DataFrame({"text": ["a", "b"], "split": ["train", value]})
    with pytest.raises(DataError, match=rf"has the value {value!r}, data, row 2 \(1 rows"):
        parts(table)


def test_a_table_without_train_rows_is_an_error():
    with pytest.raises(DataError, match="names 'test' and no train rows"):
        parts(pl.DataFrame({"text": ["a"], "split": ["test"]}))


def test_only_the_splits_asked_for_are_read():
    def explode():
        raise AssertionError("test was read")

    lazy = pl.LazyFrame({"text": ["a"]}).map_batches(lambda _: explode())
    made = parts({"train": TABLE, "test": lazy})
    assert list(made.frames) == ["train"]
    assert made.present == ("train", "test")
