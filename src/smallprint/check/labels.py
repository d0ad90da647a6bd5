"""Labels and groups. In: rows. Out: findings.

Labels without enough examples, missing from a split, joined in one name, or bound to each other; groups that stand in two splits.
"""

from __future__ import annotations

from difflib import get_close_matches

import numpy as np
import polars as pl

from smallprint.check.findings import SHOWN, Finding, Place, Rows
from smallprint.core.progress import counted

FEW, HARDLY = 2, 5
MOST_LABELS = 400  # of more labels pairs are not counted
NEARLY = 0.8  # of the letters of two names, where one may be the other misspelt
JOINING = ",;/+&|"  # signs that people write between labels
STRONG = 0.9  # of the rarer label's examples have the other too


def support_table(rows: Rows) -> dict[str, dict[str, int]]:
    """Gives the examples of each label by split, in the order of the labels."""
    exploded = rows.frame.select("split", "labels").explode("labels").drop_nulls()
    counts = {(s, label): n for s, label, n in exploded.group_by("split", "labels").len().iter_rows()}
    return {split: {name: counts.get((split, name), 0) for name in rows.label_names} for split in rows.splits}


def check_labels(rows: Rows, support: dict[str, dict[str, int]]) -> list[Finding]:
    """Gives what is wrong with labels and groups.

    Args:
        rows: All.
        support: As `support_table` gives it.
    """
    findings = _support(rows, support) if rows.label_names else []
    return [*findings, *_joined(rows), *_bound(rows, support), *_groups(rows)]


def _support(rows: Rows, support: dict[str, dict[str, int]]) -> list[Finding]:
    train, findings = support.get("train", {}), []
    unread = rows.frame.filter(pl.col("split") == "train")["labels"].is_null().all()  # said apart, with the place
    absent = [] if unread else [name for name, n in train.items() if not n]
    if absent and rows.task != "binary":
        findings.append(
            Finding(
                "label-missing-from-train",
                "error",
                f"{len(absent):,} labels have no example in train: {_named(absent)}.",
                "Move some of their rows to train, or take the labels out.",
                len(absent),
            )
        )
    rare = [
        f"{name} ({n}{_alike(name, train)})"
        for name, n in sorted(train.items(), key=lambda item: item[1])
        if 0 < n < HARDLY
    ]
    if rare:
        single = sum(1 for n in train.values() if 0 < n < FEW)
        places = _places_of(rows, {name for name, n in train.items() if 0 < n < HARDLY})
        findings.append(
            Finding(
                "rare-label",
                "warning",
                f"{len(rare):,} labels have fewer than {HARDLY} examples in train{f', {single:,} of them one' if single else ''}: "
                f"{_named(rare)}.",
                "Label more of them, or merge them with a label that they belong to; see whether they are misspelt.",
                len(rare),
                places,
            )
        )
    for split in rows.splits[1:]:
        gone = [name for name, n in support[split].items() if not n and train.get(name)]
        if gone and len(gone) < len(rows.label_names):
            findings.append(
                Finding(
                    f"label-missing-from-{split}",
                    "note",
                    f"{len(gone):,} labels have no example in {split}: {_named(gone)}.",
                    f"Nothing can be said of them by {split}; split anew with label shares kept, or label more.",
                    len(gone),
                )
            )
    return findings


def _places_of(rows: Rows, names: set[str]) -> list[Place]:
    """Gives the first rows of train that have one of these labels, and which."""
    each = (
        rows.frame.select("split", "labels").with_row_index("at").filter(pl.col("split") == "train").explode("labels")
    )
    each = each.filter(pl.col("labels").cast(pl.String).is_in(sorted(names))).head(SHOWN)
    return rows.places(rows.frame[each["at"].to_list()], each["labels"].to_list())


def _joined(rows: Rows) -> list[Finding]:
    """Names that are several other names with a sign between them: a delimiter that was not told."""
    names = set(rows.label_names)
    for sign in JOINING:
        parts = {name: [part.strip() for part in name.split(sign)] for name in rows.label_names if sign in name}
        whole = [name for name, several in parts.items() if names >= set(several)]
        if len(whole) >= FEW:
            return [
                Finding(
                    "joined-labels",
                    "warning",
                    f"{len(whole):,} labels look like several labels joined by '{sign}': {_named([repr(name) for name in whole])}.",
                    f"If they are, --set 'data.delimiter=\"{sign}\"' reads them apart, and the task is multilabel.",
                    len(whole),
                )
            ]
    return []


def _alike(name: str, counts: dict[str, int]) -> str:
    """Gives ', like NAME' where a commoner label is spelt nearly so."""
    common = {other.casefold(): other for other, n in counts.items() if n >= HARDLY}
    if len(counts) > MOST_LABELS or not (near := get_close_matches(name.casefold(), common, n=1, cutoff=NEARLY)):
        return ""
    return f", like '{common[near[0]]}'"


def _bound(rows: Rows, support: dict[str, dict[str, int]]) -> list[Finding]:
    """Labels of which one hardly comes without the other."""
    names = rows.label_names
    if rows.task != "multilabel" or not 2 <= len(names) <= MOST_LABELS:
        return []
    number = {name: i for i, name in enumerate(names)}
    several = rows.frame.filter(pl.col("labels").list.len() > 1)["labels"].to_list()
    both = np.zeros((len(names), len(names)), dtype=np.int64)
    for labels in several:
        ids = [number[label] for label in labels]
        both[np.ix_(ids, ids)] += 1
    alone = np.array([sum(support[split][name] for split in support) for name in names])
    found = []
    for i in range(len(names)):
        for j in range(len(names)):
            if (
                i != j
                and alone[i] >= HARDLY
                and both[i, j] >= STRONG * alone[i]
                and (alone[i] < alone[j] or (alone[i] == alone[j] and i < j))
            ):
                found.append(f"'{names[i]}' with '{names[j]}' ({both[i, j]} of {alone[i]})")
    if not found:
        return []
    return [
        Finding(
            "bound-labels",
            "note",
            f"{len(found):,} labels hardly come without another: {_named(found)}.",
            "See whether one follows from the other; then one is enough.",
            len(found),
        )
    ]


def _groups(rows: Rows) -> list[Finding]:
    known = rows.frame.filter(pl.col("group").is_not_null())
    split_by = (
        known.group_by("group")
        .agg(pl.col("split").unique().sort())
        .filter(pl.col("split").list.len() > 1)
        .sort("group")
    )
    if not split_by.height:
        return []
    told = [f"{group} ({', '.join(splits)})" for group, splits in split_by.iter_rows()]
    where = known.filter(pl.col("group").is_in(split_by["group"].implode())).unique(
        "group", keep="first", maintain_order=True
    )
    return [
        Finding(
            "group-in-two-splits",
            "error",
            f"{counted(split_by.height, 'group')} in more than one split: {_named(told)}.",
            "Keep each group in one split: remove the split column or files and let --group split, or move the rows.",
            split_by.height,
            rows.places(where, [f"group {group}" for group in where["group"]]),
        )
    ]


def _named(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


__all__ = ["check_labels", "support_table"]
