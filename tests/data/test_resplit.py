import itertools
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallprint.cli.app import main
from smallprint.core.config import DataConfig
from smallprint.core.errors import ConfigError, DataError
from smallprint.data.read import open_source
from smallprint.data.resplit import Plan, make_splits, write_splits
from smallprint.data.schema import detect_schema


def table(n, seed=0, groups=12):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "text": [f"text {i // 2 if i % 7 == 0 else i}" for i in range(n)],
            "label": [("x", "y", "z")[k] for k in rng.choice(3, size=n, p=[0.6, 0.3, 0.1])],
            "document": [f"d{i}" for i in rng.integers(0, groups, size=n)],
            "day": rng.integers(0, 40, size=n),
        }
    )


def split(frame, config=None, **plan):
    return make_splits(open_source(frame), config or DataConfig(), Plan(**plan))[:2]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(60, 300), st.integers(0, 50), st.sampled_from(["random", "group", "time"]), st.sampled_from([None, 3])
)
def test_nothing_lost_nothing_doubled_nothing_torn(n, seed, by, folds):
    frame = table(n, seed)
    plan = {"by": by, "time": "day", "folds": folds, "seed": seed}
    try:
        whole, splits = split(frame, **plan)
    except DataError as error:
        told = str(error)
    else:
        told = ""
    assert not told or "train would have no example" in told
    if told:
        return
    assert whole.drop("document").equals(frame.drop("document"))
    again = split(frame, **plan)[1]
    for one, other in zip(splits, again, strict=True):
        assert all(np.array_equal(one[part], other[part]) for part in one)
    for parts in splits:
        rows = np.concatenate(list(parts.values()))
        assert len(rows) == len(set(rows.tolist()))
        assert folds or len(rows) == n
        column = {"random": "text", "group": "document", "time": "day"}[by]
        seen = [set(frame[column][part.tolist()]) for part in parts.values()]
        assert not any(seen[i] & seen[j] for i in range(len(seen)) for j in range(i)), (
            "what belongs together is together"
        )
        if by == "time":
            days = [frame["day"][part.tolist()] for part in parts.values()]
            assert all(earlier.max() < later.min() for earlier, later in itertools.pairwise(days))
    if folds and by != "time":
        tests = np.concatenate([parts["test"] for parts in splits])
        assert sorted(tests.tolist()) == list(range(n))


def test_shares_and_labels_are_kept():
    frame = table(2000)
    _, [parts] = split(frame, by="random", validation_share=0.1, test_share=0.2)
    assert {part: round(len(rows) / 2000, 2) for part, rows in parts.items()} == {
        "train": 0.7,
        "validation": 0.1,
        "test": 0.2,
    }
    for part in parts.values():
        assert (frame["label"][part.tolist()] == "z").mean() == pytest.approx((frame["label"] == "z").mean(), abs=0.01)


def test_the_latest_are_test():
    frame = pl.DataFrame(
        {
            "text": [f"t{i}" for i in range(100)],
            "label": ["x", "y"] * 50,
            "when": [f"2026-01-{1 + i // 5:02}" for i in range(100)],
        }
    )
    _, [parts] = split(frame, by="time", time="when")
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 70, "validation": 15, "test": 15}
    assert frame["when"][parts["test"].tolist()].min() > frame["when"][parts["validation"].tolist()].max()


def test_a_label_that_train_would_lack_is_refused_and_why():
    frame = pl.DataFrame(
        {"text": [f"t{i}" for i in range(40)], "label": ["x"] * 20 + ["y"] * 15 + ["late"] * 5, "day": range(40)}
    )
    with pytest.raises(DataError, match="no example of 'late' \\(5 rows\\), as all of their rows come later"):
        split(frame, by="time", time="day")


def test_what_a_plan_needs():
    frame = table(60)
    with pytest.raises(ConfigError, match="--time COLUMN"):
        split(frame, by="time")
    with pytest.raises(ConfigError, match="--group COLUMN"):
        split(frame.drop("document"), by="group")
    with pytest.raises(DataError, match="have no time"):
        split(frame.with_columns(day=pl.when(pl.col("day") > 5).then(pl.col("day"))), by="time", time="day")
    with pytest.raises(DataError, match="too few for these parts"):
        split(frame.with_columns(day=pl.lit(1)), by="time", time="day")
    with pytest.raises(DataError, match="too few for 3 parts"):
        split(frame.with_columns(document=pl.lit("one")), by="group")


def test_files(tmp_path):
    table(120).write_csv(tmp_path / "t.csv")
    counts = write_splits(open_source(str(tmp_path / "t.csv")), DataConfig(), Plan(), tmp_path / "out")
    assert sum(counts[0].values()) == 120
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"train.csv", "validation.csv", "test.csv"}
    assert pl.read_csv(tmp_path / "out" / "train.csv").columns == ["text", "label", "document", "day"]
    with pytest.raises(ConfigError, match="is there already"):
        write_splits(open_source(str(tmp_path / "t.csv")), DataConfig(), Plan(), tmp_path / "out")


