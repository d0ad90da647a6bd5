"""The whole check: every problem at once, the command, the page, and what training says of it."""

import json
import os
import tracemalloc
from pathlib import Path

import polars as pl
import pytest

from smallprint import api
from smallprint.check import command
from smallprint.check.command import check_data, clean_data, gravest
from smallprint.check.page import render_page, tell_report
from smallprint.cli.app import main
from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.core.settings import build_config
from smallprint.data import formats, lines
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(part) for part in arguments])
    return ended.value.code or 0


def write(path, **columns):
    pl.DataFrame(columns).write_csv(path)
    return str(path)


def test_empty_texts_that_shall_be_left_out_are_no_error(tmp_path):
    data = write(tmp_path / "t.csv", text=["a b", None, "c d"], label=["x", "y", "x"])
    severity = {}
    for choice in ("error", "drop"):
        report = check_data(data, build_config({"data": {"empty_text": choice}}).data)
        severity[choice] = next(finding.severity for finding in report.findings if finding.kind == "empty-text")
        assert ("1 row without text." in " ".join(gravest(report))) == (choice == "error")
    assert severity == {"error": "error", "drop": "note"}


def test_every_problem_at_once(tmp_path):
    splits = ["train"] * 3 + ["test"]
    data = write(tmp_path / "t.csv", text=["a b", None, "c d", "A B"], label=["x", "x", None, "y"], split=splits)
    report = check_data(data)
    kinds = [finding.kind for finding in report.findings]
    assert "empty-text" in kinds
    assert "test-in-train" in kinds
    assert any(kind.startswith(("labels-unreadable", "table-unreadable")) for kind in kinds)
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    place = next(finding for finding in report.findings if finding.kind == "empty-text").places[0]
    assert place.where.endswith("line 3")
    assert json.loads(json.dumps(report.to_dict()))["rows"] == {"train": 3, "test": 1}


def test_one_row_without_a_label_hides_nothing_about_the_others(tmp_path):
    texts = [*(f"text number {i}" for i in range(12)), "twice", "twice", "again", "again", "lost"]
    labels = [*["Claim", "Other"] * 6, "Claim", "Claim", "Claim", "Other", None]
    labels[0] = "claim"
    data = write(tmp_path / "t.csv", text=texts, label=labels)
    report = check_data(data)
    found = {finding.kind: finding.found for finding in report.findings}
    assert "1 row without exactly one label" in found["labels-unreadable-in-train"]
    assert "claim (1, like 'Claim')" in found["rare-label"]
    assert "contradiction" in found
    assert report.support["train"] == {"Claim": 8, "Other": 7, "claim": 1}
    assert clean_data(data, DataConfig(), tmp_path / "out") == {"repeat with equal labels removed": 1}


