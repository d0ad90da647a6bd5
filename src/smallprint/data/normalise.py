"""When two texts count as the same. In: texts as they stand. Out: their normal form, or 64 bits of it.

Case, white space, punctuation and the ways to write one character (Unicode NFKC) do not count; words, numbers, order and symbols
($, +, emoji) do. It finds no near-copies. A changed rule changes stored hashes: raise `RULE` with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

RULE = 1  # goes into each hash, so that hashes of another rule never match by accident
HASH_BYTES = 8
INVISIBLE = r"\p{Cf}+"
BETWEEN_WORDS = r"[\p{P}\p{Z}\p{Cc}\s]+"
WHITE = r"[\p{Z}\p{Cc}\s]+"


def normalised(text: pl.Expr) -> pl.Expr:
    """The normal form of a text: NFKC, lower case, words and symbols with one space between; null stays null.

    A text of nothing but punctuation keeps it, so that "?" and "!" are not the same text.
    """
    plain = text.str.normalize("NFKC").str.replace_all(INVISIBLE, "").str.to_lowercase().str.normalize("NFKC")
    words = plain.str.replace_all(BETWEEN_WORDS, " ").str.strip_chars(" ")
    return pl.when(words == "").then(plain.str.replace_all(WHITE, " ").str.strip_chars(" ")).otherwise(words)


def normal_forms(texts: pl.Series) -> pl.Series:
    """The normal form of each text, as `normalised` has it, several times faster where texts are ASCII.

    ASCII is its own NFKC and has nothing invisible; and the form of a text without words is made for those alone.
    """
    ascii = (texts.str.len_bytes() == texts.str.len_chars()).fill_null(False)
    if ascii.all():
        return _ascii_forms(texts)
    if not ascii.any():
        return _forms(texts, normalised(pl.col("text")))
    plain, other = ascii.arg_true(), (~ascii).arg_true()
    forms = pl.concat(
        [_ascii_forms(texts.gather(plain)), _forms(texts.gather(other), normalised(pl.col("text")))], rechunk=True
    )
    return forms.gather(pl.concat([plain, other]).arg_sort())


def _ascii_forms(texts: pl.Series) -> pl.Series:
    words = _forms(texts, pl.col("text").str.to_lowercase().str.replace_all(BETWEEN_WORDS, " ").str.strip_chars(" "))
    none = words == ""
    return words.zip_with(~none, _forms(texts, normalised(pl.col("text")))) if none.any() else words


def _forms(texts: pl.Series, form: pl.Expr) -> pl.Series:
    return pl.DataFrame([texts.alias("text")]).select(form.alias("text")).to_series()


def text_hashes(texts: Sequence[str] | pl.Series) -> NDArray[np.uint64]:
    """64 bits of each text's normal form, `[n]` uint64: the same on every machine (BLAKE2b, little-endian).

    Equal normal forms give equal hashes; two different ones meet by chance once in about 10^19 pairs. A hash does not give the text
    back, but whoever guesses a text can check that it was there.
    """
    series = pl.Series("text", texts, dtype=pl.String)
    forms = normal_forms(series)
    start = hashlib.blake2b(digest_size=HASH_BYTES, person=b"smallp text %03d" % RULE)
    digests = bytearray()
    for form in forms:
        digest = start.copy()
        digest.update(form.encode())
        digests += digest.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").astype(np.uint64)
