"""All rows, as far as they can be read. In: a source and the settings. Out: `Rows`, and findings on what could not be read.

Files are read in batches, and their texts are not kept: `Rows.texts` reads them again. So memory holds labels and numbers of a row, and
a file may be larger than it. Tables in memory and Excel are held. What is read in several passes is matched by position: `unchanged`
holds that the file is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from smallprint.check.findings import Finding, Rows, changed
from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.core.freed import give_back
from smallprint.data.columns import not_text, require_column
from smallprint.data.examples import Examples, check_label_columns, to_examples
from smallprint.data.json_frames import join_json
from smallprint.data.read import SPLITS, Source
from smallprint.data.schema import Schema, detect_schema
from smallprint.data.split_column import ROW, part_batches, split_column


def row_types(names: Sequence[str], *, grouped: bool) -> dict[str, Any]:
    """Gives the columns of `Rows.frame`: a row is held as little as can be, since there may be millions.

    Args:
        names: All labels.
        grouped: Some row has a group.
    """
    return {
        "split": pl.Enum(SPLITS),
        "row": pl.UInt32,
        "text": pl.String,
        "labels": pl.List(pl.Enum(names)),
        "group": pl.String if grouped else pl.Null,
    }


@dataclass(frozen=True)
class _Wanted:
    """What is read: columns, by what is known of the table."""

    source: Source
    text: str
    split_column: str | None
    schema: Schema | None

    def texts(self, splits: Sequence[str]) -> Iterator[pl.Series]:
        for split, batch in part_batches(self.source, self.split_column, splits, self.columns(labels=False)):
            yield self.texts_in(batch, split)

    def texts_in(self, batch: pl.DataFrame, split: str) -> pl.Series:
        where = f"{self.source.name} ({split})" if self.source.splits else self.source.name
        return _texts(batch.drop(ROW), self.text, where)

    @property
    def kinds(self) -> dict[str, Any]:
        """The types of labels and groups."""
        schema = self.schema
        types = row_types(schema.names if schema else (), grouped=bool(schema and schema.group))
        return {name: types[name] for name in ("labels", "group")}

    def columns(self, labels: bool) -> list[str]:
        schema, more = self.schema, [self.split_column]
        if labels and schema is not None:
            more += [*schema.labels, schema.group]
        return list(dict.fromkeys([self.text, *(name for name in more if name)]))


@contextmanager
def unchanged(source: Source) -> Iterator[None]:
    """Lets what is done inside stand only where no file of the source was written or replaced meanwhile.

    Raises:
        DataError: One was; whatever else went wrong is taken for its consequence.
    """
    before = source.stamps()
    try:
        yield
    except Exception as error:
        if source.stamps() != before:
            raise changed(source.name) from error
        raise
    if source.stamps() != before:
        raise changed(source.name)


def read_rows(source: Source, config: DataConfig, splits: tuple[str, ...]) -> tuple[Rows, str, list[Finding]]:
    """Gives all rows, what the table was taken for, and what could not be read as findings.

    Raises:
        DataError: There is no text column, it holds no texts, or the table is damaged.
    """
    schema, said, findings = None, "", []
    try:
        schema = detect_schema(source, config)
        said = schema.said
    except DataError as error:
        findings.append(_unreadable("table-unreadable", error))
    wanted = _what_to_read(source, config, schema)
    here = tuple(split for split in splits if split in source.splits) if source.splits else splits
    frames: list[pl.DataFrame] = []
    for file in [(split,) for split in here] if source.splits else [here]:
        frames += _read_file(wanted, file, findings)
    whole = _stacked(frames) if frames else pl.DataFrame(schema=row_types((), grouped=False))

    def place(split: str, row: int) -> str:
        return source.place(split if source.splits else None, row)

    give_back()
    names = list(schema.names) if schema is not None else []
    read = (lambda: wanted.texts(here)) if source.streams else None
    return Rows(whole, place, names, "" if schema is None else schema.task, read), said, findings


def _stacked(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Gives frames one under the other, column by column; they are taken out of the list, so that no more than a column is held twice."""
    columns = []
    for name in frames[0].columns:
        columns.append(pl.concat([frame[name] for frame in frames], rechunk=True))
        frames[:] = [frame.drop(name) for frame in frames]
    return pl.DataFrame(columns)


def _what_to_read(source: Source, config: DataConfig, schema: Schema | None) -> _Wanted:
    if schema is not None:
        return _Wanted(source, schema.text, schema.split_column, schema)
    head = next(source.batches("train" if source.splits else None))
    split = None if source.splits else split_column(head.columns, config, source.name)
    looked = head.drop(split) if split else head
    text = require_column(looked.columns, _text_column(looked, config, source), "data.text", source.name)
    _texts(looked, text, source.name)
    return _Wanted(source, text, split, None)


