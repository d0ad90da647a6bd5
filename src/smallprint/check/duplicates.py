"""Texts that stand more than once. In: rows. Out: findings: word for word, in another spelling, with other labels; across splits.

Texts are hashed, not compared one by one; equal hashes are found by sorting, which takes less memory than a table of them. Near-copies
are `near.py`'s.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.check.findings import SHOWN, Finding, Rows
from smallprint.core.freed import give_back
from smallprint.core.progress import counted
from smallprint.data.normalise import normal_forms

PAIRS = (("train", "test"), ("train", "validation"), ("validation", "test"))
SAID = pl.col("labels").list.sort().cast(pl.List(pl.String)).list.join("\x00").alias("said")  # equal where labels are


def with_form(rows: Rows) -> pl.DataFrame:
    """Gives the rows that have text, with `at` (position), `form` (64 bits of the normal form) and, where there are several
    splits, `exact` (64 bits of the text)."""
    several = len(rows.splits) > 1
    parts = [
        pl.DataFrame(
            [
                part.str.contains(r"\S").fill_null(False).alias("seen"),
                normal_forms(part).hash(1).alias("form"),
                *([part.hash(1).alias("exact")] if several else []),
            ]
        )
        for part in rows.texts()
    ]
    if not parts:
        return rows.frame.with_row_index("at").with_columns(form=pl.lit(0, pl.UInt64), exact=pl.lit(0, pl.UInt64))
    hashes = pl.concat(parts, rechunk=True)
    formed = pl.concat([rows.frame.with_row_index("at"), hashes], how="horizontal")
    return (formed if hashes["seen"].all() else formed.filter("seen")).drop("seen")


def first_places(forms: pl.Series) -> NDArray[np.uint32]:
    """Gives for each of the forms where it stands first, `[n]`: `[7, 9, 7]` gives `[0, 1, 0]`."""
    values = forms.to_numpy()
    order = np.argsort(values, kind="stable").astype(np.uint32)
    new = np.ones(len(values), dtype=bool)
    new[1:] = values[order[1:]] != values[order[:-1]]
    starts = np.flatnonzero(new)
    first = np.empty(len(values), dtype=np.uint32)
    first[order] = np.repeat(order[starts], np.diff(np.append(starts, len(values))))
    return first


def check_duplicates(rows: Rows, formed: pl.DataFrame) -> list[Finding]:
    """Gives copies across splits, inside splits, and copies with other labels.

    Args:
        rows: All.
        formed: As `with_form` gives them.
    """
    findings = [finding for earlier, later in PAIRS for finding in _across(rows, formed, earlier, later)]
    for split in rows.splits:
        findings += _inside(rows, formed, split)
    findings += _contradictions(rows, formed)
    give_back()
    return findings


def _across(rows: Rows, formed: pl.DataFrame, earlier: str, later: str) -> list[Finding]:
    if not {earlier, later} <= set(rows.splits):
        return []
    first, second = (formed.filter(pl.col("split") == split) for split in (earlier, later))
    if not first.height or not second.height:
        return []
    known = first.unique("form", keep="first", maintain_order=True).select("form", pl.col("row").alias("other"))
    copies = second.join(known, on="form", how="inner", maintain_order="left")
    if not copies.height:
        return []
    copies = copies.with_columns(pl.col("exact").is_in(first["exact"].implode()).alias("word_for_word"))
    exact = copies.filter("word_for_word")
    told = [
        f"{'word for word' if same else 'but for spelling'} as {rows.place(earlier, int(row))}"
        for same, row in copies.select("word_for_word", "other").head(SHOWN).iter_rows()
    ]
    return [
        Finding(
            f"{later}-in-{earlier}",
            "warning",
            f"{copies.height:,} texts of {later} stand in {earlier} too{_labelled(rows, copies)}, {exact.height:,} of them word "
            f"for word{_labelled(rows, exact)}.",
            f"Take the copies out of {earlier}; `--fix` does. Scores of {later} are too good by them.",
            copies.height,
            rows.places(copies, told),
        )
    ]


def _labelled(rows: Rows, part: pl.DataFrame) -> str:
    """Gives, where a text may be without a label, how many have one."""
    if rows.task != "multilabel":
        return ""
    return f" ({part.filter(pl.col('labels').list.len() > 0).height:,} with a label)"


def _inside(rows: Rows, formed: pl.DataFrame, split: str) -> list[Finding]:
    here = (formed["split"] == split).arg_true()
    first = first_places(formed["form"].gather(here))
    later = np.flatnonzero(first != np.arange(len(first)))
    extra = len(later)
    if not extra:
        return []
    shown = later[:SHOWN]
    told = [f"as {rows.place(split, int(row))}" for row in formed["row"].gather(here.gather(first[shown]))]
    return [
        Finding(
            f"repeated-in-{split}",
            "note",
            f"{counted(extra, 'text')} of {split} that {'repeats' if extra == 1 else 'repeat'} an earlier one.",
            "Harmless in small number; many weigh some texts more than others."
            + (" `--fix` removes those with equal labels." if split == "train" else ""),
            extra,
            rows.places(formed[here.gather(shown)], told),
        )
    ]


def _contradictions(rows: Rows, formed: pl.DataFrame) -> list[Finding]:
    if not rows.label_names:
        return []
    first = first_places(formed["form"])
    repeated = pl.Series(np.bincount(first, minlength=len(first))[first] > 1)
    several = formed.filter(repeated & formed["labels"].is_not_null())
    said = several.with_columns(SAID)
    odd = said.filter((pl.col("said").n_unique() > 1).over("form")).sort("form", maintain_order=True)
    if not odd.height:
        return []
    places = [
        replace(place, detail=", ".join(labels) or "no label")
        for place, labels in zip(rows.places(odd), odd["labels"].head(SHOWN), strict=True)
    ]
    texts = odd["form"].n_unique()
    return [
        Finding(
            "contradiction",
            "warning",
            f"{texts:,} texts stand more than once with other labels ({odd.height:,} rows).",
            "Decide which is right; the model can learn neither.",
            texts,
            places,
        )
    ]


__all__ = ["SAID", "check_duplicates", "first_places", "with_form"]