@pytest.mark.parametrize(
    "form", [str, lambda day: f"2026-01-{day + 1:02}", lambda day: f"2026-01-01T00:00+{day:02}:00"]
)
def test_times_as_strings_are_put_in_their_order(form):
    days = [day % 12 for day in range(120)]
    frame = table(120).with_columns(day=pl.Series([form(day) for day in days]))
    _, (split,), _ = make_splits(open_source(frame), DataConfig(), Plan(by="time", time="day"))
    of = {part: {days[row] for row in rows} for part, rows in split.items()}
    if form(0).endswith(":00"):  # an hour that is ahead comes earlier
        assert min(of["train"]) > max(of["test"])
    else:
        assert max(of["train"]) < min(of["validation"]) <= max(of["validation"]) < min(of["test"])


@pytest.mark.parametrize("wrong", ["last spring", "31.12.2025", "12/31/2025"])
def test_words_are_no_times(wrong):
    frame = table(120).with_columns(day=pl.Series(["2026-01-01", *([wrong] * 119)]))
    with pytest.raises(DataError, match=rf"119 rows of 'day' are neither dates nor numbers, first '{wrong}'"):
        make_splits(open_source(frame), DataConfig(), Plan(by="time", time="day"))
    with pytest.raises(DataError, match="120 rows have no time"):
        make_splits(open_source(frame.with_columns(day=pl.lit(" "))), DataConfig(), Plan(by="time", time="day"))


def test_rows_that_are_left_out_are_told(tmp_path):
    frame = table(120).with_columns(label=pl.when(pl.int_range(pl.len()) != 7).then(pl.col("label")))
    said = []
    config = DataConfig(empty_label="drop", task="multiclass")
    counts = write_splits(open_source(frame), config, Plan(), tmp_path / "out", said.append)
    assert sum(counts[0].values()) == 119
    assert said == ["1 row without text or label left out.", "Split by group 'document'."]


def test_the_command(tmp_path, capsys):
    table(120).write_ndjson(tmp_path / "t.jsonl")
    with pytest.raises(SystemExit):
        main(["split", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "folds"), "--folds", "4"])
    assert "fold 4:" in capsys.readouterr().err
    rows = [len((tmp_path / "folds" / f"fold-{k}" / "test.jsonl").read_text().splitlines()) for k in range(1, 5)]
    assert sum(rows) == 120
    assert json.loads((tmp_path / "folds" / "fold-1" / "train.jsonl").read_text().splitlines()[0])["text"]
    with pytest.raises(SystemExit) as ended:
        main(["split", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "x"), "--by", "size"])
    assert ended.value.code == 2


def folder(tmp_path, suffix="csv", **parts):
    for part, rows in parts.items():
        frame = pl.DataFrame(rows, schema=["text", "label"], orient="row", strict=False)
        frame.write_csv(tmp_path / f"{part}.csv") if suffix == "csv" else (tmp_path / f"{part}.jsonl").write_text(
            "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
        )
    return tmp_path


def rows(n, what="words", labels="abc"):
    return [(f"some {what} {i}", labels[i % len(labels)]) for i in range(n)]


@pytest.mark.parametrize("folds", [None, 2])
def test_names_of_ids_go_along(tmp_path, folds):
    data = folder(tmp_path, train=rows(40, labels=[0, 1]))
    (data / "labels.txt").write_text("red\ngreen\n")
    write_splits(open_source(data), DataConfig(), Plan(folds=folds), tmp_path / "out")
    for place in [tmp_path / "out" / f"fold-{k}" for k in (1, 2)] if folds else [tmp_path / "out"]:
        assert detect_schema(open_source(place), DataConfig()).names == ["red", "green"]
    write_splits(open_source(table(60)), DataConfig(), Plan(), tmp_path / "unnamed")
    assert not (tmp_path / "unnamed" / "labels.txt").exists()


@pytest.mark.parametrize("plan", [{}, {"folds": 3}])
def test_a_part_that_would_be_empty_is_refused(tmp_path, plan):
    frame = pl.DataFrame({"text": [f"t{i}" for i in range(6)], "label": list("abcdef")})
    with pytest.raises(DataError, match=r"othing is left for (validation and test|fold 2 and fold 3): "):
        write_splits(open_source(frame), DataConfig(), Plan(**plan), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_errors_name_the_file_and_row_that_they_are_about(tmp_path):
    data = folder(tmp_path, train=rows(20), test=[*rows(5, "other"), (" ", "a")])
    with pytest.raises(DataError, match=r"The test split has 1 row without text in 'text': .*test\.csv, line 7"):
        split(data)
    whole, [parts] = split(data, DataConfig(empty_text="drop"))
    assert whole.height == 26
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(25))
    column = pl.DataFrame(rows(20), schema=["text", "label"], orient="row")
    column = pl.concat([column, column.tail(1).with_columns(text=pl.lit(" "))])
    column = column.with_columns(split=pl.Series(["test"] * 10 + ["train"] * 10 + ["test"]))
    with pytest.raises(DataError, match="The test split has 1 row without text in 'text': data, row 21"):
        split(column)


