import errno
import io
import json
import os
from types import SimpleNamespace

import polars as pl
import pytest

from smallprint.core import files
from smallprint.core.errors import ConfigError, DataError, SmallprintError
from smallprint.data import row_writer
from smallprint.data.row_writer import RowWriter, find_output_format

FRAME = pl.DataFrame(
    {
        "text": ['a "b", c', None],
        "labels": [["x", "y"], []],
        "score_x": pl.Series([0.123456789, 1.0], dtype=pl.Float32),
        "weight": [1e-9, 2.5],
        "on": [True, None],
    }
)
FORMATS = ["csv", "tsv", "jsonl", "parquet"]


def write(path, format, *frames, **more):
    with RowWriter(path, format, **more) as out:
        for frame in frames:
            out.write(frame)
    return path


def test_csv_joins_lists_and_rounds_floats_unless_exact(tmp_path):
    path = write(tmp_path / "o.csv", "csv", FRAME, FRAME, exact=["weight"])
    line = '"a ""b"", c",x|y,0.123457,1e-09,true\n,,1.000000,2.5,\n'
    assert path.read_text() == "text,labels,score_x,weight,on\n" + line * 2


def test_tsv_has_tabs(tmp_path):
    assert write(tmp_path / "o.tsv", "tsv", FRAME.select("score_x", "on")).read_text().splitlines()[0] == "score_x\ton"


def test_jsonl_keeps_types(tmp_path):
    lines = write(tmp_path / "o.jsonl", "jsonl", FRAME, exact=["weight"]).read_text().splitlines()
    expected = {"text": 'a "b", c', "labels": ["x", "y"], "score_x": 0.123457, "weight": 1e-09, "on": True}
    assert json.loads(lines[0]) == expected
    assert json.loads(lines[1])["labels"] == []


def test_jsonl_writes_null_for_what_json_has_no_number_for(tmp_path):
    path = write(tmp_path / "o.jsonl", "jsonl", pl.DataFrame({"x": [float("nan"), float("inf")]}))
    assert path.read_text() == '{"x": null}\n{"x": null}\n'


def test_parquet_keeps_types_over_chunks_and_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(row_writer, "GROUP_ROWS", 3)
    path = write(tmp_path / "o.parquet", "parquet", *[FRAME] * 5)
    assert pl.read_parquet(path).equals(pl.concat([FRAME] * 5))


def test_parquet_takes_mixed_values_as_json_and_blank_chunks(tmp_path):
    first = pl.DataFrame({"m": pl.Series([{"a": 1}, 2], dtype=pl.Object), "n": pl.Series([1, 2.5], dtype=pl.Object)})
    second = pl.DataFrame({"m": pl.Series(["s"]), "n": pl.Series([None], dtype=pl.String)})
    third = pl.DataFrame({"m": ["t"], "n": [7]})
    path = write(tmp_path / "o.parquet", "parquet", first, second, third)
    assert pl.read_parquet(path).to_dict(as_series=False) == {
        "m": ['{"a": 1}', "2", "s", "t"],
        "n": [1.0, 2.5, None, 7.0],
    }


def test_parquet_refuses_a_column_that_changes_its_type(tmp_path):
    with pytest.raises(DataError, match=r"'n' changes from Int64 to Float64(.|\n)*jsonl"):
        write(tmp_path / "o.parquet", "parquet", pl.DataFrame({"n": [1]}), pl.DataFrame({"n": [1.5]}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["csv", "tsv", "parquet"])
@pytest.mark.parametrize("later", [{"a": [1]}, {"a": [1], "b": [1], "c": [1]}])
def test_tables_refuse_chunks_with_other_columns(tmp_path, format, later):
    with pytest.raises(DataError, match=r"Column '[bc]' is not in all rows"):
        write(tmp_path / "o", format, pl.DataFrame({"a": [1], "b": [1]}), pl.DataFrame(later))
    assert list(tmp_path.iterdir()) == []


def test_jsonl_takes_chunks_with_other_columns(tmp_path):
    path = write(tmp_path / "o.jsonl", "jsonl", pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]}))
    assert path.read_text() == '{"a": 1}\n{"b": 1}\n'


@pytest.mark.parametrize("format", FORMATS)
def test_the_file_appears_only_when_all_is_written(tmp_path, format):
    path = tmp_path / "out"
    path.write_text("before")
    with RowWriter(path, format) as out:
        out.write(FRAME)
        assert path.read_text() == "before"
    assert path.read_bytes() != b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_after_a_failure_nothing_new_is_there(tmp_path, format, kind):
    path = tmp_path / "out"
    path.write_text("before")

    def fail():
        with RowWriter(path, format) as out:
            out.write(FRAME)
            raise kind

    with pytest.raises(kind):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


class FullDisk(io.FileIO):
    """A file on a disk that has no room."""

    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_is_named_with_the_file(tmp_path, monkeypatch, format):
    monkeypatch.setattr("pathlib.Path.open", lambda path, mode: FullDisk(path, mode))
    with pytest.raises(SmallprintError, match=r"out cannot be written \(the disk is full\); nothing was left behind"):
        write(tmp_path / "out", format, FRAME)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_at_the_end_is_named_too(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="disk is full"):
        write(tmp_path / "out", "csv", FRAME)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_folder_as_target_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"cannot be written(.|\n)*Make the folder"):
        write(tmp_path / "no" / "o.csv", "csv", FRAME)
    with pytest.raises(DataError, match="it is a folder"):
        write(tmp_path, "csv", FRAME)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_standard_output(capfdbinary, monkeypatch, format):
    buffer = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(buffer))
    write("-", format, pl.DataFrame({"text": ["é"]}))
    assert buffer.getvalue().decode() == {"csv": "text\né\n", "jsonl": '{"text": "é"}\n'}[format]


def test_parquet_to_standard_output_is_wrong_use():
    with pytest.raises(ConfigError, match="Parquet cannot go"):
        RowWriter("-", "parquet")


@pytest.mark.parametrize(
    ("system", "told", "expected"),
    [
        ("posix", errno.EPIPE, BrokenPipeError),
        ("nt", errno.EINVAL, BrokenPipeError),
        ("posix", errno.EINVAL, DataError),
    ],
)
def test_a_closed_pipe_goes_on_as_it_is_in_each_systems_words(monkeypatch, system, told, expected):
    class Closed(io.BytesIO):
        def write(self, _):
            raise OSError(told, "closed")

    monkeypatch.setattr("sys.stdout", type("Out", (), {"buffer": Closed()}))
    monkeypatch.setattr(files, "os", SimpleNamespace(name=system, strerror=os.strerror))
    with pytest.raises(expected):
        write("-", "csv", FRAME)


@pytest.mark.parametrize(
    ("name", "format"), [("a.csv", "csv"), ("a.TSV", "tsv"), ("b/a.ndjson", "jsonl"), ("a.parquet", "parquet")]
)
def test_the_suffix_stands_for_a_format(name, format):
    assert find_output_format(name) == format


@pytest.mark.parametrize("name", ["a", "a.xlsx"])
def test_other_suffixes_are_wrong_use(name):
    with pytest.raises(ConfigError, match=r"one of \.csv"):
        find_output_format(name)


def test_writing_outside_of_its_block_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="with"):
        RowWriter(tmp_path / "o.csv", "csv").write(FRAME)
