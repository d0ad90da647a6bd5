"""Where labelled text comes from. In: a path, a frame, a data set, `hub:NAME` or `sample`. Out: a `Source`.

Opening a source reads no rows: a split is read when `Source.read` is called for it and not before, so the test split
stays closed until it is asked for. It does not say which column is the text; that is `schema`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import polars as pl

from smallprint.core.data_config import UTF_8
from smallprint.core.errors import DataError
from smallprint.core.naming import quoted
from smallprint.data.batches import BATCH_ROWS
from smallprint.data.formats import (
    JSON_LINES,
    SUFFIXES,
    check_file,
    place_in_file,
    read_batches,
    read_table,
    select_columns,
)
from smallprint.data.hub import open_hub, read_label_names
from smallprint.data.lines import decode_lines, empty_file

ALIASES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
SPLITS = ("train", "validation", "test")
LABELS_FILE = "labels.txt"


@dataclass(frozen=True)
class Table:
    """One table that is read when asked: `load(columns)` gives its rows, `batches(columns)` the same bit by bit where it is a file,
    `place(row)` a row's place in words. `uneven`: another batch may have further columns. `path`: its file. `lines()`: the rows
    of JSON Lines as they are written."""

    load: Callable[[list[str] | None], pl.DataFrame]
    place: Callable[[int], str]
    batches: Callable[[list[str] | None], Iterator[pl.DataFrame]] | None = None
    uneven: bool = False
    path: Path | None = None
    lines: Callable[[], Iterator[str]] | None = None


@dataclass(frozen=True)
class Source:
    """Labelled text that can be read split by split.

    Attributes:
        name: What the user called it, for messages.
        label_names: Names in id order, from `labels.txt` or the data set itself; None where nothing gives them.
        splits: The ready splits, of `train`, `validation`, `test`; empty for one undivided table.
    """

    name: str
    label_names: list[str] | None
    splits: tuple[str, ...]
    tables: Mapping[str, Table] = field(repr=False)
    column_label_names: Mapping[str, list[str]] = field(default_factory=dict, repr=False)

    def read(self, split: str | None, columns: list[str] | None = None) -> pl.DataFrame:
        """All rows of a split (None: the undivided table) in their order, or only some columns of them.

        Raises:
            DataError: There is no such split or column, or the table is damaged or empty.
        """
        return self._table(split).load(columns)

    def batches(self, split: str | None, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """The same rows some megabytes at a time; memory holds one batch where the table is a file other than Excel.

        A column of JSON Lines may have another type in another batch.

        Raises:
            DataError: As `read`.
        """
        table = self._table(split)
        return table.batches(columns) if table.batches else table.load(columns).iter_slices(BATCH_ROWS)

    def lines(self, split: str | None) -> Iterator[str] | None:
        """The rows as they are written, a JSON object each, where the table is a file of JSON Lines; else None.

        Raises:
            DataError: There is no such split; as the lines come, one is not readable.
        """
        lines = self._table(split).lines
        return None if lines is None else lines()

    @property
    def streams(self) -> bool:
        """Whether memory holds no more than a batch while this is read by `batches`."""
        return all(table.batches is not None for table in self.tables.values())

    def head(self, split: str | None) -> pl.DataFrame | None:
        """The first batch; None where later ones have columns that it lacks, as JSON Lines may.

        Raises:
            DataError: As `read`.
        """
        batches = self.batches(split)
        first = next(batches)
        further = self._table(split).uneven and any(len(batch.columns) > len(first.columns) for batch in batches)
        return None if further else first

    def stamps(self) -> list[tuple[int, ...]]:
        """Which files these are and when they were written: other numbers after any of them was written or replaced, [] without files."""
        paths = [table.path for _, table in sorted(self.tables.items()) if table.path is not None]
        return [_stamp(path) for path in paths]

    def place(self, split: str | None, row: int) -> str:
        """A row's place in words, such as 'train.csv, line 14'; `row` counts from 0."""
        return self._table(split).place(row)

    def names_of(self, labels: Sequence[str]) -> list[str] | None:
        """Label names in id order for the label column: its own, else the source's, else None; None for several columns."""
        return self.column_label_names.get(labels[0], self.label_names) if len(labels) == 1 else None

    def _table(self, split: str | None) -> Table:
        table = self.tables.get(split or "") if self.splits else self.tables[""]
        if table is None:
            raise DataError(
                f"{self.name} has no split {split!r}.",
                f"one of {', '.join(self.splits)}",
                "Name one of these splits, or add a file for the other.",
            )
        return table


