"""What the table says. In: a source and the settings. Out: a `Schema`: columns, form of labels, task, label names.

It reads train and validation and never test. Names come from train alone where a train split is ready, so that a label
which train lacks can be reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from smallprint.core.config import DataConfig, Task
from smallprint.core.errors import DataError
from smallprint.core.naming import nearest, quoted
from smallprint.data.label_forms import Form, detect_form, known_ids, names_of_ids, read_label_lists
from smallprint.data.label_rows import read_label_parts, read_label_rows
from smallprint.data.read import Source

MAX_LABELS = 2000
POSITIVE = frozenset(
    {
        "1",
        "1.0",
        "true",
        "t",
        "yes",
        "y",
        "positive",
        "pos",
        "unfair",
        "spam",
        "toxic",
        "hate",
        "hateful",
        "offensive",
        "abusive",
        "fraud",
        "phishing",
        "relevant",
    }
)
NOT = ("not ", "not_", "not-", "non ", "non_", "non-", "no ", "no_", "no-")
_FORM_WORDS = {
    "list": "lists",
    "delimited": "delimited strings",
    "onehot": "0/1 columns",
    "name": "names",
    "ids": "ids",
}


@dataclass(frozen=True)
class Schema:
    """What was detected.

    Attributes:
        text: The text column.
        labels: The label columns: one, or several 0/1 columns.
        form: How labels are written.
        group: Column whose rows stay in one split, or None.
        task: The task.
        names: Label names; for binary exactly [negative, positive].
        any_label: Whether binary stands for "any label" of data with several labels.
        said: One sentence for the user on what was found.
        delimiter: Joins labels in form 'delimited'.
        ids: Label names in id order, where whole numbers stand for them in every split; else None.
        unused: Label names that the source gives and train never uses.
        empty_text: What to do with rows that have no text.
        split_column: Column that names each row's split in an undivided table, or None.
        empty_label: What to do with rows that have no label, where each has one.
    """

    text: str
    labels: tuple[str, ...]
    form: Form
    group: str | None
    task: Task
    names: list[str]
    any_label: bool
    said: str
    delimiter: str = "|"
    ids: tuple[str, ...] | None = None
    unused: tuple[str, ...] = ()
    empty_text: Literal["error", "drop"] = "error"
    split_column: str | None = None
    empty_label: Literal["error", "drop"] = "error"

    @property
    def left_out(self) -> str:
        """What rows lack that are left out, in words."""
        return "text or label" if self.empty_label == "drop" else "text"


def detect_schema(source: Source, config: DataConfig) -> Schema:
    """Columns, form of labels, task and label names of a source, by the settings and else by its content.

    Raises:
        DataError: A column is missing or cannot be told, labels cannot be read, or do not fit the task.
    """
    where = source.name
    found = read_label_rows(source, config)
    text, labels, group, rows = found.text, found.labels, found.group, found.rows
    listed = source.names_of(labels)
    form, delimiter = detect_form(rows["train"].frame, labels, config.delimiter, listed)
    if form == "name" and config.task == "multilabel":
        form = "delimited"
    lists: dict[str, list[list[str]]] = {}
    places = {split: row_places(source, split, part.first.tolist()) for split, part in rows.items()}
    for split, part in rows.items():
        try:
            lists[split] = read_label_lists(part.frame, labels, form, delimiter, None, places[split])
        except DataError:  # told anew with the place and number of rows in the whole table
            parts = read_label_parts(source, config, found)
            read_label_lists(parts.frames[split], labels, form, delimiter, None, parts.place(source, split))
            raise
    if (ids := known_ids(lists["train"], listed)) is not None:
        lists = {split: names_of_ids(part_lists, labels[0], ids, places[split]) for split, part_lists in lists.items()}
    times = rows["train"].counts.tolist()
    counts: Counter[str] = Counter()
    for n, row in zip(times, lists["train"], strict=True):
        counts.update(dict.fromkeys(row, n))
    try:
        names = _label_names(counts, listed, labels, where, source, lists["train"], places["train"])
    except DataError:  # as above
        parts = read_label_parts(source, config, found)
        whole = read_label_lists(parts.frames["train"].select(labels), labels, form, delimiter, ids, str)
        _label_names(counts, listed, labels, where, source, whole, parts.place(source, "train"))
        raise
    bare_left_out = config.task == "multiclass" and config.empty_label == "drop"
    odd = _first_odd_row(lists, places, bare_left_out) if form in ("list", "delimited", "onehot") else ""
    bare = sum(n for n, row in zip(times, lists["train"], strict=True) if not row)
    heights = {split: int(part.counts.sum()) for split, part in rows.items()}
    task, any_label = _choose_task(config, odd, counts, heights["train"], bare, len(names), labels, where)
    notes = []
    if task == "binary":
        names, why = _binary_names(config, names if not any_label else [], counts, any_label, labels, where)
        notes.append(f"positive label {names[1]!r} ({why})")
    unused = tuple(name for name in names if counts[name] == 0) if not any_label else ()
    if unused:
        notes.append(f"never used in train: {quoted(unused)}")
    said = _say(heights, text, labels, form, group, task, len(names), any_label, counts, notes)
    return Schema(
        text,
        labels,
        form,
        group,
        task,
        names,
        any_label,
        said,
        delimiter,
        tuple(ids) if ids else None,
        unused,
        config.empty_text,
        found.split_column,
        config.empty_label,
    )


def label_order(names: Sequence[str]) -> list[str]:
    """Names sorted: by value where all are whole numbers, else as strings."""
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def check_known(
    lists: Sequence[Sequence[str]], names: Sequence[str], split: str, place: Callable[[int], str], do: str = ""
) -> None:
    """Raise a DataError that names the labels outside `names`, their rows, the first place and the nearest name."""
    known = set(names)
    strange = Counter(label for row in lists for label in set(row) if label not in known)
    if not strange:
        return
    first = next(row for row, labels in enumerate(lists) if any(label in strange for label in labels))
    told = ", ".join(f"{label!r} ({count:,} rows)" for label, count in strange.most_common(8))
    more = f" and {len(strange) - 8:,} more" if len(strange) > 8 else ""
    near = nearest(next(iter(strange.most_common(1)))[0], list(names))
    raise DataError(
        f"The {split} split has labels that are not known: {told}{more}; first at {place(first)}.",
        f"labels of the train split: {quoted(names)}",
        do or f"{near} Correct the label, or add examples of it to train.".strip(),
    )


def _label_names(
    counts: Counter[str],
    ids: list[str] | None,
    labels: Sequence[str],
    where: str,
    source: Source,
    rows: list[list[str]],
    place: Callable[[int], str],
) -> list[str]:
    column = _named(labels)
    if not counts:
        raise DataError(
            f"{where}: column {column!r} has no label in any row.",
            "at least two labels",
            "Check that it is the label column.",
        )
    if len(counts) > MAX_LABELS:
        raise DataError(
            f"{where}: column {column!r} has {len(counts):,} different labels.",
            f"at most {MAX_LABELS:,}",
            f"Is {column!r} really the label column? Name another with --labels COLUMN.",
        )
    if ids is not None:
        check_known(rows, ids, "train", place, "Correct the label, or add it where the names are listed (labels.txt).")
        return list(ids)
    return label_order(list(counts))


def row_places(source: Source, split: str, first: list[int]) -> Callable[[int], str]:
    """A different row's place in words, from where it first stands."""
    return lambda row: source.place(split, first[row])


