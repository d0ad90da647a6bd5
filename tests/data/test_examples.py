import polars as pl
import pytest

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.data import examples as module
from smallprint.data.examples import Examples, fingerprint, to_examples
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split_column import ROW

TABLE = {"text": ["one", "two", "three"], "labels": [["b", "a"], [], ["b"]], "company": ["A", None, "B"]}


def made(table, **settings):
    frame = pl.DataFrame(table)
    source = open_source(frame)
    return to_examples(frame, detect_schema(source, DataConfig(**settings)), "train", source)


def test_a_table_becomes_row_text_labels_group():
    examples = made(TABLE)
    assert examples.frame.schema == module.FIELDS
    assert examples.frame.to_dicts()[0] == {"row": 0, "text": "one", "labels": ["a", "b"], "group": "A"}
    assert examples.texts == ["one", "two", "three"]
    assert examples.groups == ["A", None, "B"]
    assert examples.labels == [["a", "b"], [], ["b"]]
    assert len(examples) == 3


def test_a_null_list_is_no_label():
    assert made(TABLE | {"labels": [["a"], None, ["b"]]}).labels[1] == []


def test_any_label():
    assert made(TABLE, task="binary").labels == [["any"], ["none"], ["any"]]


def test_row_numbers_of_the_file_are_kept():
    frame = pl.DataFrame(TABLE).with_columns(pl.Series(ROW, [7, 8, 9]))
    source = open_source(pl.DataFrame(TABLE))
    examples = to_examples(frame, detect_schema(source, DataConfig()), "train", source)
    assert examples.frame["row"].to_list() == [7, 8, 9]


def test_blank_texts_are_reported_with_five_places_and_the_count():
    texts = ["fine", *[None, " ", "", "\n\t", "\u00a0", None, ""]]
    table = {"text": texts, "labels": [["a"]] * 7 + [[]]}
    message = r"7 rows without text in 'text': data, row 2, .*, data, row 6 and 2 more(.|\n)*data.empty_text=drop"
    with pytest.raises(DataError, match=message):
        made(table)


def test_blank_texts_can_be_left_out():
    examples = made(TABLE | {"text": ["one", " ", "three"]}, empty_text="drop")
    assert examples.frame["row"].to_list() == [0, 2]
    assert examples.dropped == 1
    with pytest.raises(DataError, match="no row with text"):
        made(TABLE | {"text": [" ", " ", " "]}, empty_text="drop")


def test_missing_labels_of_a_multiclass_task_are_named():
    table = {"text": ["a text"] * 5, "label": ["x", None, "y", " ", "z"]}
    with pytest.raises(DataError, match="2 rows without exactly one label in 'label': data, row 2, data, row 4"):
        made(table)


def test_two_labels_in_a_single_label_split_are_named():
    train = pl.DataFrame({"text": ["a", "b"], "labels": [["x"], ["y"]]})
    other = pl.DataFrame({"text": ["a", "b"], "labels": [["x"], ["x", "y"]]})
    source = open_source({"train": train, "test": other})
    with pytest.raises(DataError, match="test split has 1 row without exactly one label in 'labels': test, row 2"):
        to_examples(other, detect_schema(source, DataConfig()), "test", source)


def test_unknown_labels_are_named_with_counts_and_the_nearest():
    train = pl.DataFrame({"text": ["a", "b"], "labels": [["late"], []]})
    other = pl.DataFrame({"text": ["a", "b"], "labels": [["lates"], ["lates", "zz"]]})
    source = open_source({"train": train, "test": other})
    schema = detect_schema(source, DataConfig(task="multilabel"))
    message = r"test split .* 'lates' \(2 rows\), 'zz' \(1 rows\); first at test, row 1(.|\n)*Did you mean 'late'"
    with pytest.raises(DataError, match=message):
        to_examples(other, schema, "test", source)


def test_a_missing_group_column_is_an_error():
    frame = pl.DataFrame(TABLE)
    source = open_source(frame)
    schema = detect_schema(source, DataConfig())
    with pytest.raises(DataError, match="no column 'company'"):
        to_examples(frame.drop("company"), schema, "validation", source)


def examples_of(texts, labels, groups, rows=None):
    frame = pl.DataFrame(
        {"row": rows or range(len(texts)), "text": texts, "labels": labels, "group": groups}, schema=module.FIELDS
    )
    return Examples("train", frame)


BASE = (["a", "bé"], [["x", "y"], []], ["g", None])