def open_source(data: Any, encoding: str = UTF_8) -> Source:
    """A source for whatever holds the user's labelled text; reads no rows.

    Args:
        data: A file (CSV, TSV, JSON Lines, Parquet, Excel), a folder with `train`, `validation`, `test` files, a Polars
            or pandas frame, a dict `{split: frame}`, a Hugging Face `Dataset` or `DatasetDict`,
            `"hub:OWNER/NAME[/CONFIG]"`, or `"sample"` for the embedded corpus (`./sample` is a folder of that name).
        encoding: Of text in CSV, TSV and JSON Lines that is not UTF-8.

    Raises:
        DataError: It is not there, is of an unknown format, or has no train split.
        MissingExtraError: `hub:` without the package `datasets`.
    """
    if isinstance(data, Mapping):
        return _open_splits("data", data)
    if isinstance(data, str) and data.startswith("hub:"):
        loaded = open_hub(data.removeprefix("hub:"))
        return _open_splits(data, loaded if isinstance(loaded, Mapping) else {"train": loaded})
    if isinstance(data, str) and data == "sample":
        return Source("sample", None, (), {"": _sample_table()})
    if isinstance(data, str | os.PathLike):
        if not os.fspath(data):
            raise DataError("The path of the data is empty.", "a file or a folder", "Give the path of your table.")
        path = Path(data).expanduser()
        return _open_folder(path, encoding) if path.is_dir() else _open_file(path, encoding)
    names = read_label_names(data)
    return Source("data", _only(names), (), {"": _frame_table("data", data)}, names)


def _open_file(path: Path, encoding: str) -> Source:
    check_file(path)
    return Source(str(path), None, (), {"": _file_table(path, encoding)})


def _open_folder(folder: Path, encoding: str) -> Source:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = ALIASES.get(path.stem.lower())
        if split is None or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if split in found:
            raise DataError(
                f"{folder} has two files for {split}: {found[split].name} and {path.name}.",
                "one file a split",
                "Move one of them away.",
            )
        found[split] = path
    if "train" not in found:
        names = sorted(entry.name for entry in folder.iterdir())
        raise DataError(
            f"{folder} has no train file; it has {quoted(names) if names else 'nothing'}.",
            f"train{{{','.join(SUFFIXES)}}}, and validation and test files where there are any",
            "Name the file 'train', or give one table's path instead of the folder's.",
        )
    for path in found.values():
        check_file(path)
    splits = tuple(split for split in SPLITS if split in found)
    tables = {split: _file_table(found[split], encoding) for split in splits}
    return Source(str(folder), _read_labels_file(folder, encoding), splits, tables)


def _read_labels_file(folder: Path, encoding: str) -> list[str] | None:
    path = folder / LABELS_FILE
    if not path.is_file():
        return None
    with path.open("rb") as file:
        names = [line.strip() for line in decode_lines(file, str(path), encoding)]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise empty_file(str(path))
    for line, name in enumerate(names, start=1):
        if not name or name in names[: line - 1]:
            raise DataError(
                f"{path}, line {line}: " + (f"{name!r} stands a second time." if name else "the line is blank."),
                "one label name a line, in the order of the ids, each once",
                f"Correct {LABELS_FILE}.",
            )
    return names


