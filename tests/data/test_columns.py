import polars as pl
import pytest

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.data.columns import find_columns, find_text

LONG = ["a sentence that is long enough to be text", "and another one that is just as long as it"]


def find(frame, **settings):
    return find_columns(pl.DataFrame(frame), DataConfig(**settings), "data")


@pytest.mark.parametrize("text", ["text", "Clause", "question"])
@pytest.mark.parametrize("label", ["labels", "Label", "category", "tags"])
def test_known_names_are_found(text, label):
    assert find({text: ["a", "b"], label: ["x", "y"]}) == (text, (label,), None)


def test_groups_are_found_by_name():
    assert find({"text": LONG, "label": ["x", "y"], "company": ["A", "B"]})[2] == "company"


def test_a_group_name_that_holds_the_text_is_the_text():
    assert find({"document": LONG, "label": ["x", "y"]}) == ("document", ("label",), None)


def test_the_only_long_column_is_the_text():
    assert find({"id": ["1", "2"], "what_they_wrote": LONG, "label": ["x", "y"]})[0] == "what_they_wrote"


def test_flag_columns_are_the_labels_where_no_name_fits():
    table = {"text": LONG, "n": [3, 4], "late": [0, 1], "rude": ["1", "0"]}
    assert find(table)[1] == ("late", "rude")
    assert find({"text": LONG, "is_spam": [0, 1]})[1] == ("is_spam",)


def test_settings_come_first():
    table = {
        "text": LONG,
        "note": LONG,
        "label": ["x", "y"],
        "a": [0, 1],
        "b": [1, 0],
        "document": ["p", "q"],
        "team": [1, 2],
    }
    assert find(table, text="note", labels="a, b", group="team") == ("note", ("a", "b"), "team")


def test_a_column_with_a_comma_in_its_name_is_one_column():
    assert find({"text": LONG, "a,b": ["x", "y"]}, labels="a,b")[1] == ("a,b",)


@pytest.mark.parametrize("setting", ["text", "labels", "group"])
def test_a_missing_column_names_those_found_and_the_nearest(setting):
    with pytest.raises(DataError, match=r"no column 'labelz'.*it has 'text', 'label'(.|\n)*Did you mean 'label'"):
        find({"text": LONG, "label": ["x", "y"]}, **{setting: "labelz"})


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"a": LONG, "b": LONG, "label": ["x", "y"]}, "several columns could be the text: 'a', 'b'"),
        ({"n": [1, 2], "label": ["x", "y"]}, "no column looks like text"),
        ({"text": LONG, "n": [3, 4]}, "no column looks like labels"),
    ],
)
def test_what_cannot_be_told_is_asked_for(table, what):
    with pytest.raises(DataError, match=what):
        find(table)


def test_the_likeliest_label_column_is_named():
    table = {"text": [f"a long text of number {n}" for n in range(6)], "types": list("xyxyxy"), "n": list(range(6))}
    with pytest.raises(DataError, match="Perhaps --labels types"):
        find(table)
    with pytest.raises(DataError, match="Name it with --labels COLUMN"):
        find({**table, "kinds": list("uvuvuv")})


def test_a_text_column_of_numbers_is_an_error():
    with pytest.raises(DataError, match="text column 'n' holds Int64"):
        find({"n": [1, 2], "label": ["x", "y"]}, text="n")


def test_one_column_cannot_be_two_things():
    with pytest.raises(DataError, match="both a label column and another"):
        find({"text": LONG, "label": ["x", "y"]}, text="label", labels="label")


def test_the_split_column_is_no_text_and_no_label():
    table = {"words": ["a", "b"], "split": ["train", "test"], "spam": [1, 0]}
    assert find(table) == ("words", ("spam",), None)


def test_text_is_found_without_labels():
    assert find_text(pl.DataFrame({"id": ["1"], "clause": ["x"]}), None, "data") == "clause"
    assert find_text(pl.DataFrame({"anything": ["x"]}), None, "data") == "anything"


def test_a_column_that_is_named_is_the_text_though_it_holds_numbers():
    config = DataConfig(text="id", labels="label")
    rows = {"id": [str(n) for n in range(10)], "clause": ["We may change these terms."] * 10, "label": ["a", "b"] * 5}
    assert find_columns(pl.DataFrame(rows), config, "t.csv")[0] == "id"
    assert find_columns(pl.DataFrame(rows), DataConfig(labels="label"), "t.csv")[0] == "clause"


def test_a_text_column_that_is_named_for_the_labels_is_told_as_that():
    table = {"clause": [f"a long text of some words, {i}" for i in range(9)], "kind": ["a", "b", "c"] * 3}
    frame = pl.DataFrame(table).with_columns(other=pl.col("kind") + "x")
    with pytest.raises(
        DataError, match=r"label column 'clause' \(data.labels\) holds long texts(.|\n)*'kind', 'other'"
    ):
        find_columns(frame, DataConfig(labels="clause"), "t.csv")


def test_lists_are_no_groups():
    frame = pl.DataFrame({"text": ["a long text"] * 3, "label": ["x", "y", "x"], "document": [["d"]] * 3})
    assert find_columns(frame, DataConfig(), "data")[2] is None
    with pytest.raises(DataError, match=r"group column 'document' holds List\(String\)"):
        find_columns(frame, DataConfig(group="document"), "data")


def test_advice_where_no_column_looks_like_labels():
    texts = [f"we may close the account number {i}" for i in range(8)]
    dates = [f"2026-01-0{1 + i % 2}" for i in range(8)]
    for more, told in (
        ({"signed": dates}, "Name it with --labels COLUMN"),
        ({"signed": dates, "types": [["a"], ["b"]] * 4}, "Perhaps --labels types;"),
        ({"signed": dates, "kind": ["x", "y"] * 4}, "Perhaps --labels kind;"),
    ):
        with pytest.raises(DataError, match=told):
            find_columns(pl.DataFrame({"text": texts, **more}), DataConfig(), "t.csv")
    with pytest.raises(DataError, match=r"There is one column: if '\|' parts its fields"):
        find_columns(pl.DataFrame({"clause|types": texts}), DataConfig(), "t.csv")
