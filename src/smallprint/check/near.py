"""Near-copies: texts that share most of their words. In: rows with their normal forms. Out: pairs and findings.

MinHash (Broder 1997) over sets of words, sixteen bands of four; what meets in a band is compared exactly, so that no pair is reported
that is not one. Band by band, so that memory holds a few numbers a text; pairs are linked along each band, not all with all, so
that a thousand alike cost a thousand comparisons.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.check.findings import Finding, Place, Rows, excerpt
from smallprint.data.normalise import normalised

BANDS, WIDTH = 16, 4
ALIKE = 0.7  # of all words that either text has, both have
FEWEST_WORDS = 4  # shorter texts share their words by chance
MOST_LINKS = 2_000_000
SEED = 20_240_607


def near_pairs(forms: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives pairs of near-copies `[n_pairs, 2]` (positions, the lower first), and their Jaccard similarity of words.

    Args:
        forms: Normal forms, each once.
    """
    words, starts = _word_sets(forms)
    sizes = np.diff(starts)
    long = np.flatnonzero(sizes >= FEWEST_WORDS)
    links: list[NDArray[np.int64]] = []
    rng = np.random.default_rng(SEED)
    for _ in range(BANDS):
        band = _band(words, starts, long, rng.integers(1, 2**32, size=WIDTH, dtype=np.uint64).astype(np.uint32))
        order = np.argsort(band, kind="stable")
        same = band[order[1:]] == band[order[:-1]]
        first = np.maximum.accumulate(np.where(np.append(True, ~same), np.arange(len(order)), 0))
        later = np.flatnonzero(same) + 1
        neighbours = np.column_stack([order[later - 1], order[later]])
        heads = np.column_stack([order[first[later]], order[later]])
        links.append(long[np.unique(np.sort(np.vstack([neighbours, heads]), axis=1), axis=0)])
    if not links:
        return np.zeros((0, 2), dtype=np.int64), np.zeros(0)
    pairs = np.unique(np.sort(np.vstack(links), axis=1), axis=0)[:MOST_LINKS]
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    # who differs in length by more than the threshold allows cannot be alike
    shorter, longer = np.sort(sizes[pairs], axis=1).T if len(pairs) else (np.zeros(0), np.ones(0))
    pairs = pairs[shorter >= ALIKE * longer]
    alike = np.array([_jaccard(words, starts, i, j) for i, j in pairs.tolist()])
    good = alike >= ALIKE if len(pairs) else np.zeros(0, dtype=bool)
    return pairs[good], alike[good]


def check_near(rows: Rows, formed: pl.DataFrame) -> list[Finding]:
    """Gives near-copies inside splits and across them; what is equal in its normal form counts as one text here.

    Args:
        rows: All.
        formed: As `duplicates.with_form` gives them.
    """
    once = formed.unique("form", keep="first", maintain_order=True)
    forms = once.select(normalised(pl.col("text"))).to_series()
    pairs, alike = near_pairs(forms)
    if not len(pairs):
        return []
    split_of = formed.group_by("form").agg(pl.col("split").unique().sort())
    splits = once.select("form").join(split_of, on="form", how="left", maintain_order="left")["split"].to_list()
    across = np.array([len({*splits[i], *splits[j]}) > 1 for i, j in pairs.tolist()])
    findings = []
    kinds = (
        (
            "near-copy-across-splits",
            across,
            "stand in two splits",
            "See whether one is made of the other; if so keep both in one split (--group).",
        ),
        (
            "near-copy",
            ~across,
            "stand in one split",
            "Harmless in small number; templates that are filled in many times teach little.",
        ),
    )
    for kind, part, words, do in kinds:
        chosen = np.flatnonzero(part)
        if len(chosen):
            order = chosen[np.argsort(-alike[chosen], kind="stable")]
            severity = "warning" if kind == "near-copy-across-splits" else "note"
            found = f"{len(chosen):,} pairs of texts that share at least {ALIKE:.0%} of their words {words}."
            places = _places(rows, once, pairs[order[:25]], alike[order[:25]])
            findings.append(Finding(kind, severity, found, do, len(chosen), places))  # type: ignore[arg-type]
    return findings


def _word_sets(forms: pl.Series) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Gives each text's different words as sorted 32-bit hashes, one text after the other, and where each begins."""
    frame = pl.DataFrame({"form": forms}).select(
        pl.col("form")
        .str.split(" ")
        .list.eval(pl.element().hash(2).cast(pl.UInt64) % (2**32))
        .list.unique()
        .list.sort()
    )
    lists = frame["form"]
    starts = np.concatenate([[0], np.cumsum(lists.list.len().to_numpy())]).astype(np.int64)
    words = lists.explode().drop_nulls().cast(pl.UInt32).to_numpy()
    return words, starts


def _band(
    words: NDArray[np.uint32], starts: NDArray[np.int64], chosen: NDArray[np.int64], seeds: NDArray[np.uint32]
) -> NDArray[np.uint64]:
    """Gives one number a chosen text that is equal where its least hashes under all of `seeds` are."""
    band = np.zeros(len(chosen), dtype=np.uint64)
    if not len(chosen):
        return band
    for seed in seeds:
        mixed = words ^ seed  # the finisher of MurmurHash3: every bit of the word moves every bit of the hash
        mixed ^= mixed >> np.uint32(16)
        mixed *= np.uint32(0x85EBCA6B)
        mixed ^= mixed >> np.uint32(13)
        mixed *= np.uint32(0xC2B2AE35)
        mixed ^= mixed >> np.uint32(16)
        least = np.minimum.reduceat(mixed, np.minimum(starts[:-1], max(len(words) - 1, 0)))[chosen]
        band = band * np.uint64(0x9E3779B97F4A7C15) + least.astype(np.uint64) + np.uint64(1)
    return band


def _jaccard(words: NDArray[np.uint32], starts: NDArray[np.int64], i: int, j: int) -> float:
    one, other = words[starts[i] : starts[i + 1]], words[starts[j] : starts[j + 1]]
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)


def _places(rows: Rows, once: pl.DataFrame, pairs: NDArray[np.int64], alike: NDArray[np.float64]) -> list[Place]:
    places = []
    for (i, j), share in zip(pairs.tolist(), alike.tolist(), strict=True):
        for here, there in ((i, j), (j, i)):
            split, row, text = once["split"][here], int(once["row"][here]), once["text"][here]
            other = rows.place(once["split"][there], int(once["row"][there]))
            places.append(Place(split, row, rows.place(split, row), excerpt(text), f"{share:.0%} as {other}"))
    return places


__all__ = ["ALIKE", "check_near", "near_pairs"]
