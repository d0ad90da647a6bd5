from pathlib import Path

import pytest

from smallprint.core.errors import DataError
from smallprint.data.lines import csv_rows, decode_lines, json_objects


def rows(text, separator=","):
    return list(csv_rows(text.splitlines(keepends=True), "t.csv", separator))


def test_rows_carry_the_number_of_their_first_line():
    assert rows('a,b\n"x\ny",1\n\nz,2\n') == [(1, ["a", "b"]), (2, ["x\ny", "1"]), (5, ["z", "2"])]


def test_values_are_kept_as_they_stand():
    assert rows('a,b\n" 007 ","say ""no"""\n')[1][1] == [" 007 ", 'say "no"']


def test_a_semicolon_header_is_read_with_semicolons():
    assert rows("text;label\nyes, sir;a\n")[1][1] == ["yes, sir", "a"]


@pytest.mark.parametrize(("line", "count"), [("1,2,3", 3), ("1", 1)])
def test_a_ragged_row_is_named_with_line_and_counts(line, count):
    with pytest.raises(DataError, match=rf"t\.csv, line 3: {count} fields.\nExpected: 2 fields"):
        rows(f"a,b\n1,2\n{line}\n")


def test_an_open_quote_is_named_with_the_line_where_it_starts():
    with pytest.raises(DataError, match=r"t\.csv, line 3: the row that starts here"):
        rows('a,b\n1,2\n1,"open\n3,4\n')


def test_a_column_name_that_stands_twice_is_an_error():
    with pytest.raises(DataError, match="'a' more than once"):
        rows("a,b,a\n1,2,3\n")


def test_nothing_at_all_is_an_error():
    with pytest.raises(DataError, match=r"t\.csv has no rows"):
        rows("\n\n")


def test_all_rows_with_other_fields_are_told_at_once():
    wrong = [f"a,b,{i}\n" for i in range(10)]
    with pytest.raises(DataError, match=r"t\.csv, line 3: 3 fields; lines 5, 6, 7, 8, 9, 10, 11, 12 and 1 more too\."):
        list(csv_rows(["text,label\n", "a,b\n", wrong[0], "a,b\n", *wrong[1:], "a,b\n"], "t.csv", ","))
    with pytest.raises(DataError, match=r"line 2: 1 fields; line 4 too\."):
        list(csv_rows(["text,label\n", "a\n", "b,c\n", "d\n"], "t.csv", ","))


def test_long_fields_are_read():
    assert len(rows("a,b\n" + "x" * 300_000 + ",1\n")[1][1][0]) == 300_000


def test_decoding_drops_the_byte_order_mark_and_names_the_broken_line():
    assert list(decode_lines([b"\xef\xbb\xbfa\n", b"b\n"], "t")) == ["a\n", "b\n"]
    with pytest.raises(DataError, match="byte 0xff that is not UTF-8, line 2"):
        list(decode_lines([b"a\n", b"b\xff\n"], "t"))


def test_another_encoding_may_be_named():
    lines = ["a\n", "caf\u00e9 \u20ac\n"]
    raw = [lines[0].encode(), lines[1].encode("windows-1252")]
    with pytest.raises(DataError, match=r"--encoding windows-1252"):
        list(decode_lines(raw, "t"))
    assert list(decode_lines(raw, "t", "windows-1252")) == lines
    assert list(decode_lines([line.encode() for line in lines], "t", "windows-1252")) == lines, "UTF-8 stays that"
    with pytest.raises(DataError, match="0x81 that is not UTF-8 nor windows-1252, line 1"):
        list(decode_lines([b"\x81\n"], "t", "windows-1252"))


def test_utf_16_is_named():
    with pytest.raises(DataError, match="is UTF-16"):
        list(decode_lines(["a\n".encode("utf-16")], "t"))


def test_objects_carry_line_numbers():
    assert list(json_objects(['{"a": 1}\n', "\n", '{"a": "é"}\n'], "t")) == [(1, {"a": 1}), (3, {"a": "é"})]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[1, 2]", "is a JSON list"),
        ("3", "is a JSON number"),
        ('"a"', "is a JSON string"),
        ("null", "is a JSON null"),
        ('{"a": ', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": "\\ud800"}', "surrogate"),
    ],
)
def test_a_line_that_is_no_object_is_named(line, what):
    with pytest.raises(DataError, match=f"t.jsonl, line 2: the line .*{what}"):
        list(json_objects(['{"a": 1}', line], "t.jsonl"))


def test_a_whole_surrogate_pair_is_fine():
    assert list(json_objects(['{"a": "\\ud83d\\ude00"}'], "t")) == [(1, {"a": "😀"})]


def test_a_file_without_lines_is_refused_before_it_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallprint.data.lines.MAX_LINE_BYTES", 1000)
    path = tmp_path / "one.jsonl"
    path.write_bytes(b'{"text": "' + b"x" * 5000 + b'"}')
    with path.open("rb") as file, pytest.raises(DataError, match=r"line 1: the line is longer than"):
        list(decode_lines(file, "one.jsonl"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"PK\x03\x04\x14\x00\x06\x00\xff\xfe",
            "an Excel workbook or a zip archive(.|\n)*Name an Excel workbook .xlsx",
        ),
        (b"\x89\x00\xff\n", "is no text: it holds bytes of 0"),
        (b"text,label\ra,b\rc,d\r", "lines end in CR alone(.|\n)*LF or CRLF"),
    ],
)
def test_what_is_no_table_as_text_is_told_apart(tmp_path, content, told):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(DataError, match=told):
        list(csv_rows(decode_lines(file, str(path)), str(path), ","))
