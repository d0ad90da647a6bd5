from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smallprint.core.errors import DataError
from smallprint.data import plain_csv
from smallprint.data.batches import csv_batches
from smallprint.data.formats import read_table
from smallprint.data.lines import csv_rows, decode_lines
from smallprint.data.plain_csv import NotPlainError, plain_pieces


def by_rows(path: Path, separator: str = ",") -> pl.DataFrame | None:
    try:
        with path.open("rb") as file:
            rows = [row for _, row in csv_rows(decode_lines(file, str(path)), str(path), separator)]
            return pl.DataFrame(rows[1:], schema=dict.fromkeys(rows[0], pl.String), orient="row")
    except DataError:
        return None


def read_plain_csv(path: Path, separator: str) -> pl.DataFrame | None:
    try:
        parts = list(plain_pieces(path, separator))
    except NotPlainError:
        return None
    return pl.concat(parts) if parts else pl.DataFrame(schema={"text": pl.String, "label": pl.String})


@pytest.mark.parametrize("chunk", [3, 7, 2**23])
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.text(alphabet='ab",;\n\r é|\t\x00\ufeff', max_size=40))
@example(content='b"a,c\n')
@example(content='"a"b,c\n')
@example(content='a,"b""c"\n"","d\r\ne"\r\n')
@example(content='a,b\n1,"2"\r')
@example(content="\ufeffa,\ufeff\r\n,b\n\n\n")
def test_what_is_read_fast_is_what_row_by_row_gives(
    content: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_csv, "CHUNK", chunk)
    path = tmp_path / "t.csv"
    path.write_bytes(("text,label\n" + content).encode())
    fast = read_plain_csv(path, ",")
    if fast is not None:
        slow = by_rows(path)
        assert slow is not None
        assert fast.equals(slow)


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n",
        "a,b\r\n1,2\r\n3,4",
        'a,b\n"x, ""y""\nz",\n"",é\n',
        "a;b\n1;2\n",
    ],
)
def test_ordinary_files_are_read_fast(content: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    fast, slow = read_plain_csv(path, ","), by_rows(path)
    assert fast is not None
    assert slow is not None
    assert fast.equals(slow)


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1\n",
        b"a,b\n1,2,3\n",
        b'a,b\n1"2,3\n',
        b'a,b\n"1"2,3\n',
        b'a,b\n"1,3\n',
        b"a,b\n\n1,2\n",
        b"a,b\n\n1\n",
        b"a,b\n1\n\n\n2,3\n",
        b"a,b,c,d\n\xef\xbb\xbf1,2,3,4\n\n5,6,7,8\n",
        b"a\n1\n\n2\n",
        b"a\n1\n\r\n2\n",
        b"a,b\n1,\xff\n",
        b"a,a\n1,2\n",
        b"a,b\n1\r,2\n",
        b"\xef\xbb\xbfa,b\n1,2\n",
    ],
)
def test_what_is_not_certain_is_left_to_the_other_reader(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert read_plain_csv(path, ",") is None


@pytest.mark.parametrize("chunk", [5, 11, 2**22])
def test_where_it_stops_being_plain_the_other_reader_goes_on(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_csv, "CHUNK", chunk)
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x\ny"\n\n3,4\n"",\n5,6"7\n')
    assert pl.concat(csv_batches(path, ",")).rows() == [("1", "x\ny"), ("3", "4"), ("", ""), ("5", '6"7')]
    path.write_text("a,b\n1,2\n3,4\n5\n")
    with pytest.raises(DataError, match="line 4: 1 fields"):
        list(csv_batches(path, ","))


@pytest.mark.parametrize("chunk", [7, 2**22])
def test_a_single_column_of_paragraphs_is_read_fast(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_csv, "CHUNK", chunk)
    path = tmp_path / "t.csv"
    path.write_bytes(b'a\n"one\n\ntwo\r\n\r\n"\nx\n""\n"\n"\n')
    fast, slow = read_plain_csv(path, ","), by_rows(path)
    assert fast is not None
    assert slow is not None
    assert fast.equals(slow)


def test_a_quote_inside_a_field_is_seen_in_the_piece_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_csv, "CHUNK", 100)
    path = tmp_path / "t.csv"
    path.write_text('a,b\n5" disk,x\n' + "1,2\n" * 1000)
    looked = []
    monkeypatch.setattr(plain_csv, "_last_end", lambda *arguments: looked.append(arguments))
    assert read_plain_csv(path, ",") is None
    assert not looked


def test_a_field_of_many_lines_is_passed_in_one_step(tmp_path: Path) -> None:
    text = b'a,"' + b"line\n" * 100_000 + b'",b\nx,'
    quotes = np.array([2, len(text) - 7])
    start = time.perf_counter()
    assert plain_csv._last_end(text, quotes) == len(text) - 2
    assert plain_csv._last_end(b"a\n" + text[:-7], quotes[:1] + 2) == 2
    assert time.perf_counter() - start < 0.05


def test_a_file_that_shrinks_between_two_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pieces(*_: object) -> Iterator[pl.DataFrame]:
        yield pl.DataFrame({"a": ["1", "2", "3"]})
        raise NotPlainError

    monkeypatch.setattr("smallprint.data.batches.plain_pieces", pieces)
    (tmp_path / "t.csv").write_text("a\n1\n")
    assert [part.height for part in csv_batches(tmp_path / "t.csv", ",")] == [3]


def test_columns_and_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1,2,3\n4,5,6\n")
    assert read_table(path, ["c", "a"]).rows() == [("3", "1"), ("6", "4")]


@pytest.mark.parametrize(
    "names", [["", "text", "label"], ["text", "", "label"], ["*", "text", "^t.*$"], ["^t.*$", "t", "*"]]
)
def test_no_name_is_taken_for_a_pattern_or_replaced(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",".join(names) + "\n1,2,3\n4,5,6\n")
    for _ in range(2):  # the second time by another reader
        assert read_table(path).to_dict(as_series=False) == dict(
            zip(names, [["1", "4"], ["2", "5"], ["3", "6"]], strict=True)
        )
        assert read_table(path, names[1:]).columns == names[1:]
    path.write_text(",".join(names) + '\n1,2,3\n4,5,6\n"7"x,8,9\n')  # row by row
    with pytest.raises(DataError, match="line 4"):
        read_table(path)
    path.write_bytes(b"\xef\xbb\xbf" + (",".join(names) + "\n1,2,3\n").encode())
    assert read_table(path, names[:2]).columns == names[:2]


def test_a_file_changed_in_place_whose_time_is_set_back_is_looked_at_anew(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    assert read_plain_csv(path, ",") is not None
    before = path.stat()
    path.write_text("a,b\n1,2\n3;4\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_plain_csv(path, ",") is None


def test_a_changed_file_is_looked_at_anew(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    assert read_plain_csv(path, ",") is not None
    path.write_text('a,b\n1,2\n3"4,5\n')
    assert read_plain_csv(path, ",") is None


def test_rows_longer_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_csv, "CHUNK", 10)
    path = tmp_path / "t.csv"
    text = "line\n" * 50
    path.write_text(f'a,b\n"{text}",1\nx,2\n')
    assert pl.concat(list(plain_pieces(path, ","))).rows() == [(text, "1"), ("x", "2")]
