import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallprint.core.errors import DataError
from smallprint.core.naming import quoted
from smallprint.data.formats import place_in_file, read_table
from smallprint.data.json_frames import frame_from_objects, join_json, objects_as_strings

FRAME = pl.DataFrame({"text": ["one", 'two, "2"', "drei ß"], "label": ["007", "x", "y"]})
WRITERS = {
    "t.csv": FRAME.write_csv,
    "t.tsv": lambda path: FRAME.write_csv(path, separator="\t"),
    "t.jsonl": FRAME.write_ndjson,
    "t.ndjson": FRAME.write_ndjson,
    "t.parquet": FRAME.write_parquet,
    "t.xlsx": FRAME.write_excel,
    "T.CSV": FRAME.write_csv,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    assert read_table(path).equals(FRAME)
    assert read_table(path, ["label"]).columns == ["label"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_column_is_named_with_those_found(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    with pytest.raises(DataError, match="no column 'labels'; it has 'text', 'label'"):
        read_table(path, ["text", "labels"])


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_file_is_an_error(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"is empty \(0 bytes\)"):
        read_table(path)


@pytest.mark.parametrize(("name", "content"), [("t.csv", "a,b\n"), ("t.tsv", "a\tb\n"), ("t.jsonl", "\n\n")])
def test_a_file_without_rows_is_an_error(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match="has no rows"):
        read_table(path)


def test_parquet_and_excel_without_rows_are_errors(tmp_path):
    FRAME.clear().write_parquet(tmp_path / "t.parquet")
    FRAME.clear().write_excel(tmp_path / "t.xlsx")
    for name in ("t.parquet", "t.xlsx"):
        with pytest.raises(DataError, match="has no rows"):
            read_table(tmp_path / name)


def test_a_missing_path_names_near_ones(tmp_path):
    (tmp_path / "clauses.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"does not exist.*\n.*\n.*Did you mean clauses\.csv"):
        read_table(tmp_path / "clause.csv")
    with pytest.raises(DataError, match=r"folder .* does not exist either"):
        read_table(tmp_path / "no" / "clause.csv")


def test_an_unknown_suffix_lists_the_known(tmp_path):
    path = tmp_path / "t.doc"
    path.write_text("x")
    with pytest.raises(DataError, match=r"suffix '.doc'.\nExpected: one of .csv, .tsv, .jsonl"):
        read_table(path)


@pytest.mark.parametrize("cut", [8, 100, -6])
def test_a_truncated_parquet_file_is_an_error(tmp_path, cut):
    FRAME.write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"t\.parquet cannot be read"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("name", ["t.parquet", "t.xlsx"])
def test_a_file_that_is_not_what_its_suffix_says_is_an_error(tmp_path, name):
    (tmp_path / name).write_text("text,label\n" * 10)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / name)


def test_excel_without_its_reader_is_an_error_too(tmp_path, monkeypatch):
    FRAME.write_excel(tmp_path / "t.xlsx")
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_broken_utf8_names_the_line(tmp_path, name):
    good = b"a,b\nx,y\n" if name == "t.csv" else b'{"a": 1}\n{"a": 2}\n'
    (tmp_path / name).write_bytes(good + b'{"a": "\xe9"}\n')
    with pytest.raises(DataError, match="0xe9 that is not UTF-8, line 3"):
        read_table(tmp_path / name)


def test_a_csv_keeps_leading_zeros_and_empty_fields(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n007,\n1.0,NA\n")
    assert read_table(tmp_path / "t.csv").rows() == [("007", ""), ("1.0", "NA")]


def test_excel_numbers_are_strings_and_trailing_blank_rows_go(tmp_path):
    pl.DataFrame({"text": ["a", None, "b", None], "n": [7, None, 8, None]}).write_excel(tmp_path / "t.xlsx")
    assert read_table(tmp_path / "t.xlsx").rows() == [("a", "7"), (None, None), ("b", "8")]


def test_a_path_with_glob_signs_is_one_file(tmp_path):
    FRAME.write_parquet(tmp_path / "t[1]*.parquet")
    assert read_table(tmp_path / "t[1]*.parquet").height == 3


def test_places_count_lines_as_an_editor_does(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n"x\ny",1\n\nz,2\n')
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    assert [place_in_file(tmp_path / "t.csv", row) for row in (0, 1)] == ["t.csv, line 2", "t.csv, line 5"]
    assert [place_in_file(tmp_path / "t.jsonl", row) for row in (0, 1)] == ["t.jsonl, line 1", "t.jsonl, line 3"]
    assert place_in_file(tmp_path / "t.parquet", 4) == "t.parquet, row 5"
    FRAME.write_excel(tmp_path / "t.xlsx")
    assert place_in_file(tmp_path / "t.xlsx", 4) == "t.xlsx, row 6 of the sheet"
    FRAME.write_excel(tmp_path / "low.xlsx", position=(3, 0))
    assert place_in_file(tmp_path / "low.xlsx", 1) == "low.xlsx, row 6 of the sheet"


def test_objects_of_one_plain_type_become_typed_columns():
    frame = frame_from_objects([{"a": 1, "b": ["x"], "c": True}, {"a": None, "b": [], "d": 1.5}])
    assert frame.schema == {"a": pl.Int64, "b": pl.List(pl.String), "c": pl.Boolean, "d": pl.Float64}


def test_mixed_and_nested_objects_are_kept_and_written_as_json_strings():
    frame = frame_from_objects([{"a": 1, "b": {"x": [1]}, "c": 2**70}, {"a": "é", "b": None, "c": 1}])
    assert frame.to_dicts()[0] == {"a": 1, "b": {"x": [1]}, "c": 2**70}
    assert objects_as_strings(frame).rows() == [("1", '{"x": [1]}', str(2**70)), ("é", None, "1")]


def test_long_lists_of_names_are_cut():
    assert quoted(["a", "b", "c"], most=2) == "'a', 'b' and 1 more"


def test_a_file_without_permission_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("a\n1\n")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(DataError, match=r"cannot be read .Permission denied"):
        read_table(tmp_path / "t.csv")


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.just(2**70), st.floats(0, 1), st.sampled_from(["a", "é"])
)
VALUES = st.one_of(CELLS, st.lists(CELLS, max_size=2), st.lists(st.sampled_from(["a", "b"]), max_size=2))


@given(
    kind=st.sampled_from([CELLS, VALUES, st.lists(st.sampled_from("ab"), max_size=2), st.integers(0, 3)]),
    data=st.data(),
    part=st.integers(1, 4),
)
def test_json_in_parts_is_typed_as_the_whole(kind, data, part):
    values = data.draw(st.lists(st.fixed_dictionaries({}, optional={"x": kind, "y": st.integers(0, 2)}), min_size=1))
    parts = [objects_as_strings(frame_from_objects(values[i : i + part])) for i in range(0, len(values), part)]
    whole = objects_as_strings(frame_from_objects(values))
    joined = join_json(parts)
    assert joined.schema == whole.schema
    assert joined.equals(whole)
