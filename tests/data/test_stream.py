import io
import json

import polars as pl
import pytest

from smallprint.core.errors import DataError
from smallprint.data.stream import RowWriter, open_rows

FRAME = pl.DataFrame({"id": [f"{i:03}" for i in range(10)], "text": [f'row "{i}", é' for i in range(10)]})
WRITERS = {
    "t.csv": FRAME.write_csv,
    "t.tsv": lambda path: FRAME.write_csv(path, separator="\t"),
    "t.jsonl": FRAME.write_ndjson,
    "t.parquet": lambda path: FRAME.write_parquet(path, row_group_size=7),
}


def stdin(monkeypatch, content):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_chunks_add_up_to_the_table_in_order(tmp_path, name, chunk_rows):
    WRITERS[name](tmp_path / name)
    with open_rows(tmp_path / name, chunk_rows=chunk_rows) as rows:
        assert (rows.columns, rows.text, rows.format) == (["id", "text"], "text", name[2:])
        chunks = list(rows)
    assert max(chunk.height for chunk in chunks) <= chunk_rows
    assert pl.concat(chunks).equals(FRAME)


@pytest.mark.parametrize("name", WRITERS)
def test_reading_and_writing_gives_the_same_rows(tmp_path, name):
    WRITERS[name](tmp_path / name)
    rows = open_rows(tmp_path / name, chunk_rows=4)
    with RowWriter(tmp_path / f"out{name[1:]}", rows.format) as out:
        for chunk in rows:
            out.write(chunk)
    assert pl.concat(list(open_rows(tmp_path / f"out{name[1:]}"))).equals(FRAME)


def test_odd_csv_values_come_back_as_they_were(tmp_path):
    content = 'a,text\n007," x "\n,"line 1\nline 2"\n1.0,"say ""no"""\n'
    (tmp_path / "t.csv").write_text(content)
    rows = open_rows(tmp_path / "t.csv")
    with RowWriter(tmp_path / "o.csv", "csv") as out:
        for chunk in rows:
            out.write(chunk)
    assert (tmp_path / "o.csv").read_text() == content.replace('" x "', " x ")


def test_json_values_of_any_kind_come_back_as_they_were(tmp_path):
    objects = [
        {"text": "a", "n": 1, "mixed": 1, "deep": {"x": [1, {"y": None}]}, "big": 2**70, "list": [1, "a"]},
        {"text": "b", "n": None, "mixed": "s", "deep": {"other": 2}, "big": 1, "list": []},
        {"text": "c", "n": 3, "mixed": 1.5, "deep": None, "big": 0, "list": [0.1]},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, objects)))
    rows = open_rows(tmp_path / "t.jsonl", chunk_rows=2)
    with RowWriter(tmp_path / "o.jsonl", "jsonl", exact=rows.columns) as out:
        for chunk in rows:
            out.write(chunk)
    assert [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()] == objects


def test_a_key_that_later_chunks_lack_or_add(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"text": "a", "x": 1}\n{"text": "b"}\n{"text": "c", "y": 2}\n')
    chunks = list(open_rows(tmp_path / "t.jsonl", chunk_rows=1))
    assert [chunk.row(0, named=True) for chunk in chunks[1:]] == [
        {"text": "b", "x": None},
        {"text": "c", "x": None, "y": 2},
    ]


def test_only_what_is_asked_for_is_read(tmp_path):
    good = "".join(f"{i},text {i}\n" for i in range(10))
    (tmp_path / "t.csv").write_text("id,text\n" + good + "broken\n" + good)
    rows = open_rows(tmp_path / "t.csv", chunk_rows=5)
    assert next(iter(rows)).height == 5
    with pytest.raises(DataError, match=r"line 12: 1 fields.\nExpected: 2"):
        list(rows)