def _first_odd_row(
    lists: dict[str, list[list[str]]], places: dict[str, Callable[[int], str]], bare_left_out: bool
) -> str:
    """Place of the first row that has no label (unless these are left out) or several; '' where there is none."""
    for split, rows in lists.items():
        for row, labels in enumerate(rows):
            if len(labels) > 1 or not (labels or bare_left_out):
                return f"{places[split](row)}: {quoted(labels) if labels else 'no label'}"
    return ""


def _choose_task(
    config: DataConfig,
    odd: str,
    counts: Counter[str],
    rows: int,
    bare: int,
    n_names: int,
    labels: Sequence[str],
    where: str,
) -> tuple[Task, bool]:
    """The task, and whether binary means "any label"; `odd` is the first row without exactly one label, or ''."""
    several = bool(odd)
    column, used = _named(labels), len(counts)
    if used == 1 and (not several or max(counts.values()) == rows):
        raise DataError(
            f"{where}: every row has the same label, {next(iter(counts))!r}, in {column!r}.",
            "at least two labels",
            "Add examples of another label, or name another column with --labels COLUMN.",
        )
    if config.task == "multilabel":
        return "multilabel", False
    if config.task == "multiclass" and several:
        raise DataError(
            f"{where}: task 'multiclass', but rows in {column!r} have several labels or none; first at {odd}.",
            "exactly one label a row",
            "Use --task multilabel, or give each row one label"
            + (", or leave these rows out: --set data.empty_label=drop." if odd.endswith(": no label") else "."),
        )
    if config.task == "binary" and not several and used > 2:
        raise DataError(
            f"{where}: task 'binary', but {column!r} has {used:,} labels: {quoted(label_order(list(counts)))}.",
            "two labels, or rows with any number of labels",
            "Use --task multiclass.",
        )
    if several:
        if config.task != "binary" and n_names > 1:
            return "multilabel", False
        if not bare:
            raise DataError(
                f"{where}: task 'binary' means any label or none here, and every row in {column!r} has a label.",
                "some rows without a label",
                "Use --task multilabel.",
            )
        return "binary", True
    if config.task == "multiclass" or (config.task == "auto" and n_names > 2):
        return "multiclass", False
    return "binary", False