def test_rows_are_counted_through_all_parts(tmp_path):
    frame = pl.DataFrame(rows(60), schema=["text", "label"], orient="row").with_columns(
        split=pl.Series(["test", "train", "train"] * 20), text=pl.when(pl.int_range(60) != 31).then("text")
    )
    whole, [parts] = split(frame, DataConfig(empty_text="drop"))
    assert whole["text"].null_count() == 1
    taken = whole[np.concatenate(list(parts.values())).tolist()]
    assert sorted(taken["text"]) == sorted(frame["text"].drop_nulls())


def test_a_label_that_test_alone_has_is_split_too(tmp_path):
    data = folder(tmp_path, train=rows(20, labels="ab"), test=[(f"new {i}", "z") for i in range(8)])
    whole, [parts] = split(data)
    assert all("z" in whole["label"][part.tolist()].to_list() for part in parts.values())
    with pytest.raises(DataError, match=r"The test split has labels that are not known: 'z' \(8 rows\)"):
        split(data, DataConfig(task="binary"))


@pytest.mark.parametrize("others", ["a", None])
@pytest.mark.parametrize("lists", ["train", "test"])
def test_labels_that_are_lists_in_one_file_and_not_in_another(tmp_path, others, lists):
    parts = {"train": rows(40, labels="ab"), "test": [(f"other {i}", others) for i in range(10)]}
    parts[lists] = [(text, [label] if label else []) for text, label in parts[lists]]
    data = folder(tmp_path, "jsonl", **parts)
    write_splits(open_source(data), DataConfig(task="multilabel"), Plan(), tmp_path / "out")
    written = [json.loads(line) for path in (tmp_path / "out").iterdir() for line in path.read_text().splitlines()]
    first, last = (next(row["label"] for row in written if row["text"] == text) for text in ("some words 0", "other 0"))
    assert (first or ["a"], last or []) == (["a"], ["a"] if others else [])
    assert detect_schema(open_source(tmp_path / "out"), DataConfig(task="multilabel")).names == ["a", "b"]


@pytest.mark.parametrize(("others", "kept"), [("x", ("x", '["t"]')), (None, (None, ["t"]))])
def test_another_column_of_lists_in_one_file_and_not_in_another(tmp_path, others, kept):
    for part, tags in {"train": ["t"], "test": others}.items():
        lines = [json.dumps({"text": f"{part} {i}", "label": "ab"[i % 2], "tags": tags}) for i in range(20)]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines))
    whole, _ = split(tmp_path)
    assert [whole["tags"].to_list()[-1], whole["tags"].to_list()[0]] == list(kept)


def test_a_file_without_labels_is_refused(tmp_path):
    data = folder(tmp_path, train=rows(40))
    (data / "test.csv").write_text("text\nother\n")
    with pytest.raises(DataError, match=r"\(test\) has no column 'label'"):
        split(data, DataConfig(task="multilabel"))


@pytest.mark.parametrize("by", ["time", "random"])
@pytest.mark.parametrize("none", ["validation", "test"])
def test_a_part_of_no_share_is_left_out(by, none):
    frame = pl.DataFrame({"text": [f"t{i}" for i in range(100)], "label": ["x", "y"] * 50, "day": range(100)})
    _, [parts] = split(frame, by=by, time="day", **{f"{none}_share": 0})
    other = {"validation": "test", "test": "validation"}[none]
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 85, other: 15}
    if by == "time":
        assert parts[other].tolist() == list(range(85, 100))


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (["nan", *map(str, range(119))], "1 row of 'day' are neither dates nor numbers, first 'nan'"),
        ([float("inf"), float("nan"), *map(float, range(118))], "2 rows of 'day' .*, first 'inf'"),
        ([["2026"]] * 120, r"column 'day' is of type List\(String\)"),
    ],
)
def test_what_has_no_place_in_time_is_refused(days, told):
    with pytest.raises(DataError, match=told):
        split(table(120).with_columns(day=pl.Series(days)), by="time", time="day")


def test_too_many_folds_name_the_option():
    with pytest.raises(DataError, match=r"3 groups are too few for 5 folds.(.|\n)*Set --folds to 3 or fewer"):
        split(table(100, groups=3), folds=5)


def test_names_that_a_data_set_declares_become_a_file(tmp_path):
    frame = pl.DataFrame(rows(40, labels=[0, 1]), schema=["text", "label"], orient="row")
    source = replace(open_source({"train": frame}), column_label_names={"label": ["no", "yes"], "other": ["x"]})
    write_splits(source, DataConfig(), Plan(), tmp_path / "out")
    assert (tmp_path / "out" / "labels.txt").read_text() == "no\nyes\n"


def test_json_lines_keep_every_value_and_lose_the_split_that_was(tmp_path):
    rows = [
        {
            "text": f"text number {i}",
            "label": "ab"[i % 2],
            "n": i if i % 3 else i + 0.5,
            "meta": {"page": i},
            "split": "train",
        }
        for i in range(60)
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(SystemExit):
        main(["split", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "out")])
    found = [json.loads(line) for path in (tmp_path / "out").iterdir() for line in path.read_text().splitlines()]
    assert sorted(found, key=lambda row: row["meta"]["page"]) == [
        {k: v for k, v in row.items() if k != "split"} for row in rows
    ]