def data_files(data: str) -> list[Path]:
    """Gives the file that is named, or the files in the folder that is named; none for what is neither."""
    place = Path(data).expanduser()
    if place.is_dir():
        return sorted(
            entry for entry in place.iterdir() if entry.suffix.lower() in SUFFIXES or entry.name == LABELS_FILE
        )
    return [place] if place.is_file() else []


def _open_splits(name: str, tables: Mapping[Any, Any]) -> Source:
    found: dict[str, Any] = {}
    for key, table in tables.items():
        split = ALIASES.get(str(key).lower())
        if split is None:
            continue
        if split in found:
            raise DataError(f"{name} has two tables for {split}.", "one table a split", "Leave one of them out.")
        found[split] = table
    if "train" not in found:
        raise DataError(
            f"{name} has no split 'train'; it has {quoted([str(key) for key in tables]) if tables else 'nothing'}.",
            "splits named train, validation, test",
            "Name the split with the examples to learn from 'train'.",
        )
    names = read_label_names(found["train"])
    splits = tuple(split for split in SPLITS if split in found)
    return Source(name, _only(names), splits, {s: _frame_table(s, found[s]) for s in splits}, names)


def _only(names: Mapping[str, list[str]]) -> list[str] | None:
    return next(iter(names.values())) if len(names) == 1 else None


def _file_table(path: Path, encoding: str) -> Table:
    batches = None if path.suffix.lower() == ".xlsx" else partial(read_batches, path, encoding=encoding)
    uneven = path.suffix.lower() in JSON_LINES
    load, place = partial(read_table, path, encoding=encoding), partial(place_in_file, path, encoding=encoding)
    return Table(load, place, batches, uneven, path, partial(_lines_of, path, encoding) if uneven else None)


def _lines_of(path: Path, encoding: str) -> Iterator[str]:
    with path.open("rb") as file:
        yield from (line for line in decode_lines(file, str(path), encoding) if line.strip())


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    # copying with the old time, or setting it, leaves the time of the last change to the file's entry
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _sample_table() -> Table:
    corpus = files("smallprint.data") / "corpus" / "sample.jsonl"

    def load(columns: list[str] | None) -> pl.DataFrame:
        with as_file(corpus) as path:
            return read_table(path, columns)

    def place(row: int) -> str:
        with as_file(corpus) as path:
            return place_in_file(path, row)

    return Table(load, place)


def _frame_table(name: str, data: Any) -> Table:
    convert = _converter(data, name)

    def load(columns: list[str] | None) -> pl.DataFrame:
        try:
            frame = convert()
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"The table {name!r} cannot be converted to a Polars frame ({str(error).strip()}).",
                "columns of one type each",
                "Convert the columns with mixed types to strings, or save the table as Parquet.",
            ) from error
        if frame.is_empty():
            raise empty_file(f"The table {name!r}")
        return select_columns(frame, columns, f"The table {name!r}")

    return Table(load, lambda row: f"{name}, row {row + 1}")


def _converter(data: Any, name: str) -> Callable[[], pl.DataFrame]:
    module, kind = type(data).__module__, type(data).__name__
    if isinstance(data, pl.DataFrame):
        return lambda: data
    if isinstance(data, pl.LazyFrame):
        return lambda: data.collect()
    if module.split(".")[0] == "pandas" and kind == "DataFrame":
        return lambda: _as_frame(pl.from_pandas(data))
    if hasattr(data, "to_polars") and hasattr(data, "features") and hasattr(data, "__len__"):
        return lambda: _as_frame(data.to_polars())
    raise DataError(
        f"{name}: an object of type {module}.{kind}.",
        "a path, a Polars or pandas frame, a dict of frames by split, a Hugging Face Dataset, 'hub:...' or 'sample'",
        "Turn it into one of these; a streaming data set must be loaded without streaming=True.",
    )


def _as_frame(value: Any) -> pl.DataFrame:
    if not isinstance(value, pl.DataFrame):
        raise TypeError(f"got {type(value).__name__}")
    return value