@pytest.mark.parametrize(
    "other",
    [
        (["bé", "a"], [[], ["x", "y"]], [None, "g"]),
        (["a", "be"], [["x", "y"], []], ["g", None]),
        (["a", "bé"], [["x"], []], ["g", None]),
        (["a", "bé"], [["xy"], []], ["g", None]),
        (["a", "bé"], [["x", "y"], []], ["g", ""]),
        (["a", "bé"], [["x", "y"], [""]], ["g", None]),
        (["a"], [["x", "y"]], ["g"]),
    ],
)
def test_the_fingerprint_tells_contents_and_order_apart(other):
    assert fingerprint(examples_of(*BASE)) != fingerprint(examples_of(*other))


def test_the_fingerprint_is_fixed():
    value = fingerprint(examples_of(*BASE))
    assert value == "4542e7b41fdd605c4e44baf580cfde7fc6e53657655de15ef4f7bd53f74a8e3a"
    assert value == fingerprint(examples_of(*BASE[:1], [["y", "x"], []], BASE[2], rows=[5, 6]))
    assert module.HASHED_ROWS == 65_536, "part of what is hashed: another number gives other fingerprints"


@pytest.mark.parametrize("labels", [["a", None, "b", " "], [1, None, 0, None], [1.0, float("nan"), 0.0, None]])
def test_rows_without_a_label_can_be_left_out(labels):
    table = {"text": ["one", "two", "three", "four"], "label": labels}
    with pytest.raises(DataError, match=r"2 rows without exactly one label(.|\n)*data.empty_label=drop"):
        made(table, task="multiclass")
    examples = made(table, task="multiclass", empty_label="drop")
    assert examples.texts == ["one", "three"]
    assert examples.frame["row"].to_list() == [0, 2]
    assert examples.dropped == 2


@pytest.mark.parametrize(
    "labels",
    [
        {"label": [["a"], [], ["b"], None]},
        {"label": ['["a"]', "[]", '["b"]', None]},
        {"a": [1, 0, 0, 0], "b": [0, 0, 1, 0]},
    ],
)
def test_rows_without_a_label_can_be_left_out_of_lists_and_columns_of_0_and_1(labels):
    table = {"text": ["one", "two", "three", "four"], **labels}
    with pytest.raises(DataError, match=r"no label(.|\n)*data.empty_label=drop"):
        made(table, task="multiclass")
    examples = made(table, task="multiclass", empty_label="drop")
    assert (examples.texts, examples.labels, examples.dropped) == (["one", "three"], [["a"], ["b"]], 2)


def test_a_row_of_several_labels_is_not_told_that_empty_ones_can_be_left_out():
    table = {"text": ["one", "two", "three"], "label": [["a"], ["a", "b"], ["b"]]}
    with pytest.raises(DataError, match="several labels") as raised:
        made(table, task="multiclass", empty_label="drop")
    assert "empty_label" not in str(raised.value)


def test_where_a_row_may_have_no_label_none_is_left_out():
    table = {"text": ["one", "two", "three"], "label": ["a|b", None, "b"]}
    assert made(table, empty_label="drop").labels == [["a", "b"], [], ["b"]]


def test_labels_that_stand_as_names_are_those_that_are_read_one_by_one(monkeypatch):
    import polars as pl

    from smallprint.core.config import DataConfig
    from smallprint.data import examples
    from smallprint.data.read import open_source
    from smallprint.data.schema import detect_schema

    for labels in (["a", "b", "c", "a"], ["a", " b", "c ", "a"]):
        frame = pl.DataFrame({"text": ["one", "two", "three", "four"], "label": labels})
        source = open_source(frame)
        schema = detect_schema(source, DataConfig())
        made = examples.to_examples(frame, schema, "train", source).frame
        with monkeypatch.context() as patch:
            patch.setattr(examples, "_stand_as_they_are", lambda *_: False)
            slow = examples.to_examples(frame, schema, "train", source).frame
        assert made.equals(slow)
        assert made.schema == slow.schema


def test_a_blank_group_is_none(tmp_path):
    (tmp_path / "t.csv").write_text("text,label,company\none,a,A\ntwo,b,\nthree,b, \nfour,b,B \n")
    source = open_source(tmp_path / "t.csv")
    examples = to_examples(source.read(None), detect_schema(source, DataConfig()), "train", source)
    assert examples.groups == ["A", None, None, "B "]


def test_lists_in_the_text_column_of_another_split_are_told():
    source = open_source(pl.DataFrame(TABLE))
    schema = detect_schema(source, DataConfig())
    with pytest.raises(DataError, match="the text column 'text' holds List"):
        to_examples(pl.DataFrame(TABLE | {"text": [["one"], ["two"], []]}), schema, "test", source)
