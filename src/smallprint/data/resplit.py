"""`smallprint split`: train, validation and test, or folds, out of one table. In: a source and how. Out: row numbers a part, or files.

At random with equal texts together, by group, or by time; label shares kept but for time. The same seed gives the same parts
on every machine. Labels that train would lack are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.config import DataConfig
from smallprint.core.errors import ConfigError, DataError
from smallprint.core.files import atomic_folder, check_new
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.data.columns import require_column
from smallprint.data.examples import Examples, to_examples
from smallprint.data.formats import select_columns
from smallprint.data.json_frames import join_json
from smallprint.data.label_forms import distinct_rows, read_label_lists
from smallprint.data.read import SPLITS, Source
from smallprint.data.schema import Schema, detect_schema, label_order, row_places
from smallprint.data.split import fold_examples, label_units, part_rows
from smallprint.data.split_column import ROW, Parts, read_parts
from smallprint.data.write_table import lines_of, suffix_of, write_label_names, write_lines, write_table

By = Literal["auto", "random", "group", "time"]
Numbers = NDArray[np.int64]
TIMES = "dates such as 2026-03-31 or 2026-03-31 14:05, or numbers"
MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class Plan:
    """How to split.

    Attributes:
        by: 'auto' is by group where there is one, else at random; 'time': the latest rows are test, those before them validation.
        time: Column of the time: dates or numbers, also as strings.
        validation_share: Of the rows; with 0 there is no validation.
        test_share: Of the rows; with 0 there is no test.
        folds: Parts that are each the test of a split of its own; None makes one split. By time each fold's train is what came before.
        seed: Decides ties and chance.
    """

    by: By = "auto"
    time: str | None = None
    validation_share: float = 0.15
    test_share: float = 0.15
    folds: int | None = None
    seed: int = 42

    @property
    def shares(self) -> dict[str, float]:
        """The share of each part, without parts of none."""
        others = {"validation": self.validation_share, "test": self.test_share}
        return {"train": 1 - sum(others.values()), **{part: share for part, share in others.items() if share}}


def make_splits(
    source: Source, config: DataConfig, plan: Plan, say: Say = say_nothing, parts: Parts | None = None
) -> tuple[pl.DataFrame, list[dict[str, Numbers]], Schema]:
    """Gives the whole table, of each split (one, or one a fold) the row numbers by part, and the schema; says how many rows are in none.

    Raises:
        ConfigError: The plan lacks what it needs.
        DataError: There are too few rows or groups, a time is missing or is none, a part would be empty, or train would lack a label.
    """
    if plan.by == "time" and plan.time is None:
        raise ConfigError("Splitting by time needs a time.", "--time COLUMN", "Name the column.")
    parts = read_parts(source, config, SPLITS) if parts is None else parts
    schema = _with_all_labels(detect_schema(source, config), parts, source, config)
    examples = _all_examples(parts, schema, source)
    whole = _joined(list(parts.frames.values()), schema)
    if examples.dropped:
        say(f"{counted(examples.dropped, 'row')} without {schema.left_out} left out.")
    by = plan.by if plan.by != "auto" else "group" if schema.group else "random"
    if by == "group" and schema.group is None:
        raise ConfigError("Splitting by group needs a group.", "--group COLUMN", "Name the column.")
    how = {
        "group": f"by group '{schema.group}'",
        "time": f"by time '{plan.time}'",
        "random": "at random, equal texts together",
    }
    say(f"Split {how[by]}.")
    if by == "random":
        examples = Examples("train", examples.frame.with_columns(pl.lit(None, dtype=pl.String).alias("group")))
    if by == "time":
        made = _by_time(whole, examples, str(plan.time), plan, source.name)
    elif plan.folds:
        fold = fold_examples(examples, schema.names, plan.folds, plan.seed, "--folds")
        made = [{"train": np.flatnonzero(fold != k), "test": np.flatnonzero(fold == k)} for k in range(plan.folds)]
    else:
        made = [_at_once(examples, schema, plan, by == "group", source.name)]
    for number, split in enumerate(made, start=1):
        _check_labels(examples, split, f"fold {number}" if plan.folds else source.name, by)
    numbers = examples.frame["row"].to_numpy().astype(np.int64)
    return whole, [{part: numbers[rows] for part, rows in split.items()} for split in made], schema


def write_splits(
    source: Source, config: DataConfig, plan: Plan, out: str | Path, say: Say = say_nothing
) -> list[dict[str, int]]:
    """Writes a file a part (and a folder a fold), whole or not at all, and gives how many rows each has; says what is in none.

    Raises:
        ConfigError: The folder is there already, or as `make_splits`.
        DataError: As `make_splits`.
    """
    folder = check_new(out)
    parts = read_parts(source, config, SPLITS)
    whole, splits, schema = make_splits(source, config, plan, say, parts)
    suffix = suffix_of(source.name)
    # where labels are of several types they are written anew
    alike = len({frame.schema[schema.labels[0]] for frame in parts.frames.values()}) == 1
    written = lines_of(source, parts) if suffix == ".jsonl" and alike else None
    lines = [line for part in parts.frames for line in written[part]] if written else []
    with atomic_folder(folder) as temporary:
        for number, split in enumerate(splits, start=1):
            place = temporary / f"fold-{number}" if plan.folds else temporary
            place.mkdir(exist_ok=True)
            for part, rows in split.items():
                if written:
                    write_lines((lines[row] for row in rows.tolist()), place / f"{part}{suffix}")
                else:
                    write_table(whole[rows.tolist()], place / f"{part}{suffix}")
            write_label_names(source, schema.labels, place)
    return [{part: len(rows) for part, rows in split.items()} for split in splits]


def _joined(frames: list[pl.DataFrame], schema: Schema) -> pl.DataFrame:
    """One table; a column whose types do not go together is typed as in one JSON Lines file, labels as lists where some are."""
    label = schema.labels[0]
    if len({frame.schema[label].is_nested() for frame in frames}) > 1:
        lists = [read_label_lists(frame, schema.labels, schema.form, schema.delimiter, None, str) for frame in frames]
        frames = [
            frame.with_columns(pl.Series(label, labels, dtype=pl.List(pl.String)))
            for frame, labels in zip(frames, lists, strict=True)
        ]
    try:
        return pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        return join_json(frames)


def _with_all_labels(schema: Schema, parts: Parts, source: Source, config: DataConfig) -> Schema:
    """The schema with the labels of all parts: one that only test had may be in train after."""
    if schema.any_label or source.names_of(schema.labels) is not None:
        return schema
    names = set(schema.names)
    for split, frame in parts.frames.items():
        rows = distinct_rows(select_columns(frame, schema.labels, f"{source.name} ({split})"), schema.labels)
        place = row_places(source, split, parts.rows[split].gather(rows.first).to_list())
        lists = read_label_lists(rows.frame, schema.labels, schema.form, schema.delimiter, schema.ids, place)
        names.update(label for labels in lists for label in labels)
    if len(names) == len(schema.names) or config.task == "binary":
        return schema
    return replace(
        schema, names=label_order(list(names)), task="multiclass" if schema.task == "binary" else schema.task
    )


def _all_examples(parts: Parts, schema: Schema, source: Source) -> Examples:
    """The examples of all parts; `row` counts through them all."""
    frames, before, dropped = [], 0, 0
    for split, frame in parts.frames.items():
        numbers = parts.rows[split]
        read = to_examples(frame.with_columns(numbers.alias(ROW)), schema, split, source, may_be_empty=split != "train")
        places = numbers.search_sorted(read.frame["row"]) + before
        frames.append(read.frame.with_columns(places.cast(pl.UInt32).alias("row")))
        before, dropped = before + frame.height, dropped + read.dropped
    return Examples("train", pl.concat(frames), dropped)


def _at_once(examples: Examples, schema: Schema, plan: Plan, grouped: bool, where: str) -> dict[str, Numbers]:
    units, rows = label_units(examples, schema.names, grouped)
    shares = plan.shares
    if len(units) < len(shares):
        raise DataError(
            f"{where}: {len(units):,} {'groups' if grouped else 'different texts'} are too few for {len(shares)} parts.",
            "at least one a part, as each stays whole",
            "Label more, or name another group column.",
        )
    part_of = part_rows(units, rows, shares, plan.seed, grouped, where)
    return {name: np.flatnonzero(part_of == i) for i, name in enumerate(shares)}


def _by_time(whole: pl.DataFrame, examples: Examples, column: str, plan: Plan, where: str) -> list[dict[str, Numbers]]:
    name = require_column(whole.columns, column, "--time", where)
    times = _moments(whole[name][examples.frame["row"].to_list()], where)
    if times.is_null().any():
        missing = int(times.is_null().sum())
        raise DataError(f"{where}: {missing:,} rows have no time in {name!r}.", "a time in every row", "Fill them in.")
    order = times.rank("dense").cast(pl.Int64).to_numpy() - 1  # equal times stay together
    counts = np.cumsum(np.bincount(order))
    n = len(order)

    def cut(share_before: float) -> int:
        """Gives the first moment of what comes after about this share of the rows."""
        return int(np.searchsorted(counts, share_before * n - 1e-9, side="left")) + 1

    if plan.folds:
        edges = [0, *(cut((k + 1) / (plan.folds + 1)) for k in range(plan.folds)), int(order.max()) + 1]
        found = [
            {
                "train": np.flatnonzero(order < edges[k]),
                "test": np.flatnonzero((order >= edges[k]) & (order < edges[k + 1])),
            }
            for k in range(1, plan.folds + 1)
        ]
    else:
        ends = [*map(cut, list(accumulate(plan.shares.values()))[:-1]), n]
        found = [
            {
                part: np.flatnonzero((order >= first) & (order < end))
                for part, first, end in zip(plan.shares, [0, *ends[:-1]], ends, strict=True)
            }
        ]
    if any(not len(rows) for split in found for rows in split.values()):
        raise DataError(
            f"{where}: {len(counts):,} different times in {name!r} are too few for these parts, as equal ones stay together.",
            "more of them",
            "Split by group or at random, or ask for fewer folds.",
        )
    return found


def _moments(values: pl.Series, where: str) -> pl.Series:
    """Gives what can be put in order: dates and numbers as they are, strings as what they say, null for nothing.

    Raises:
        DataError: A value is neither.
    """
    if values.dtype.is_temporal():
        return values
    if values.dtype.is_nested() or values.dtype == pl.Object:
        raise DataError(
            f"{where}: column {values.name!r} is of type {values.dtype}.", TIMES, "Name another column with --time."
        )
    texts = values.cast(pl.String, strict=False).str.strip_chars().replace("", None)
    numbers = values if values.dtype.is_numeric() else texts.cast(pl.Float64, strict=False)
    if numbers.null_count() == texts.null_count():
        moments, bad = numbers, texts.filter(~numbers.cast(pl.Float64).is_finite())  # nan would be the latest
    else:
        known = {text: _seconds(text) for text in texts.drop_nulls().unique(maintain_order=True)}
        moments = pl.Series(values.name, [None if text is None else known[text] for text in texts], dtype=pl.Float64)
        bad = texts.filter(moments.is_null() & texts.is_not_null())
    if len(bad):
        raise DataError(
            f"{where}: {counted(len(bad), 'row')} of {values.name!r} are neither dates nor numbers, first {bad[0][:60]!r}.",
            TIMES,
            "Write them so (a day that comes first may be a month), or name another column with --time.",
        )
    return moments


def _seconds(text: str) -> float | None:
    """Gives the moment that a date of ISO 8601 stands for, without a zone in UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(f"{text}-01" if MONTH.fullmatch(text) else text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _check_labels(examples: Examples, split: dict[str, Numbers], where: str, by: str) -> None:
    labels = examples.labels
    known = {label for row in split["train"] for label in labels[row]}
    gone: dict[str, int] = {}
    for part, rows in split.items():
        for row in rows if part != "train" else ():
            for label in labels[row]:
                if label not in known:
                    gone[label] = gone.get(label, 0) + 1
    if gone:
        told = ", ".join(f"{label!r} ({n:,} rows)" for label, n in sorted(gone.items())[:8])
        why = {
            "time": "all of their rows come later",
            "group": "their rows stand in few groups, which stay whole",
            "random": "they have too few rows",
        }[by]
        raise DataError(
            f"{where}: train would have no example of {told}, as {why}.",
            "each label in train",
            "Take these labels out, label more of them, or split another way.",
        )


__all__ = ["Plan", "make_splits", "write_splits"]