def _binary_names(
    config: DataConfig, names: list[str], counts: Counter[str], any_label: bool, labels: Sequence[str], where: str
) -> tuple[list[str], str]:
    """[negative, positive], and why the positive one was chosen."""
    if any_label:
        only = next(iter(counts)) if len(counts) == 1 else "any"
        return ["none", config.positive or only], "a row with any label"
    names = [name for name in names if counts[name]]
    if config.positive is not None:
        if config.positive not in names:
            raise DataError(
                f"{where}: the positive label {config.positive!r} (data.positive) is not in {', '.join(labels)!r}.",
                f"one of {quoted(names)}",
                nearest(config.positive, names) or "Correct the setting.",
            )
        return [next(name for name in names if name != config.positive), config.positive], "as set"
    usual = [name for name in names if name.lower() in POSITIVE]
    if len(usual) != 1:
        usual = [name for name in names if any(other.lower() == word + name.lower() for other in names for word in NOT)]
    if len(usual) == 1:
        return [
            next(name for name in names if name != usual[0]),
            usual[0],
        ], "by its name; --set data.positive=NAME changes it"
    rarer = min(names, key=lambda name: (counts[name], name))
    return [next(n for n in names if n != rarer), rarer], "the rarer one; --set data.positive=NAME changes it"


def _say(
    heights: dict[str, int],
    text: str,
    labels: Sequence[str],
    form: Form,
    group: str | None,
    task: Task,
    n_names: int,
    any_label: bool,
    counts: Counter[str],
    notes: list[str],
) -> str:
    rows = " + ".join(f"{height:,}" for height in heights.values())
    where = f"{len(labels)} columns" if len(labels) > 1 else f"'{labels[0]}'"
    number = len(counts) if any_label else n_names
    kind = f"{task} (any label or none)" if any_label else task
    said = (
        f"Found {rows} rows, text in '{text}', {number:,} label{'s' * (number != 1)} in {where} ({_FORM_WORDS[form]})"
    )
    if group:
        said += f", groups in '{group}'"
    return f"{said}: {kind}" + "".join(f"; {note}" for note in notes) + "."


def _named(columns: Sequence[str], most: int = 12) -> str:
    """Gives the names of columns; a long list is cut and says so."""
    more = f" and {len(columns) - most:,} more" if len(columns) > most else ""
    return ", ".join(columns[:most]) + more
