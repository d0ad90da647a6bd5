import itertools
import json

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
    return make_splits(open_source(frame), config or DataConfig(), Plan(**plan))


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
    _, (split,) = make_splits(open_source(frame), DataConfig(), Plan(by="time", time="day"))
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
    assert said == ["1 row without text or label left out."]


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