def _read_file(wanted: _Wanted, splits: Sequence[str], findings: list[Finding]) -> list[pl.DataFrame]:
    """Gives the rows of one file, batch by batch; a row with none or several labels where the task wants one, and a split
    whose labels cannot be read, without labels."""
    source, schema = wanted.source, wanted.schema
    columns = wanted.columns(labels=True)
    try:
        next(source.batches(splits[0] if source.splits else None, columns))
    except DataError as error:
        columns = wanted.columns(labels=False)
        findings.append(_unreadable(f"labels-unreadable-in-{splits[0]}", error))
        schema = None
    frames: list[pl.DataFrame] = []
    broken: set[str] = set()  # a label is wrong somewhere
    unread: set[str] = set()  # so wrong that no label of the split is taken
    kinds = [pl.col(name).cast(kind) for name, kind in wanted.kinds.items()]
    for split, batch in part_batches(source, wanted.split_column, splits, columns):
        base = batch.select(
            pl.lit(split, pl.Enum(SPLITS)).alias("split"),
            pl.col(ROW).alias("row"),
            *([] if source.streams else [wanted.texts_in(batch, split).alias("text")]),
        )
        labels = base.select("row", pl.lit(None).alias("labels"), pl.lit(None).alias("group"))
        if schema is not None and split not in unread:
            try:
                labels, whole = _labels(batch, schema, split, source)
                broken |= set() if whole else {split}
            except DataError:
                broken.add(split)
                unread.add(split)
        frames.append(base.join(labels, on="row", how="left", maintain_order="left").with_columns(kinds))
    for split in [split for split in splits if split in broken]:
        assert schema is not None
        findings.append(_unreadable(f"labels-unreadable-in-{split}", _why(wanted, schema, split)))
    if not unread:
        return frames
    here = pl.col("split").is_in(sorted(unread))
    empty = [pl.when(~here).then(pl.col(name)) for name in wanted.kinds]
    return [frame.with_columns(empty) for frame in frames]


def _labels(batch: pl.DataFrame, schema: Schema, split: str, source: Source) -> tuple[pl.DataFrame, bool]:
    """Gives labels and groups of rows with text, and whether each has as many labels as the task wants; null where not.

    Raises:
        DataError: A label is not known, or cannot be read.
    """
    kept = replace(schema, empty_text="drop")
    try:
        return _told(to_examples(batch, kept, split, source, may_be_empty=True)), True
    except DataError:
        several = to_examples(batch, replace(kept, task="multilabel"), split, source, may_be_empty=True)
        return _told(several).with_columns(pl.when(pl.col("labels").list.len() == 1).then("labels")), False


def _told(examples: Examples) -> pl.DataFrame:
    return examples.frame.select("row", "labels", "group")


def _why(wanted: _Wanted, schema: Schema, split: str) -> DataError:
    """Gives the error that counts all rows of the split, not those of one batch."""
    parts = []
    for part, batch in part_batches(wanted.source, wanted.split_column, [split], wanted.columns(labels=True)):
        seen = pl.col(wanted.text).cast(pl.String).str.contains(r"\S").fill_null(False)
        if part == split:
            parts.append(batch.filter(seen).select(*dict.fromkeys(schema.labels), ROW))
    try:
        check_label_columns(join_json(parts), schema, split, wanted.source)
    except DataError as error:
        return error
    return DataError(f"The labels of {split} cannot be read.", "labels as in train", "Look at its label column.")


def _texts(frame: pl.DataFrame, column: str, where: str) -> pl.Series:
    """Gives the text column as strings; numbers and the like as they are written.

    Raises:
        DataError: It holds lists, bytes or objects, which are no texts.
    """
    kind = frame.schema[column]
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        raise not_text(frame, column, where)
    return frame[column].cast(pl.String, strict=False)


def _text_column(raw: pl.DataFrame, config: DataConfig, source: Source) -> str:
    """Gives the text column of a table that could not be understood: the named one, or the one with the longest strings."""
    if config.text is not None:
        return config.text
    lengths = {name: raw[name].str.len_chars().mean() or 0.0 for name in raw.columns if raw[name].dtype == pl.String}
    if not lengths:
        raise DataError(f"{source.name} has no column of text.", "a column of strings", "Name it with --text.")
    return max(lengths, key=lambda name: float(str(lengths[name])))


def _unreadable(kind: str, error: DataError) -> Finding:
    return Finding(kind, "error", error.found, error.do or error.expected, 1)


__all__ = ["read_rows", "row_types", "unchanged"]
