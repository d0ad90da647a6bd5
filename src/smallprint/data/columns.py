"""Which column is which. In: a table's first look and the settings. Out: names of the text, label and group columns.

A column that the user names must be there, and is taken for what they say: numbers as texts too, of which `check` and the log of a
training warn. Else it is found by its name, else by what it holds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from smallprint.core.config import DataConfig
from smallprint.core.errors import DataError
from smallprint.core.naming import nearest, quoted
from smallprint.data.label_forms import is_flag_column

TEXT_NAMES = ("text", "clause", "sentence", "content", "document_text", "body", "question", "utterance")
LABEL_NAMES = (
    "labels",
    "label",
    "category",
    "intent",
    "class",
    "target",
    "tags",
    "topic",
    "topics",
    "categories",
    "intents",
)
GROUP_NAMES = ("group", "document", "company", "doc_id", "document_id", "contract", "source_id")
LONG_CHARS = 20
LOOKED_AT_ROWS = 1000
DATE = r"^\s*(\d{4}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4})"
OTHER_SEPARATORS = "|\t;,^~"


def find_columns(frame: pl.DataFrame, config: DataConfig, where: str) -> tuple[str, tuple[str, ...], str | None]:
    """The text column, the label columns and the group column (None where there is none).

    Raises:
        DataError: A column that the settings name is not there, or none can be found.
    """
    split = {config.split} if config.split else set()
    group = require_column(frame.columns, config.group, "data.group", where) if config.group else None
    named = find_named_labels(frame, config, where)
    taken = split | {group or ""} | set(named)
    try:
        text = find_text(frame, config.text, where, taken)
    except DataError:
        _check_not_text(frame, named, config, where)
        raise
    single = [name for name, kind in frame.schema.items() if not kind.is_nested()]
    if group and group not in single:
        raise DataError(
            f"{where}: the group column {group!r} holds {frame.schema[group]}.",
            "one group a row",
            f"Name another column with --group; the columns are {quoted(frame.columns)}.",
        )
    group = group or _by_name(single, GROUP_NAMES, {text} | set(named) | split)
    labels = named or _find_labels(frame, {text, group or ""} | split, where)
    if text in labels or group in labels:
        raise DataError(
            f"{where}: column {text if text in labels else group!r} is both a label column and another.",
            "different columns for text, labels and group",
            f"Name them with --text, --labels and --group; the columns are {quoted(frame.columns)}.",
        )
    return text, labels, group


def find_text(frame: pl.DataFrame, wanted: str | None, where: str, taken: Collection[str] = ()) -> str:
    """The text column: the wanted one, else the first known name, else the only column of long strings.

    Raises:
        DataError: The wanted column is missing or holds no strings, or none or several could be meant.
    """
    columns = frame.columns
    if wanted:
        name = require_column(columns, wanted, "data.text", where)
        if not _holds_text(frame[name]):
            raise not_text(frame, name, where)
        return name
    strings = [name for name in columns if name not in taken and _holds_text(frame[name])]
    if found := _by_name(strings, TEXT_NAMES, set()):
        return found
    head = frame.head(LOOKED_AT_ROWS)
    long = [name for name in strings if _median_chars(head[name]) >= LONG_CHARS]
    candidates = long or [name for name in strings if not _holds_numbers(head[name])]
    if len(candidates) != 1:
        what = f"several columns could be the text: {quoted(candidates)}" if candidates else "no column looks like text"
        raise DataError(
            f"{where}: {what}; the columns are {quoted(columns)}.",
            f"a column named {', '.join(TEXT_NAMES[:4])}..., or just one with long strings",
            "Name it with --text COLUMN (data.text).",
        )
    return candidates[0]


def not_text(frame: pl.DataFrame, name: str, where: str) -> DataError:
    """The error for a text column that holds something else."""
    return DataError(
        f"{where}: the text column {name!r} holds {frame.schema[name]}.",
        "strings",
        f"Name another column with --text; the columns are {quoted(frame.columns)}.",
    )


def require_column(columns: Sequence[str], name: str, setting: str, where: str) -> str:
    """The name, when such a column is there.

    Raises:
        DataError: It is not; the message has the columns found and the nearest.
    """
    if name in columns:
        return name
    raise DataError(
        f"{where} has no column {name!r} ({setting}); it has {quoted(columns)}.",
        "the name of a column in the table",
        nearest(name, columns) or "Correct the name.",
    )


def find_named_labels(frame: pl.DataFrame, config: DataConfig, where: str) -> tuple[str, ...]:
    """The label columns that the settings name, else the one with a known name; () where neither tells.

    Raises:
        DataError: A column that the settings name is not there.
    """
    if config.labels is None:
        name = _by_name(frame.columns, LABEL_NAMES, {config.text or "", config.group or "", config.split or ""})
        return (name,) if name else ()
    if config.labels in frame.columns:
        return (config.labels,)
    names = [name.strip() for name in config.labels.split(",")]
    return tuple(dict.fromkeys(require_column(frame.columns, name, "data.labels", where) for name in names))


def _check_not_text(frame: pl.DataFrame, labels: Sequence[str], config: DataConfig, where: str) -> None:
    """Raise a DataError where no text was found because the settings name its column for the labels."""
    head = frame.head(LOOKED_AT_ROWS)
    long = [name for name in labels if _holds_text(head[name]) and _median_chars(head[name]) >= LONG_CHARS]
    if config.labels and not config.text and long:
        raise DataError(
            f"{where}: the label column {long[0]!r} (data.labels) holds long texts, and it is not told which other column does; "
            f"the columns are {quoted(frame.columns)}.",
            "the text in one column, the labels in another",
            _likely_labels(frame, set(labels)) or "Name the label column with --labels and the text with --text.",
        )


def _likely_labels(frame: pl.DataFrame, taken: set[str]) -> str:
    """Advice that names the one column of few different strings, or nothing where there is none or several."""
    looked = frame.head(LOOKED_AT_ROWS)
    lists = [name for name, kind in looked.schema.items() if name not in taken and isinstance(kind, pl.List)]
    few = lists or [
        name
        for name in looked.columns
        if name not in taken
        and looked[name].dtype == pl.String
        and 2 <= looked[name].drop_nulls().n_unique() <= looked.height / 2
        and not looked[name].str.contains(DATE).all()
    ]
    return f"Perhaps --labels {few[0]}; else name another column (data.labels)." if len(few) == 1 else ""


def _other_separator(frame: pl.DataFrame) -> str:
    """Advice where one column's name has signs that part fields elsewhere, or nothing."""
    signs = [sign for sign in OTHER_SEPARATORS if sign in frame.columns[0]] if frame.width == 1 else []
    return f"There is one column: if {signs[0]!r} parts its fields, write commas, semicolons or tabs." if signs else ""


