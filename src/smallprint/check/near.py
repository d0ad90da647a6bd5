"""Near-copies: texts that share most of their words. In: rows with their normal forms. Out: pairs and findings.

MinHash (Broder 1997) over sets of words, sixteen bands of four; what meets in a band is compared exactly, so that no pair is reported
that is not one. Memory holds half of the bands at a time, and the words of those alone that are compared; pairs are linked along each band,
not all with all, so that a thousand alike cost a thousand comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.check.duplicates import first_places
from smallprint.check.findings import Finding, Place, Rows
from smallprint.core.freed import give_back
from smallprint.core.progress import counted
from smallprint.data.normalise import normal_forms

BANDS, WIDTH = 16, 4
BANDS_AT_ONCE = 8  # memory holds these; the texts are read again for the others
ALIKE = 0.7  # of all words that either text has, both have
FEWEST_WORDS = 4  # shorter texts share their words by chance
MOST_LINKS = 2_000_000
LEAST_WORDS, MOST_WORDS = 2**19, 2**24  # held at once to be compared; the texts are read again for others
COMPARED_WORDS = 2**14  # looked at at once
MANY = 0.1  # of all texts are nearly another: a split at random parts them
APART = (
    "Templates that are filled in many times: splits made at random share them, and scores are too good by it. Name what holds them "
    "together with --group, or make the splits by time."
)
SEED = 20_240_607
FormsAt = Callable[[NDArray[Any]], Iterator[tuple[int, pl.Series]]]


def near_pairs(forms: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives pairs of near-copies `[n_pairs, 2]` (positions, the lower first), and their Jaccard similarity of words.

    Args:
        forms: Normal forms, each once.
    """

    def forms_at(positions: NDArray[Any]) -> Iterator[tuple[int, pl.Series]]:
        yield 0, forms.gather(positions)

    return _near_pairs(len(forms), forms_at)[:2]


