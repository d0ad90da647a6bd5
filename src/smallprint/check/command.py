"""`smallprint check DATA`: reads what can be read, looks at it step by step, and gives every finding at once.

read -> rows -> duplicates, near-copies -> labels, groups -> shift -> (deep) labels in doubt, meaning
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from smallprint.check.duplicates import check_duplicates, with_form
from smallprint.check.findings import GRAVEST, Finding, Rows
from smallprint.check.labels import check_labels, support_table
from smallprint.check.near import check_near
from smallprint.check.reading import read_rows, unchanged
from smallprint.check.rows import check_rows
from smallprint.check.shift import check_shift
from smallprint.core.config import DataConfig
from smallprint.core.progress import Say, say_nothing
from smallprint.data.read import SPLITS, Source, open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split_column import read_parts


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        data: As it was named.
        said: What the table was taken for.
        rows: Rows by split.
        support: Examples of each label by split.
        findings: The gravest first.
        seconds: By step.
    """

    data: str
    said: str
    rows: dict[str, int]
    support: dict[str, dict[str, int]]
    findings: list[Finding]
    seconds: dict[str, float]

    def to_dict(self, texts: bool = True) -> dict[str, Any]:
        """A JSON-ready dict.

        `data`, `said`, `rows`, `support`, `seconds`, and `findings`, each with `kind`, `severity`, `found`, `do`, `count`,
        `at_least` (there may be more) and `places` (`split`, `row` from 0, `where`, `text`, `detail`).

        Args:
            texts: Quote the beginning of each text.
        """
        findings = [finding.to_dict() for finding in self.findings]
        for finding in () if texts else findings:
            for place in finding["places"]:
                place["text"] = ""
        return {
            "data": self.data,
            "said": self.said,
            "rows": self.rows,
            "support": self.support,
            "findings": findings,
            "seconds": self.seconds,
        }


def check_data(
    data: Any,
    config: DataConfig | None = None,
    *,
    deep: bool = False,
    splits: tuple[str, ...] = SPLITS,
    say: Say = say_nothing,
) -> Report:
    """Gives everything that is wrong with labelled data; nothing is changed, and no wrong row ends it.

    Args:
        data: As for `train`.
        config: Its columns.
        deep: Look for labels in doubt and for texts alike in meaning too, which takes a model.
        splits: Which to look at.
        say: Takes lines for a person.

    Raises:
        DataError: The data cannot be read at all, or changed while it was read.
    """
    config = config or DataConfig()
    return look(open_source(data, config.encoding), config, splits, deep=deep, say=say)


def look(
    source: Source, config: DataConfig, splits: tuple[str, ...], *, deep: bool = False, say: Say = say_nothing
) -> Report:
    """Gives the same of a source that is open.

    Raises:
        DataError: The data cannot be read at all, or changed while it was read.
    """
    with unchanged(source):
        return _look(source, config, splits, deep, say)


def _look(source: Source, config: DataConfig, splits: tuple[str, ...], deep: bool, say: Say) -> Report:
    seconds: dict[str, float] = {}
    clock = time.monotonic()

    def lap(name: str) -> None:
        nonlocal clock
        seconds[name], clock = round(time.monotonic() - clock, 3), time.monotonic()

    rows, said, findings = read_rows(source, config, splits)
    lap("read")
    findings += check_rows(rows)
    lap("rows")
    formed = with_form(rows)
    findings += check_duplicates(rows, formed)
    lap("duplicates")
    findings += check_near(rows, formed)
    lap("near")
    support = support_table(rows)
    findings += check_labels(rows, support)
    lap("labels")
    findings += check_shift(rows)
    lap("shift")
    if deep:
        findings += _deep(rows, formed, say)
        lap("deep")
    counts = {split: rows.frame.filter(pl.col("split") == split).height for split in rows.splits}
    order = {severity: i for i, severity in enumerate(GRAVEST)}
    if config.empty_text == "drop":  # asked for, so no error
        findings = [replace(found, severity="note") if found.kind == "empty-text" else found for found in findings]
    findings = rows.excerpts(findings)
    lap("texts")
    ranked = sorted(findings, key=lambda finding: order[finding.severity])
    return Report(source.name, said, counts, support, ranked, seconds)


def _deep(rows: Rows, formed: pl.DataFrame, say: Say) -> list[Finding]:
    from smallprint.check.embed import embed_texts
    from smallprint.check.semantic import check_semantic, joined
    from smallprint.check.suspects import MANY_LABELS, check_suspects, doubtable

    say("Reading every text with MiniLM.")
    rows = rows.in_memory()
    formed = formed.with_columns(rows.frame["text"].gather(formed["at"]))
    once = formed.unique("form", keep="first", maintain_order=True)
    vectors = joined(embed_texts(once["text"].to_list(), say))
    findings = check_semantic(rows, once, vectors)
    own = None
    if len(rows.label_names) > MANY_LABELS:  # an SVM a label would take minutes
        place = dict(zip(once["form"].to_list(), range(once.height), strict=True))
        chosen = [
            place[form]
            for form in doubtable(rows).join(
                formed.select("split", "row", "form"), on=["split", "row"], how="left", maintain_order="left"
            )["form"]
        ]
        own = vectors[chosen]
    return [*check_suspects(rows, own, say=say), *findings]


def clean_data(data: Any, config: DataConfig, out: str | Path) -> dict[str, int]:
    """Writes a cleaned copy of the data and a log of every change; see `fix.py`.

    Raises:
        DataError: The data cannot be understood, or changed while it was read.
        ConfigError: The folder is there already.
    """
    from smallprint.check.fix import fix_data

    source = open_source(data, config.encoding)
    with unchanged(source):
        schema = detect_schema(source, config.model_copy(update={"empty_text": "drop"}))
        rows, _, _ = read_rows(source, config, SPLITS)
        parts, rows = read_parts(source, config, SPLITS), rows.in_memory()
    return fix_data(source, parts, rows, schema, out)


def gravest(report: Report, most: int = 5) -> list[str]:
    """Gives a line for each of the gravest findings, notes left out."""
    grave = [finding for finding in report.findings if finding.severity != "note"]
    lines = [f"Data {finding.severity}: {finding.found}" for finding in grave[:most]]
    more = len(grave) - most
    return lines + ([f"{more} more: see `smallprint check`."] if more > 0 else [])


__all__ = ["Report", "check_data", "clean_data", "gravest"]