def _find_labels(frame: pl.DataFrame, taken: set[str], where: str) -> tuple[str, ...]:
    flags = tuple(name for name in frame.columns if name not in taken and is_flag_column(frame[name]))
    if flags:
        return flags
    raise DataError(
        f"{where}: no column looks like labels; the columns are {quoted(frame.columns)}.",
        f"a column named {', '.join(LABEL_NAMES[:4])}..., or columns with 0 and 1",
        _other_separator(frame) or _likely_labels(frame, taken) or "Name it with --labels COLUMN (data.labels).",
    )


def _by_name(columns: Sequence[str], names: Sequence[str], taken: set[str]) -> str | None:
    lower = {column.lower().strip(): column for column in reversed(columns) if column not in taken}
    return next((lower[name] for name in names if name in lower), None)


def _holds_text(values: pl.Series) -> bool:
    return values.dtype in (pl.String, pl.Categorical) or isinstance(values.dtype, pl.Enum)


def _holds_numbers(values: pl.Series) -> bool:
    text = values.cast(pl.String)
    return is_flag_column(values) or not (text.cast(pl.Float64, strict=False).is_null() & text.is_not_null()).any()


def _median_chars(values: pl.Series) -> float:
    median = values.cast(pl.String).str.len_chars().median()
    return float(median) if isinstance(median, int | float) else 0.0
