"""Rows that are no good text: empty, damaged, full of what nobody sees, far too long. In: rows. Out: findings.

One vectorised pass, batch by batch; no Python for each row. Lengths are judged against the data's own.
"""

from __future__ import annotations

import polars as pl

from smallprint.check.findings import SHOWN, Finding, Rows, Severity
from smallprint.core.progress import counted

# what UTF-8 becomes when it is read as Latin-1 or cp1252: a letter of its first bytes before one of its second ones
SECOND_BYTES = (
    "\u0080-\u00bf\u2018-\u201e\u2020-\u2022\u0192\u02c6\u02dc\u2026\u2030\u2039\u203a\u20ac\u2122"
    "\u0152\u0153\u0160\u0161\u0178\u017d\u017e"
)
MOJIBAKE = f"[\u00c3\u00c2][{SECOND_BYTES}]|\u00e2\u20ac.|\ufffd"
PARTING = r"[\x0b\x0c\x1c-\x1f\u0085]"  # controls that stand between words
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0080-\u009f]"
DIRECTION = r"[\u202a-\u202e\u2066-\u2069]"
UNSEEN = r"[\u200b-\u200d\u2060\ufeff\u00ad]"
# joiners that are part of a word or an emoji: between two characters, or one that gives the letter before it another shape
UNJOINED = r"[\p{Latin}\p{Greek}\p{Cyrillic}]"  # scripts whose letters stand side by side
LETTER = rf"[[\p{{L}}\p{{M}}]--{UNJOINED}]"
JOINABLE = rf"[{LETTER}\p{{Extended_Pictographic}}\p{{Emoji_Modifier}}]"
JOINED = rf"(?:{JOINABLE}[\u200c\u200d])*{LETTER}\u200d|(?:{JOINABLE}[\u200c\u200d])+{JOINABLE}"
LONGEST_SHARE = 20.0  # times the 99th percentile
LEAST_LONG = 5_000  # characters: shorter texts are never extreme
NO_LETTER = r"^[^\p{L}]*$"


def holds_unseen(text: pl.Expr) -> pl.Expr:
    """Whether a text has a character of no width that joins nothing."""
    return text.str.replace_all(JOINED, "").str.contains(UNSEEN)


def cleaned_text(text: pl.Expr) -> pl.Expr:
    """A text without what nobody sees: a space for controls that part words, nothing for the others; joiners that join stay."""
    spaced = text.str.replace_all(PARTING, " ")
    return spaced.str.replace_all(f"({JOINED})|{CONTROL}|{DIRECTION}|{UNSEEN}", "${1}")


TEXT = pl.col("text")
PATTERNS: tuple[tuple[str, Severity, pl.Expr, str, str], ...] = (
    (
        "mojibake",
        "warning",
        TEXT.str.contains(MOJIBAKE),
        "hold text that was decoded wrongly, such as 'Ã©' for 'é'",
        "Read the file as UTF-8 where it was made, and save it again.",
    ),
    (
        "control-characters",
        "warning",
        TEXT.str.contains(CONTROL),
        "hold control characters",
        "Take them out; `--fix` does, but never in test.",
    ),
    (
        "direction-characters",
        "warning",
        TEXT.str.contains(DIRECTION),
        "hold characters that turn the direction of text, by which it looks other than it reads",
        "Take them out; `--fix` does, but never in test.",
    ),
    (
        "unseen-characters",
        "note",
        holds_unseen(TEXT),
        "hold characters of no width",
        "Take them out; `--fix` does, but never in test.",
    ),
)


BLANK, NO_LETTERS = "empty-text", "no-letters"


def check_rows(rows: Rows) -> list[Finding]:
    """Gives what is wrong with single texts."""
    blank = ~TEXT.str.contains(r"\S").fill_null(False)
    flags = {BLANK: blank, NO_LETTERS: TEXT.str.contains(NO_LETTER).fill_null(False) & ~blank}
    flags |= {kind: held.fill_null(False) for kind, _, held, _, _ in PATTERNS}
    counts = dict.fromkeys(flags, 0)
    first: dict[str, list[int]] = {kind: [] for kind in flags}
    told: list[str] = []
    lengths, start = [], 0
    for part in rows.texts():
        looked = pl.DataFrame({"text": part}).select(
            TEXT.str.len_chars().alias("length"), *(flag.alias(kind) for kind, flag in flags.items())
        )
        lengths.append(looked["length"])
        for kind in flags:
            if n := int(looked[kind].sum()):
                counts[kind] += n
                places = looked[kind].arg_true().head(SHOWN - len(first[kind])).to_list()
                first[kind] += [start + place for place in places]
                told += [_nothing(part[place]) for place in places if kind == BLANK]
        start += len(part)

    def some(kind: str, severity: Severity, found: str, do: str, details: list[str] | None = None) -> list[Finding]:
        if not counts[kind]:
            return []
        return [Finding(kind, severity, found, do, counts[kind], rows.places(rows.frame[first[kind]], details))]

    findings = some(
        BLANK,
        "error",
        f"{counted(counts[BLANK], 'row')} without text.",
        "Fill them in or remove them; `--fix` removes them from all but test, and --set data.empty_text=drop leaves them out.",
        told,
    )
    for kind, severity, _, words, do in PATTERNS:
        hold = words if counts[kind] > 1 else words.replace("hold", "holds", 1)
        findings += some(kind, severity, f"{counted(counts[kind], 'text')} {hold}.", do)
    findings += _lengths(rows, pl.concat(lengths)) if lengths else []
    # of all that there is: not a few rows, but the wrong column
    most = counts[NO_LETTERS] > (start - counts[BLANK]) / 2
    return findings + some(
        NO_LETTERS,
        "warning" if most else "note",
        f"{counted(counts[NO_LETTERS], 'text')}{', most of them,' if most else ''} {'has' if counts[NO_LETTERS] == 1 else 'have'} "
        "no letter: numbers and signs alone.",
        "See whether the text column is the right one, or whether these rows are of use.",
    )


def _nothing(text: str | None) -> str:
    return "no value" if text is None else "empty" if text == "" else "white space"


def _lengths(rows: Rows, lengths: pl.Series) -> list[Finding]:
    usual = lengths.quantile(0.99) or 0.0
    limit = max(LEAST_LONG, LONGEST_SHARE * usual)
    odd = (lengths > limit).arg_true()
    if not len(odd):
        return []
    odd = odd.gather(lengths.gather(odd).arg_sort(descending=True))
    first = odd.head(SHOWN).to_list()
    return [
        Finding(
            "extreme-length",
            "warning",
            f"{len(odd):,} texts are far longer than the others: up to {lengths[first[0]]:,} characters, and 99 of 100 have at "
            f"most {usual:,.0f}.",
            "See whether several rows ran together, by a quotation mark that was not closed for instance.",
            len(odd),
            rows.places(rows.frame[first], [f"{lengths[place]:,} characters" for place in first]),
        )
    ]


__all__ = ["BLANK", "check_rows", "cleaned_text", "holds_unseen"]
