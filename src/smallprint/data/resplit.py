"""`smallprint split`: train, validation and test, or folds, out of one table. In: a source and how. Out: row numbers a part, or files.

At random with equal texts together, by group, or by time; label shares kept but for time. The same seed gives the same parts
on every machine. Labels that train would lack are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.config import DataConfig
from smallprint.core.errors import ConfigError, DataError
from smallprint.core.files import atomic_folder
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.data.columns import require_column
from smallprint.data.examples import Examples, to_examples
from smallprint.data.read import SPLITS, Source
from smallprint.data.schema import Schema, detect_schema
from smallprint.data.split import fold_examples, label_units
from smallprint.data.split_column import ROW, read_parts
from smallprint.data.stratify import assign_parts
from smallprint.data.write_table import suffix_of, write_table

By = Literal["auto", "random", "group", "time"]
Numbers = NDArray[np.int64]
MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class Plan:
    """How to split.

    Attributes:
        by: 'auto' is by group where there is one, else at random; 'time': the latest rows are test, those before them validation.
        time: Column of the time: dates or numbers, also as strings.
        validation_share: Of the rows.
        test_share: Of the rows.
        folds: Parts that are each the test of a split of its own; None makes one split. By time each fold's train is what came before.
        seed: Decides ties and chance.
    """

    by: By = "auto"
    time: str | None = None
    validation_share: float = 0.15
    test_share: float = 0.15
    folds: int | None = None
    seed: int = 42


def make_splits(
    source: Source, config: DataConfig, plan: Plan, say: Say = say_nothing
) -> tuple[pl.DataFrame, list[dict[str, Numbers]]]:
    """Gives the whole table, and of each split (one, or one a fold) the row numbers by part; says how many rows are in none.

    Raises:
        ConfigError: The plan lacks what it needs.
        DataError: There are too few rows or groups, a time is missing or is none, or train would lack a label.
    """
    if plan.by == "time" and plan.time is None:
        raise ConfigError("Splitting by time needs a time.", "--time COLUMN", "Name the column.")
    parts = read_parts(source, config, SPLITS)
    whole = pl.concat(list(parts.frames.values()), how="diagonal_relaxed")
    schema = detect_schema(source, config)
    examples = to_examples(whole.with_row_index(ROW), schema, "train", source)
    if examples.dropped:
        say(f"{counted(examples.dropped, 'row')} without {schema.left_out} left out.")
    by = plan.by if plan.by != "auto" else "group" if schema.group else "random"
    if by == "group" and schema.group is None:
        raise ConfigError("Splitting by group needs a group.", "--group COLUMN", "Name the column.")
    if by == "random":
        examples = Examples("train", examples.frame.with_columns(pl.lit(None, dtype=pl.String).alias("group")))
    if by == "time":
        made = _by_time(whole, examples, str(plan.time), plan, source.name)
    elif plan.folds:
        fold = fold_examples(examples, schema.names, plan.folds, plan.seed)
        made = [{"train": np.flatnonzero(fold != k), "test": np.flatnonzero(fold == k)} for k in range(plan.folds)]
    else:
        made = [_at_once(examples, schema, plan, by == "group", source.name)]
    for number, split in enumerate(made, start=1):
        _check_labels(examples, split, f"fold {number}" if plan.folds else source.name, by)
    numbers = examples.frame["row"].to_numpy().astype(np.int64)
    return whole, [{part: numbers[rows] for part, rows in split.items()} for split in made]


def write_splits(
    source: Source, config: DataConfig, plan: Plan, out: str | Path, say: Say = say_nothing
) -> list[dict[str, int]]:
    """Writes a file a part (and a folder a fold), whole or not at all, and gives how many rows each has; says what is in none.

    Raises:
        ConfigError: The folder is there already, or as `make_splits`.
        DataError: As `make_splits`.
    """
    folder = Path(out).expanduser()
    if folder.exists():
        raise ConfigError(f"{folder} is there already.", "a new folder", "Name another, or remove it.")
    whole, splits = make_splits(source, config, plan, say)
    suffix = suffix_of(source.name)
    with atomic_folder(folder) as temporary:
        for number, split in enumerate(splits, start=1):
            place = temporary / f"fold-{number}" if plan.folds else temporary
            place.mkdir(exist_ok=True)
            for part, rows in split.items():
                write_table(whole[rows.tolist()], place / f"{part}{suffix}")
    return [{part: len(rows) for part, rows in split.items()} for split in splits]


def _at_once(examples: Examples, schema: Schema, plan: Plan, grouped: bool, where: str) -> dict[str, Numbers]:
    units, rows = label_units(examples, schema.names, grouped)
    shares = {"train": 1 - plan.validation_share - plan.test_share}
    shares |= {
        name: share for name, share in (("validation", plan.validation_share), ("test", plan.test_share)) if share
    }
    if len(units) < len(shares):
        raise DataError(
            f"{where}: {len(units):,} {'groups' if grouped else 'different texts'} are too few for {len(shares)} parts.",
            "at least one a part, as each stays whole",
            "Label more, or name another group column.",
        )
    assigned = np.array(assign_parts(units, list(shares.values()), plan.seed, whole_groups=grouped))
    part_of = np.zeros(len(examples), dtype=np.int64)
    for part, places in zip(assigned, rows, strict=True):
        part_of[places] = part
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
        first, second = cut(1 - plan.validation_share - plan.test_share), cut(1 - plan.test_share)
        split = {"train": order < first, "validation": (order >= first) & (order < second), "test": order >= second}
        found = [{part: np.flatnonzero(mask) for part, mask in split.items()}]
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
    if values.dtype.is_temporal() or values.dtype.is_numeric():
        return values
    texts = values.cast(pl.String, strict=False).str.strip_chars().replace("", None)
    numbers = texts.cast(pl.Float64, strict=False)
    if numbers.null_count() == texts.null_count():
        return numbers
    known = {text: _seconds(text) for text in texts.drop_nulls().unique(maintain_order=True)}
    if bad := [text for text, found in known.items() if found is None]:
        n = int(texts.is_in(bad).sum())
        raise DataError(
            f"{where}: {counted(n, 'row')} of {values.name!r} are neither dates nor numbers, first {bad[0][:60]!r}.",
            "dates such as 2026-03-31 or 2026-03-31 14:05, or numbers",
            "Write them so (a day that comes first may be a month), or name another column with --time.",
        )
    return pl.Series(values.name, [None if text is None else known[text] for text in texts], dtype=pl.Float64)


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