def test_the_command(tmp_path, capsys, labelled_frame):
    labelled_frame("multilabel").write_parquet(tmp_path / "t.parquet")
    assert call("check", tmp_path / "t.parquet", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["support"]["train"].keys() == {"red", "green", "blue"}
    assert call("check", tmp_path / "t.parquet", "--html", tmp_path / "page.html") == 0
    assert "3 labels" in capsys.readouterr().out
    assert "http" not in (tmp_path / "page.html").read_text().replace("http-equiv", "")
    write(tmp_path / "bad.csv", text=["a", ""], label=["x", "y"])
    assert call("check", tmp_path / "bad.csv") == 0
    assert call("check", tmp_path / "bad.csv", "--strict") == 3
    assert call("check", tmp_path / "none.csv") == 3


def test_what_a_finding_advises_can_be_given_to_check_and_split(tmp_path, capsys):
    texts, labels = [f"text number {i}" for i in range(20)] + [""], ["x, y", "y"] * 10 + ["x"]
    data = write(tmp_path / "t.csv", text=texts, label=labels)
    given = ["--set", "data.empty_text=drop", "--set", "data.delimiter=,"]
    assert call("check", data, "--strict") == 3
    capsys.readouterr()
    assert call("check", data, "--strict", "--json", *given) == 0
    assert json.loads(capsys.readouterr().out)["support"]["train"] == {"x": 10, "y": 20}
    assert call("split", data, "--out", tmp_path / "out") == 3
    assert call("split", data, "--out", tmp_path / "out", *given) == 0


def test_the_page_escapes_what_it_quotes(tmp_path):
    text = "<script>alert(1)</script> b"
    page = render_page(check_data(write(tmp_path / "t.csv", text=[text, text], label=["x", "<b>y"])))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<b>y" not in page


def test_the_terminal_is_told_no_control_characters():
    raw = "\x1b[2J\x1b]0;title\x07 a text"
    report = check_data(pl.DataFrame({"text": ["one", raw, raw, "two"], "label": ["x", "x", "x", "\x1b[31my\x9b"]}))
    told = "\n".join(tell_report(report))
    assert "[2J" in told
    assert "[31my" in told
    assert all(character.isprintable() or character == "\n" for character in told)


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    data = write(tmp_path / "t.csv", text=["a", "b"], label=["x", "y"])
    real = command.check_rows

    def meanwhile(rows):
        os.utime(data, ns=(1, 1))
        return real(rows)

    monkeypatch.setattr(command, "check_rows", meanwhile)
    with pytest.raises(DataError, match="changed while it was read"):
        check_data(data)


def replaced(data):
    """The labels of two rows change places: size and time of the file stay as they were."""
    path = Path(data)
    before, text = path.stat(), path.read_text()
    other = path.with_suffix(".new")
    other.write_text(text.replace("a,x\n", "a,y\n"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("kind", ["one", "folder"])
def test_a_file_that_is_replaced_between_two_reads_by_one_of_equal_size_and_time(tmp_path, monkeypatch, kind):
    folder = tmp_path / "data"
    folder.mkdir()
    data = write(folder / "train.csv", text=["a", "b", "c"], label=["x", "y", "x"])
    real, calls = command.read_rows, []

    def first_read(*given):
        found = real(*given)
        if not calls:
            replaced(data)
        calls.append(1)
        return found

    monkeypatch.setattr(command, "read_rows", first_read)
    with pytest.raises(DataError, match="changed while it was read"):
        check_data(data if kind == "one" else str(folder))
    calls.clear()
    with pytest.raises(DataError, match="changed while it was read"):
        command.clean_data(data if kind == "one" else str(folder), build_config({}).data, tmp_path / "out")
    assert not (tmp_path / "out").exists(), "a cleaned copy of two states of a file is none"


def test_a_file_beside_the_data_may_be_written(tmp_path, monkeypatch):
    write(tmp_path / "train.csv", text=["a", "b", "c"], label=["x", "y", "x"])
    real = command.check_rows
    monkeypatch.setattr(command, "check_rows", lambda rows: (tmp_path / "log.txt").write_text("more") and real(rows))
    assert check_data(str(tmp_path)).rows == {"train": 3}


def test_the_command_tells_of_a_file_that_vanishes_in_one_message(tmp_path, monkeypatch, capsys):
    data = write(tmp_path / "t.csv", text=["a", "b", "c"], label=["x", "y", "x"])
    real = command.check_rows
    monkeypatch.setattr(command, "check_rows", lambda rows: Path(data).unlink() or real(rows))
    assert call("check", data) == 3
    told = capsys.readouterr().err
    assert "changed while it was read" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("more", [True, False])
def test_a_file_that_grows_or_shrinks_while_it_is_read(tmp_path, monkeypatch, more):
    data = write(tmp_path / "t.csv", text=["a", "b", "c"], label=["x", "y", "x"])
    real = command.check_rows

    def meanwhile(rows):
        write(
            tmp_path / "t.csv",
            text=["a", "b", "c", "d"] if more else ["a"],
            label=["x", "y", "x", "y"] if more else ["x"],
        )
        return real(rows)

    monkeypatch.setattr(command, "check_rows", meanwhile)
    with pytest.raises(DataError, match="changed while it was read"):
        check_data(data)


def test_a_gigabyte_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2**24)
    with (tmp_path / "t.jsonl").open("wb") as file:
        file.write(b'{"text": "')
        file.truncate(2**30)
    tracemalloc.start()
    with pytest.raises(DataError, match="line 1: the line is longer than"):
        check_data(str(tmp_path / "t.jsonl"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**27


def test_all_rows_equal(tmp_path):
    n = 20_000
    report = check_data(write(tmp_path / "t.csv", text=["you pay the fee now"] * n, label=["x"] * n))
    kinds = {finding.kind: finding for finding in report.findings}
    assert "every row has the same label" in kinds["table-unreadable"].found
    assert kinds["repeated-in-train"].count == n - 1
    assert "near-copy" not in kinds
    assert sum(report.seconds.values()) < 20


def test_a_label_with_one_example(tmp_path):
    data = write(tmp_path / "t.csv", text=[f"some text {i}" for i in range(41)], label=["x", "y"] * 20 + ["odd one"])
    rare = next(finding for finding in check_data(data).findings if finding.kind == "rare-label")
    assert "1 of them one: odd one (1)" in rare.found


def test_places_of_a_long_file_are_found_without_reading_it_for_each(tmp_path, monkeypatch):
    text = [f"text number {i}\n of two lines" for i in range(300)]
    data = write(tmp_path / "t.csv", text=[*text, *text], label=["x", "y"] * 300)
    read = []
    real = formats._numbered
    monkeypatch.setattr(formats, "_numbered", lambda *given: read.append(1) or real(*given))
    repeated = next(finding for finding in check_data(data).findings if finding.kind == "repeated-in-train")
    assert repeated.places[0].where == "t.csv, line 602"
    assert repeated.places[0].detail == "as t.csv, line 2"
    assert repeated.places[0].text == "text number 0 of two lines"
    assert len(read) <= 2


@pytest.mark.parametrize("text", ["", "text,label\n"])
def test_a_file_with_nothing_in_it(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError):
        check_data(str(tmp_path / "t.csv"))


def test_ten_thousand_labels_one_each(tmp_path):
    n = 10_000
    data = write(tmp_path / "t.csv", text=[f"text {i}" for i in range(n)], label=[f"l{i}" for i in range(n)])
    report = check_data(data)
    assert any(finding.severity == "error" for finding in report.findings), "a training would refuse so many"
    assert sum(report.seconds.values()) < 20
    assert len("\n".join(tell_report(report))) < 20_000


def test_ten_thousand_columns_of_labels(tmp_path):
    n = 10_000
    rows = [f"text {i} about it," + ",".join("1" if k % 20 == i else "0" for k in range(n)) for i in range(20)]
    (tmp_path / "t.csv").write_text("text," + ",".join(f"l{k}" for k in range(n)) + "\n" + "\n".join(rows) + "\n")
    report = check_data(str(tmp_path / "t.csv"))
    [unreadable] = [finding for finding in report.findings if finding.kind == "table-unreadable"]
    assert "and 9,988 more' has 10,000 different labels" in unreadable.found
    assert len("\n".join(tell_report(report))) < 2_000, "no message names ten thousand columns"


def test_ten_thousand_labels_of_several_examples_in_several_splits(tmp_path):
    n = 20_000
    splits = [("train", "test")[i // 10_000] for i in range(n)]
    labels = [f"l{i % 10_000}" for i in range(n)]
    report = check_data(write(tmp_path / "t.csv", text=[f"text {i}" for i in range(n)], label=labels, split=splits))
    assert "10,000 different labels" in report.findings[0].found
    assert sum(report.seconds.values()) < 30
    assert len("\n".join(tell_report(report))) < 2_000


def test_all_rows_equal_with_other_labels(tmp_path):
    n = 20_000
    report = check_data(write(tmp_path / "t.csv", text=["you pay the fee now"] * n, label=["x", "y"] * (n // 2)))
    kinds = {finding.kind: finding for finding in report.findings}
    assert kinds["contradiction"].count == 1
    assert f"({n:,} rows)" in kinds["contradiction"].found
    assert kinds["repeated-in-train"].count == n - 1
    assert all(len(finding.places) <= 50 for finding in report.findings)
    assert sum(report.seconds.values()) < 20


@pytest.mark.parametrize(
    ("name", "expected"), [("t.jsonl", "line 1: the line is a JSON list"), ("t.json", "has the suffix '.json'")]
)
def test_a_list_in_one_line_is_no_json_lines(tmp_path, name, expected):
    (tmp_path / name).write_text(json.dumps([{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(50_000)]))
    with pytest.raises(DataError, match=expected):
        check_data(str(tmp_path / name))


@pytest.mark.parametrize("held", ["file", "frame"])
def test_a_text_column_of_lists_is_told_as_a_training_tells_it(tmp_path, held):
    frame = pl.DataFrame({"text": [f"some words {i}" for i in range(40)], "labels": [["a"], ["b"]] * 20})
    frame.write_ndjson(tmp_path / "t.jsonl")
    data = str(tmp_path / "t.jsonl") if held == "file" else frame
    swapped = build_config({"data": {"text": "labels", "labels": "text"}}).data
    with pytest.raises(DataError, match=r"text column 'labels' holds List\(String\)") as told:
        check_data(data, swapped)
    with pytest.raises(DataError) as trained:
        detect_schema(open_source(data), swapped)
    assert str(told.value) == str(trained.value)


@pytest.mark.parametrize(
    "values", [[["x", "y"]] * 4, [{"a": 1}] * 4, [b"\xff"] * 4, pl.Series([object()] * 4, dtype=pl.Object)]
)
def test_a_text_column_of_test_alone_that_is_none(values):
    good = pl.DataFrame({"text": [f"some words {i}" for i in range(40)], "label": ["a", "b"] * 20})
    with pytest.raises(DataError, match=r"\(test\): the text column 'text' holds"):
        check_data({"train": good, "test": pl.DataFrame({"text": values, "label": ["a", "b"] * 2})})


def test_numbers_as_texts_are_checked_and_told(tmp_path):
    data = write(
        tmp_path / "t.csv",
        code=[f"{i:04}" for i in range(40)],
        text=["some long text here"] * 40,
        label=["x", "y"] * 20,
    )
    report = check_data(data, build_config({"data": {"text": "code"}}).data)
    assert any(line.startswith("Data warning: 40 texts, most of them, have no letter") for line in gravest(report))


def test_a_training_says_the_gravest_first_and_keeps_all(labelled_frame, tmp_path):
    frame = labelled_frame("multilabel")
    frame = pl.concat([frame, frame.head(1).with_columns(pl.Series("labels", [["blue"]]))])
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
    lines = []
    run = api.train(frame, config=config, out=tmp_path / "run", say=lines.append)
    assert any(line.startswith("Data warning: 1 texts stand more than once with other labels") for line in lines)
    kept = json.loads((run.run / "check.json").read_text())
    assert any(finding["kind"] == "contradiction" for finding in kept["findings"])
    assert all(place["text"] == "" for finding in kept["findings"] for place in finding["places"])


def test_gravest_are_few():
    findings = [command.Finding(f"k{i}", "warning", f"found {i}", "do") for i in range(9)]
    report = command.Report("d", "", {}, {}, findings, {})
    assert gravest(report) == [*(f"Data warning: found {i}" for i in range(5)), "4 more: see `smallprint check`."]


@pytest.mark.data
def test_unfair_tos_has_thirty_three():
    place = Path(os.environ.get("SMALLPRINT_DATA", Path(__file__).parents[3] / "shared")) / "unfair_tos"
    if not place.is_dir():
        pytest.skip(f"{place} is not there: set SMALLPRINT_DATA")
    report = check_data(str(place))
    [leak] = [finding for finding in report.findings if finding.kind == "test-in-train"]
    assert "33 of them word for word (1 with a label)" in leak.found
    assert sum(place.detail.startswith("word for word") for place in leak.places) == 33


def test_rows_without_a_group_are_in_no_group(tmp_path):
    for split in ("train", "test"):
        n = range(20)
        write(
            tmp_path / f"{split}.csv",
            text=[f"{split} words {i}" for i in n],
            label=["ab"[i % 2] for i in n],
            document=["" if i > 5 else f"{split} {i}" for i in n],
        )
    assert "group-in-two-splits" not in {finding.kind for finding in check_data(str(tmp_path)).findings}
