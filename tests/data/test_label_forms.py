import polars as pl
import pytest

from smallprint.core.errors import DataError
from smallprint.data.label_forms import detect_form, is_flag_column, known_ids, read_label_lists


def lists(values, ids=None, delimiter="|", dtype=None):
    frame = pl.DataFrame({"l": pl.Series(values, dtype=dtype)})
    form, delimiter = detect_form(frame, ["l"], delimiter, ids)

    def read(ids):
        return read_label_lists(frame, ["l"], form, delimiter, ids, lambda row: f"row {row + 1}")

    return form, read(known_ids(read(None), ids))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([["a", " b "], [], None], [["a", "b"], [], []]),
        ([[0, 3], []], [["0", "3"], []]),
        (["[0, 3]", "[]", "[2]"], [["0", "3"], [], ["2"]]),
        (["['a', 'b']", '["c"]', ""], [["a", "b"], ["c"], []]),
        (["['a' 'b']", "[]"], [["a", "b"], []]),
        (["[0 3]", "[1.]"], [["0", "3"], ["1"]]),
        (["[a, b c]", "[]"], [["a", "b c"], []]),
        ([["a", "a", ""]], [["a"]]),
    ],
)
def test_lists_in_every_spelling(values, expected):
    assert lists(values) == ("list", expected)


@pytest.mark.parametrize("bad", ["['a', b]", "[[1], [2]]", "[{1}]", "['a]"])
def test_a_list_that_cannot_be_read_is_named(bad):
    with pytest.raises(DataError, match=r"list that cannot be read, row 2: .* \(2 such rows\)"):
        lists(["['a']", bad, bad])


def test_delimited_strings():
    assert lists(["a|b", "a", "", None]) == ("delimited", [["a", "b"], ["a"], [], []])
    assert lists(["a, b", "a"], delimiter=",") == ("delimited", [["a", "b"], ["a"]])


def test_semicolons_join_only_where_their_parts_recur():
    assert lists(["a;b", "b;c", "a", "c"]) == ("delimited", [["a", "b"], ["b", "c"], ["a"], ["c"]])
    assert lists(["one; long title", "another; rare name", "third"])[0] == "name"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["007", " x "], ["007", "x"]),
        ([7, 1], ["7", "1"]),
        ([1.0, 2.0], ["1", "2"]),
        ([True, False], ["true", "false"]),
    ],
)
def test_one_name_a_row(values, expected):
    assert lists(values) == ("name", [[name] for name in expected])


def test_ids_become_names():
    assert lists([1, 0, None], ids=["no", "yes"]) == ("ids", [["yes"], ["no"], []])
    assert lists(["1", "0"], ids=["no", "yes"]) == ("ids", [["yes"], ["no"]])
    assert lists([[1, 0]], ids=["no", "yes"]) == ("list", [["yes", "no"]])


def test_names_stay_names_where_ids_are_known():
    assert lists(["yes", "no"], ids=["no", "yes"]) == ("name", [["yes"], ["no"]])
    assert lists(["1", "0"], ids=["0", "1"]) == ("name", [["1"], ["0"]])


STARS = ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("train", "one", "form"),
    [
        ([0, 1, 2, 3, 4], "2", "ids"),
        ([[0, 1], [4]], "2", "list"),
        (["0|1", "4"], "2", "delimited"),
        ([5, 1, 2], "1", "name"),
    ],
)
def test_what_a_number_means_is_decided_once(train, one, form):
    ids = known_ids(lists(train)[1], STARS)
    frame = pl.DataFrame({"l": [[1]] if form == "list" else ["1"]})
    assert read_label_lists(frame, ["l"], form, "|", ids, str) == [[one]]


def test_where_no_name_is_a_number_ids_are_read_though_train_has_names():
    ids = known_ids([["yes"], ["no"]], ["no", "yes"])
    assert read_label_lists(pl.DataFrame({"l": ["1", "no"]}), ["l"], "name", "|", ids, str) == [["yes"], ["no"]]
    assert known_ids([["yes"], ["0"]], ["no", "yes"]) is None, "one column has one or the other"


@pytest.mark.parametrize("values", [[0, 5], ["0", "-1"], [[0], [2]]])
def test_an_id_out_of_range_is_named(values):
    with pytest.raises(DataError, match=r"label id (5|-1|2), row 2"):
        lists(values, ids=["no", "yes"])


def test_flags_become_names():
    frame = pl.DataFrame({"late": ["1", "0", ""], " rude ": [True, False, None]})
    assert detect_form(frame, frame.columns, "|", None)[0] == "onehot"
    read = read_label_lists(frame, frame.columns, "onehot", "|", None, str)
    assert read == [["late", "rude"], [], []]


def test_a_flag_that_is_none_is_named():
    frame = pl.DataFrame({"late": [1, 2], "rude": [0, 0]})
    with pytest.raises(DataError, match="'late' has the value '2', row 1"):
        read_label_lists(frame, frame.columns, "onehot", "|", None, lambda row: f"row {row}")


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ([0, 1], True),
        (["0", "1", ""], True),
        ([True, None], True),
        ([1.0, 0.0], True),
        (["True", "FALSE"], True),
        ([0, 2], False),
        (["", ""], False),
        (["a long sentence"], False),
        ([[0], [1]], False),
        ([{"a": 1}], False),
    ],
)
def test_flag_columns(values, flag):
    assert is_flag_column(pl.Series(values)) is flag