def _near_pairs(n: int, forms_at: FormsAt) -> tuple[NDArray[np.int64], NDArray[np.float64], bool]:
    """Gives the same of `n` forms that are read some at a time, more than once; and whether there may be more pairs."""
    cut = False
    sizes, links = np.zeros(n, dtype=np.int32), np.zeros(0, dtype=np.int64)
    seeds = np.random.default_rng(SEED).integers(1, 2**32, size=(BANDS, WIDTH), dtype=np.uint64).astype(np.uint32)
    for some in np.split(seeds, range(BANDS_AT_ONCE, BANDS, BANDS_AT_ONCE)):
        bands = [np.zeros(n, dtype=np.uint32) for _ in some]
        for first, forms in forms_at(np.arange(n, dtype=np.uint32)):
            words, starts = _word_sets(forms)
            part = slice(first, first + len(forms))
            sizes[part] = np.diff(starts)
            for band, four in zip(bands, some, strict=True):
                band[part] = _band(words, starts, four)
        links, more = _linked(links, bands, np.flatnonzero(sizes >= FEWEST_WORDS).astype(np.uint32), n)
        cut |= more
    pairs = np.column_stack([links // max(n, 1), links % max(n, 1)])
    # who differs in length by more than the threshold allows cannot be alike
    shorter, longer = np.sort(sizes[pairs], axis=1).T if len(pairs) else (np.zeros(0), np.ones(0))
    pairs = pairs[shorter >= ALIKE * longer]
    alike = np.zeros(len(pairs))
    for part in _blocks(pairs, sizes, min(MOST_WORDS, max(3 * n, LEAST_WORDS))):
        give_back()
        mine = np.unique(pairs[part])
        starts = np.append(0, np.cumsum(sizes[mine], dtype=np.int64))
        words = np.empty(starts[-1], dtype=np.uint32)
        for first, forms in forms_at(mine):
            words[starts[first] : starts[first + len(forms)]] = _word_sets(forms)[0]
        places = np.searchsorted(mine, pairs[part])
        alike[part] = _jaccard(words, starts, places)
    good = alike >= ALIKE
    return pairs[good], alike[good], cut


def _linked(
    links: NDArray[np.int64], bands: list[NDArray[np.uint32]], chosen: NDArray[np.uint32], n: int
) -> tuple[NDArray[np.int64], bool]:
    """Gives `links` and the pairs of `chosen`, of `n`, that have a band in common: each with the one before it and with the first,
    as the lower times `n` and the higher; and whether there were more than `MOST_LINKS`. Takes the bands out of the list, so that
    their memory serves what follows."""
    more = False
    while bands:
        # the number of the band above the position: sorted in place, equal ones stand side by side in the order of positions
        keys = bands.pop(0)[chosen].astype(np.uint64)
        keys <<= np.uint64(32)
        keys |= chosen.astype(np.uint32)
        keys.sort()
        later = np.flatnonzero((keys[1:] ^ keys[:-1]) < 2**32) + 1
        begins = np.flatnonzero(np.diff(later, prepend=-1) != 1)
        heads = np.repeat(later[begins] - 1, np.diff(np.append(begins, len(later))))
        two = (keys[later] & np.uint64(2**32 - 1)).astype(np.int64)
        for other in (later - 1, heads):
            one = (keys[other] & np.uint64(2**32 - 1)).astype(np.int64)
            links = np.concatenate([links, one * n + two])
            links.sort()  # in place: `union1d` would hold it four times
            links = links[np.append(True, links[1:] != links[:-1])] if len(links) else links
            more |= len(links) > MOST_LINKS
            links = links[:MOST_LINKS]
        del keys, one, two, later, heads
        give_back()
    return links, more


def _blocks(pairs: NDArray[np.int64], sizes: NDArray[np.integer[Any]], most: int) -> Iterator[slice]:
    """Yields parts of the pairs whose texts have at most `most` words together, or one pair that has more."""
    ends = np.cumsum(sizes[pairs].sum(axis=1, dtype=np.int64)) if len(pairs) else np.zeros(0, dtype=np.int64)
    start = 0
    while start < len(pairs):
        before = int(ends[start - 1]) if start else 0
        end = max(int(np.searchsorted(ends, before + most, side="right")), start + 1)
        yield slice(start, end)
        start = end


def check_near(rows: Rows, formed: pl.DataFrame) -> list[Finding]:
    """Gives near-copies inside splits and across them; what is equal in its normal form counts as one text here.

    Args:
        rows: All.
        formed: As `duplicates.with_form` gives them.
    """
    first = first_places(formed["form"])
    once = np.flatnonzero(first == np.arange(len(first))).astype(np.uint32)
    where = formed["at"].gather(once).to_numpy()
    del first
    give_back()

    def forms_at(positions: NDArray[Any]) -> Iterator[tuple[int, pl.Series]]:
        for first, texts in rows.texts_at(where[positions]):
            yield first, normal_forms(texts)

    pairs, alike, cut = _near_pairs(len(where), forms_at)
    if not len(pairs):
        return []
    across = _across(rows, formed, once, pairs)
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
            many = (
                len(rows.splits) == 1
                and rows.frame["group"].is_null().all()
                and (len(np.unique(pairs[chosen])) >= MANY * len(where))
            )
            order = chosen[np.argsort(-alike[chosen], kind="stable")]
            severity = "warning" if many or kind == "near-copy-across-splits" else "note"
            do = APART if many else do
            number = f"{'At least ' if cut else ''}{counted(len(chosen), 'pair')}"
            found = f"{number} of texts that share at least {ALIKE:.0%} of their words {words}."
            places = _places(rows, formed, once[pairs[order[:25]]], alike[order[:25]])
            findings.append(Finding(kind, severity, found, do, len(chosen), places, cut))  # type: ignore[arg-type]
    return findings


def _word_sets(forms: pl.Series) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Gives each text's different words as sorted 32-bit hashes, one text after the other, and where each begins."""
    lists = forms.str.split(" ")
    hashes = lists.explode().hash(2).to_numpy() & np.uint64(2**32 - 1)
    texts = np.arange(len(forms) + 1, dtype=np.uint64) << np.uint64(32)
    keys = np.repeat(texts[:-1], lists.list.len().to_numpy()) | hashes  # not list by list, which is ten times slower
    keys.sort()
    keys = keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys
    return keys.astype(np.uint32), np.searchsorted(keys, texts).astype(np.int64)


def _band(words: NDArray[np.uint32], starts: NDArray[np.int64], seeds: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Gives one number a text that is equal where its least hashes under all of `seeds` are; any for a text without words."""
    band = np.zeros(len(starts) - 1, dtype=np.uint64)
    if not len(words):
        return band.astype(np.uint32)
    for seed in seeds:
        mixed = words ^ seed  # the finisher of MurmurHash3: every bit of the word moves every bit of the hash
        mixed ^= mixed >> np.uint32(16)
        mixed *= np.uint32(0x85EBCA6B)
        mixed ^= mixed >> np.uint32(13)
        mixed *= np.uint32(0xC2B2AE35)
        mixed ^= mixed >> np.uint32(16)
        least = np.minimum.reduceat(mixed, np.minimum(starts[:-1], len(words) - 1))
        band = band * np.uint64(0x9E3779B97F4A7C15) + least.astype(np.uint64) + np.uint64(1)
    return (band >> np.uint64(32)).astype(np.uint32)


def _jaccard(words: NDArray[np.uint32], starts: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gives for each pair of texts the share of all words that either has which both have, `[n_pairs]`.

    Args:
        words: Each text's different words, one text after the other.
        starts: Where each text's begin, and where the last ends, `[n_texts + 1]`.
        pairs: Positions of texts, `[n_pairs, 2]`.
    """
    alike, sizes = np.zeros(len(pairs)), np.diff(starts)
    for part in _blocks(pairs, sizes, COMPARED_WORDS):
        texts, own = pairs[part].ravel(), sizes[pairs[part]]
        each = own.ravel()
        places = np.arange(each.sum()) + np.repeat(starts[texts] - np.cumsum(each) + each, each)
        # a word that both have is there twice under the number of its pair
        keys = (np.repeat(np.arange(len(texts), dtype=np.uint64) // 2, each) << np.uint64(32)) | words[places]
        keys.sort()
        twice = (keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)).astype(np.int64)
        both = np.bincount(twice, minlength=len(own))
        alike[part] = both / (own.sum(axis=1) - both)
    return alike


def _across(rows: Rows, formed: pl.DataFrame, once: NDArray[np.uint32], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Gives whether the texts of each pair, and what is equal to them, stand in more than one split, `[n_pairs]`."""
    if len(rows.splits) == 1:
        return np.zeros(len(pairs), dtype=bool)
    paired = np.unique(pairs)
    forms = formed["form"].gather(once[paired])
    split_of = (
        formed.filter(pl.col("form").is_in(forms.implode()))
        .select("form", pl.col("split").cast(pl.String))
        .group_by("form")
        .agg(pl.col("split").unique())
    )
    told = pl.DataFrame({"form": forms}).join(split_of, on="form", how="left", maintain_order="left")["split"].to_list()
    splits = dict(zip(paired.tolist(), told, strict=True))
    return np.array([len({*splits[i], *splits[j]}) > 1 for i, j in pairs.tolist()])


def _places(rows: Rows, formed: pl.DataFrame, pairs: NDArray[np.uint32], alike: NDArray[np.float64]) -> list[Place]:
    places = []
    for (i, j), share in zip(pairs.tolist(), alike.tolist(), strict=True):
        for here, there in ((i, j), (j, i)):
            other = rows.place(formed["split"][there], int(formed["row"][there]))
            places += rows.places(formed[[here]], [f"{share:.0%} as {other}"])
    return places


__all__ = ["ALIKE", "check_near", "near_pairs"]
