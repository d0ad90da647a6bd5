"""Train, validation and test. In: a source and its schema. Out: `Splits`: two splits open, test closed until asked for.

Ready splits are used as they are; missing ones are carved out of train, groups whole, label shares kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.core.naming import nearest, quoted
from smallprint.core.progress import counted
from smallprint.data.examples import Examples, bare_rows, read_labels, to_examples
from smallprint.data.normalise import normal_forms
from smallprint.data.read import Source
from smallprint.data.schema import Schema
from smallprint.data.split_column import ROW, Parts, read_parts, split_values
from smallprint.data.stratify import Unit, assign_parts

NO_LABEL = -1


@dataclass(frozen=True)
class Splits:
    """The three splits.

    Attributes:
        train: Examples to learn from.
        validation: Examples to choose by: epochs, thresholds.
        open_test: Gives the test examples; a ready test file is opened by this call and not before.
        made: In words, where the splits come from.
        extra: Rows of another table, which stand at the end of train; None where none was named.
    """

    train: Examples
    validation: Examples
    open_test: Callable[[], Examples]
    made: str
    extra: Examples | None = None

    @property
    def own_train(self) -> Examples:
        """Train without the extra rows."""
        if self.extra is None:
            return self.train
        return Examples("train", self.train.frame.head(len(self.train) - len(self.extra)), self.train.dropped)


def split_source(source: Source, schema: Schema, config: DataConfig, seed: int) -> Splits:
    """Train and validation examples, and a way to open test.

    Args:
        source: Where the rows come from.
        schema: What the columns mean.
        config: Split column, and shares of splits that are not there.
        seed: Decides which rows go where; the same seed gives the same splits on every machine.

    Raises:
        DataError: There are too few rows or groups, or validation has a label that train has not.
    """
    parts = read_parts(source, config, ("train", "validation"))
    examples = {
        split: to_examples(frame.with_columns(parts.rows[split].alias(ROW)), schema, split, source)
        for split, frame in parts.frames.items()
    }
    shares = {"validation": config.validation_share, "test": config.test_share}
    missing = {split: share for split, share in shares.items() if split not in parts.present}
    if "validation" in examples:
        _check_trained(examples["validation"].labels, schema, "validation")
    carved = _carve(examples["train"], missing, schema, seed, source.name) if missing else {}
    train = carved.get("train", examples["train"])
    validation = carved.get("validation") or examples["validation"]
    test = carved.get("test")

    def open_test() -> Examples:
        return test if test is not None else _read_test(source, schema, config)

    dropped = sum(part.dropped for part in examples.values())
    said = f" {counted(dropped, 'row')} without {schema.left_out} left out." if dropped else ""
    return Splits(train, validation, open_test, _say(parts, missing, schema, seed) + said)


def fold_examples(
    examples: Examples, names: Sequence[str], folds: int, seed: int, setting: str = ""
) -> NDArray[np.int64]:
    """The fold of each example, `[n]` from 0: groups whole (equal texts together where there are none), label shares kept.

    Args:
        examples: To be parted.
        names: The labels, in order.
        folds: How many parts.
        seed: The same seed gives the same folds on every machine.
        setting: Where the user says how many folds, for the message; empty where nobody does.

    Raises:
        DataError: Fewer groups, or different texts, than folds; or too few of each label.
    """
    grouped = any(group is not None for group in examples.groups)
    units, rows_of = label_units(examples, names, grouped)
    if len(units) < folds:
        raise DataError(
            f"{len(units):,} {'groups' if grouped else 'different texts'} are too few for {folds} folds.",
            f"at least {folds}, as each stays whole",
            f"Set {setting} to {len(units)} or fewer, or label more." if setting and len(units) > 1 else "Label more.",
        )
    # the first part takes each label's first example, so that none is missing there: no matter here
    shares = {f"fold {number}": 1 / folds for number in range(1, folds + 1)}
    return part_rows(units, rows_of, shares, seed, grouped)


def check_test_labels(source: Source, schema: Schema) -> None:
    """Look at the label columns of a ready test split, and at nothing else of it.

    Rows without a label pass where they are left out, and where those without text are: which those are is seen when test is opened.

    Raises:
        DataError: It has a label that train has not, or rows whose labels do not fit the task.
    """
    labels = list(schema.labels)
    if "test" in source.splits:
        frame = source.read("test", labels)
        rows = pl.int_range(frame.height, dtype=pl.UInt32, eager=True)
    elif not source.splits and schema.split_column:
        whole = source.read(None, [*labels, schema.split_column])
        values = split_values(whole[schema.split_column], schema.split_column, source)
        rows = (values == "test").arg_true()
        frame = whole.filter(values == "test").select(labels)
    else:
        return
    dropping = "drop" in (schema.empty_label, schema.empty_text)
    kept = ~bare_rows(frame, replace(schema, empty_label="drop" if dropping else "error"))
    frame, rows = frame.filter(kept), rows.filter(kept)
    lists = read_labels(frame, schema, "test", lambda position: source.place("test", int(rows[position])))
    _check_trained(lists, schema, "test")


def _read_test(source: Source, schema: Schema, config: DataConfig) -> Examples:
    parts = read_parts(source, config, ("test",))
    return to_examples(parts.frames["test"].with_columns(parts.rows["test"].alias(ROW)), schema, "test", source)


def _check_trained(lists: Sequence[Sequence[str]], schema: Schema, split: str) -> None:
    unused = set(schema.unused)
    counts = {name: sum(name in labels for labels in lists) for name in sorted(unused)}
    strange = {name: count for name, count in counts.items() if count}
    if strange:
        told = ", ".join(f"{name!r} ({count:,} rows)" for name, count in strange.items())
        raise DataError(
            f"The {split} split has labels that train has no example of: {told}.",
            f"labels of the train split: {quoted([name for name in schema.names if name not in unused])}",
            f"{nearest(next(iter(strange)), [n for n in schema.names if n not in unused])} "
            f"Move some of their rows to train, or take these labels out of {split}.".strip(),
        )


def label_units(examples: Examples, names: Sequence[str], grouped: bool) -> tuple[list[Unit], list[list[int]]]:
    """What stays together (groups, or equal texts): the labels of each unit, and its rows."""
    rows_of: dict[str, list[int]] = {}
    for row, key in enumerate(_unit_keys(examples, grouped)):
        rows_of.setdefault(key, []).append(row)
    return [_unit(rows, examples.labels, names) for rows in rows_of.values()], list(rows_of.values())


def part_rows(
    units: Sequence[Unit],
    rows_of: Sequence[Sequence[int]],
    shares: dict[str, float],
    seed: int,
    grouped: bool,
    where: str = "",
) -> NDArray[np.int64]:
    """The part of each row, `[n]` from 0 in the order of `shares`.

    Args:
        units: What stays together.
        rows_of: The rows of each.
        shares: Of rows, by the part's name.
        seed: Decides ties.
        grouped: Units are groups.
        where: The source, for the message.

    Raises:
        DataError: A part would have no row.
    """
    assigned = assign_parts(units, list(shares.values()), seed, whole_groups=grouped)
    names = list(shares)
    if empty := [name for part, name in enumerate(names) if part not in assigned]:
        raise DataError(
            f"{f'{where}: nothing' if where else 'Nothing'} is left for {' and '.join(empty)}: "
            f"{names[0]} needs all rows to have each label once.",
            "several rows (or groups) of each label",
            "Label more rows, or take out labels with very few.",
        )
    part_of = np.zeros(sum(map(len, rows_of)), dtype=np.int64)
    for part, rows in zip(assigned, rows_of, strict=True):
        part_of[rows] = part
    return part_of


def _carve(examples: Examples, missing: dict[str, float], schema: Schema, seed: int, where: str) -> dict[str, Examples]:
    """Train and the missing splits, out of one set of examples."""
    grouped = schema.group is not None
    units, rows_of = label_units(examples, schema.names, grouped)
    _check_enough(len(examples), len(units), missing, schema, where)
    shares = {"train": 1 - sum(missing.values()), **missing}
    part_of = pl.Series(part_rows(units, rows_of, shares, seed, grouped, where))
    return {name: Examples(name, examples.frame.filter(part_of == i)) for i, name in enumerate(shares)}


def _unit_keys(examples: Examples, grouped: bool) -> list[str]:
    """What keeps rows together: their group, or the same text (but for case, spaces and punctuation) where there are no groups."""
    if not grouped:
        return normal_forms(examples.frame["text"]).to_list()
    return [f"={group}" if group is not None else f"row {row}" for row, group in enumerate(examples.groups)]


def _unit(rows: Sequence[int], labels: Sequence[Sequence[str]], names: Sequence[str]) -> Unit:
    ids = {name: i for i, name in enumerate(names)}
    counts: dict[int, int] = {}
    for row in rows:
        for label in [ids[name] for name in labels[row]] or [NO_LABEL]:
            counts[label] = counts.get(label, 0) + 1
    return Unit(len(rows), counts)


def _check_enough(rows: int, units: int, missing: dict[str, float], schema: Schema, where: str) -> None:
    fewest = max(ceil(1 / share) for share in missing.values())
    if rows < fewest:
        raise DataError(
            f"{where}: {rows:,} train rows are too few to make {' and '.join(missing)} from.",
            f"at least {fewest} rows for these shares ({', '.join(f'{k} {v:g}' for k, v in missing.items())})",
            "Label more rows, or give ready splits.",
        )
    if units <= len(missing):
        what = f"groups in {schema.group!r}" if schema.group else "different texts"
        raise DataError(
            f"{where}: {units:,} {what} are too few to make {' and '.join(missing)} from.",
            f"at least {len(missing) + 1}, as each stays whole in one split",
            "Name another group column with --group, or give ready splits."
            if schema.group
            else "Check the text column.",
        )


def _say(parts: Parts, missing: dict[str, float], schema: Schema, seed: int) -> str:
    by = f"column '{parts.split_column}'" if parts.split_column else "files"
    if not missing:
        return f"Train, validation and test are ready (by {by})."
    kept = f"groups of '{schema.group}' whole" if schema.group else "equal texts together"
    said = " and ".join(f"{split} ({share:.0%} of rows)" for split, share in missing.items())
    ready = (
        f" {' and '.join(s for s in parts.present).capitalize()} are ready (by {by})." if len(parts.present) > 1 else ""
    )
    return f"{said.capitalize()} carved out of train, {kept}, label shares kept, seed {seed}.{ready}"