def test_standard_input_of_objects(monkeypatch):
    stdin(monkeypatch, b'\n  {"clause": "a"}\n{"clause": "b"}\n')
    rows = open_rows("-")
    assert (rows.format, rows.text) == ("jsonl", "clause")
    assert pl.concat(list(rows))["clause"].to_list() == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"\nfirst\r\n\nlast {x}", ["", "first", "", "last {x}"]),  # a blank line stays a row: nothing shifts
        (b"first\nlast {x}\n", ["first", "last {x}"]),
    ],
)
def test_standard_input_of_lines(monkeypatch, content, texts):
    stdin(monkeypatch, content)
    rows = open_rows("-")
    assert (rows.format, rows.text, rows.columns) == ("text", "text", ["text"])
    assert pl.concat(list(rows))["text"].to_list() == texts


def test_a_text_file_has_one_text_a_line(tmp_path):
    (tmp_path / "t.txt").write_text('{"not": "json here"}\nb\n')
    assert pl.concat(list(open_rows(tmp_path / "t.txt")))["text"].to_list() == ['{"not": "json here"}', "b"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "standard input has no rows"),
        (b"\n\n", "standard input has no rows"),
        (b"a\n\xff\n", "0xff that is not UTF-8, line 2"),
        (b'\n{"text": "a"}\n[1]\n', "standard input, line 3: the line is a JSON list"),
    ],
)
def test_bad_standard_input_is_an_error(monkeypatch, content, what):
    stdin(monkeypatch, content)
    with pytest.raises(DataError, match=what):
        list(open_rows("-"))


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("t.csv", b"", r"empty \(0 bytes\)"),
        ("t.csv", b"text\n", "has no rows"),
        ("t.jsonl", b"\n", "has no rows"),
        ("t.csv", b"text\na\nb\xe9\n", "0xe9 that is not UTF-8, line 3"),
        ("t.parquet", b"nonsense", "cannot be read"),
        ("t.xlsx", b"x", "has the suffix '.xlsx'"),
        ("t.csv", b"id,n\n1,2\n", "several columns could be the text|no column looks like text"),
    ],
)
def test_bad_files_are_an_error(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=what):
        list(open_rows(tmp_path / name))


def test_a_truncated_parquet_file_is_an_error(tmp_path):
    FRAME.write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        open_rows(tmp_path / "t.parquet")


def test_damaged_parquet_pages_are_an_error(tmp_path):
    FRAME.write_parquet(tmp_path / "t.parquet", compression="zstd")
    whole = bytearray((tmp_path / "t.parquet").read_bytes())
    whole[4:60] = b"\xff" * 56
    (tmp_path / "t.parquet").write_bytes(whole)
    with pytest.raises(DataError, match="cannot be read"):
        list(open_rows(tmp_path / "t.parquet"))


def test_a_parquet_table_without_rows_is_an_error(tmp_path):
    FRAME.clear().write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="has no rows"):
        open_rows(tmp_path / "t.parquet")


def test_missing_paths_and_folders_are_errors(tmp_path):
    (tmp_path / "clauses.csv").write_text("text\na\n")
    with pytest.raises(DataError, match=r"Did you mean clauses\.csv"):
        open_rows(tmp_path / "clause.csv")
    with pytest.raises(DataError, match="is a folder"):
        open_rows(tmp_path)


def test_the_text_column_can_be_named_and_must_be_there(tmp_path):
    FRAME.write_csv(tmp_path / "t.csv")
    assert open_rows(tmp_path / "t.csv", text="id").text == "id"
    with pytest.raises(DataError, match=r"no column 'txt'.*it has 'id', 'text'(.|\n)*Did you mean 'text'"):
        open_rows(tmp_path / "t.csv", text="txt")


def test_memory_does_not_grow_with_the_file(tmp_path):
    """A file of 40 MB is read and written with a peak of a few MB of Python objects."""
    import tracemalloc

    with (tmp_path / "t.csv").open("w") as file:
        file.write("text,n\n")
        for i in range(2000):
            file.write("x" * 20_000 + f",{i}\n")
    tracemalloc.start()
    with open_rows(tmp_path / "t.csv", chunk_rows=50) as rows, RowWriter(tmp_path / "o.csv", "csv") as out:
        for chunk in rows:
            out.write(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6
    assert (tmp_path / "o.csv").stat().st_size == (tmp_path / "t.csv").stat().st_size
