"""Rows that are no good text: empty, damaged, full of what nobody sees, far too long. In: rows. Out: findings.

One vectorised pass a rule; no Python for each row. Lengths are judged against the data's own.
"""

from __future__ import annotations

import polars as pl

from smallprint.check.findings import Finding, Rows
from smallprint.core.progress import counted

# what UTF-8 becomes when it is read as Latin-1 or cp1252: a letter of its first bytes before one of its second ones
SECOND_BYTES = (
    "\u0080-\u00bf\u2018-\u201e\u2020-\u2022\u0192\u02c6\u02dc\u2026\u2030\u2039\u203a\u20ac\u2122"
    "\u0152\u0153\u0160\u0161\u0178\u017d\u017e"
)
MOJIBAKE = f"[\u00c3\u00c2][{SECOND_BYTES}]|\u00e2\u20ac.|\ufffd"
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0080-\u009f]"
DIRECTION = r"[\u202a-\u202e\u2066-\u2069]"
UNSEEN = r"[\u200b-\u200d\u2060\ufeff\u00ad]"
LONGEST_SHARE = 20.0  # times the 99th percentile
LEAST_LONG = 5_000  # characters: shorter texts are never extreme
NO_LETTER = r"^[^\p{L}]*$"

PATTERNS = (
    (
        "mojibake",
        "warning",
        MOJIBAKE,
        "hold text that was decoded wrongly, such as 'Ã©' for 'é'",
        "Read the file as UTF-8 where it was made, and save it again.",
    ),
    ("control-characters", "warning", CONTROL, "hold control characters", "Take them out; `--fix` does."),
    (
        "direction-characters",
        "warning",
        DIRECTION,
        "hold characters that turn the direction of text, by which it looks other than it reads",
        "Take them out; `--fix` does.",
    ),
    ("unseen-characters", "note", UNSEEN, "hold characters of no width", "Take them out; `--fix` does."),
)


def check_rows(rows: Rows) -> list[Finding]:
    """Gives what is wrong with single texts."""
    frame = rows.frame
    blank = frame.filter(pl.col("text").is_null() | (pl.col("text").str.strip_chars() == ""))
    findings = []
    if blank.height:
        told = [
            "no value" if text is None else "empty" if text == "" else "white space" for text in blank["text"].head(50)
        ]
        findings.append(
            Finding(
                "empty-text",
                "error",
                f"{counted(blank.height, 'row')} without text.",
                "Fill them in or remove them; `--fix` removes them, and --set data.empty_text=drop leaves them out.",
                blank.height,
                rows.places(blank, told),
            )
        )
    for kind, severity, pattern, words, do in PATTERNS:
        odd = frame.filter(pl.col("text").str.contains(pattern))
        if odd.height:
            findings.append(
                Finding(
                    kind,
                    severity,  # type: ignore[arg-type]
                    f"{counted(odd.height, 'text')} {words if odd.height > 1 else words.replace('hold', 'holds', 1)}.",
                    do,
                    odd.height,
                    rows.places(odd),
                )
            )
    return [*findings, *_lengths(rows), *_letters(rows)]


def _lengths(rows: Rows) -> list[Finding]:
    lengths = rows.frame["text"].str.len_chars()
    usual = lengths.quantile(0.99) or 0.0
    limit = max(LEAST_LONG, LONGEST_SHARE * usual)
    odd = (
        rows.frame.with_columns(lengths.alias("length"))
        .filter(pl.col("length") > limit)
        .sort("length", descending=True)
    )
    if not odd.height:
        return []
    told = [f"{length:,} characters" for length in odd["length"].head(50)]
    return [
        Finding(
            "extreme-length",
            "warning",
            f"{odd.height:,} texts are far longer than the others: up to {odd['length'][0]:,} characters, and 99 of 100 have at "
            f"most {usual:,.0f}.",
            "See whether several rows ran together, by a quotation mark that was not closed for instance.",
            odd.height,
            rows.places(odd, told),
        )
    ]


def _letters(rows: Rows) -> list[Finding]:
    odd = rows.frame.filter(pl.col("text").str.contains(NO_LETTER) & (pl.col("text").str.strip_chars() != ""))
    if not odd.height:
        return []
    return [
        Finding(
            "no-letters",
            "note",
            f"{odd.height:,} texts have no letter: numbers and signs alone.",
            "See whether the text column is the right one, or whether these rows are of use.",
            odd.height,
            rows.places(odd),
        )
    ]


__all__ = ["check_rows"]
