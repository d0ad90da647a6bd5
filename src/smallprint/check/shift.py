"""Splits that differ more than chance allows. In: rows. Out: findings: label rates and vocabulary.

Permutation tests over what was drawn together: groups where there are some, else single rows. What was split by document
differs by document; that is chance, and only what goes beyond it is told. Over labels the level is that of the widest gap of all
(Westfall & Young 1993, step-down), which asks for no more rounds however many labels there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.check.findings import Finding, Rows

ROUNDS, LEVEL = 999, 0.01
MOST_ROWS, MOST_WORDS, MOST_LABELS = 20_000, 2_000, 2_000
WORD, PIECE_BYTES = r"\w\w+", 2**22
SEED = 7
Array = NDArray[np.float64]


def check_shift(rows: Rows) -> list[Finding]:
    """Gives by split, against train, whether its label rates and its words differ."""
    if len(rows.splits) < 2:
        return []
    frame, findings = _sample(rows), []
    for split in rows.splits[1:]:
        part = frame.filter(pl.col("split").is_in(["train", split]))
        unit, sizes, here = _units(part, split)
        if min(here.sum(), (~here).sum()) < 2:
            continue
        moves = _moves(here)
        findings += _label_rates(rows, part, unit, sizes, here, moves, split)
        findings += _words(part, unit, here, moves, split)
    return findings


def _sample(rows: Rows) -> pl.DataFrame:
    """Gives the rows that have a value, or `MOST_ROWS` of them by chance, with their texts."""
    chosen = np.arange(rows.frame.height)
    if len(chosen) > MOST_ROWS:
        chosen = np.sort(np.random.default_rng(SEED).choice(chosen, MOST_ROWS, replace=False))
    text = pl.concat([texts for _, texts in rows.texts_at(chosen)])
    frame = rows.frame[chosen.tolist()].with_columns(text.alias("text"), pl.col("split").cast(pl.String))
    return frame.filter(pl.col("text").is_not_null())


def _units(part: pl.DataFrame, split: str) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_]]:
    """Gives each row's unit `[n]`, each unit's size, and whether it is in `split` rather than in train."""
    keys = part.select(
        pl.when(pl.col("group").is_not_null())
        .then(pl.col("split") + "\x00" + pl.col("group"))
        .otherwise(pl.col("split") + "\x01" + pl.col("row").cast(pl.String))
        .alias("key")
    )["key"]
    unit = keys.rank("dense").cast(pl.Int64).to_numpy() - 1
    sizes = np.bincount(unit).astype(np.float64)
    here = np.zeros(len(sizes), dtype=bool)
    here[unit[(part["split"] == split).to_numpy()]] = True
    return unit, sizes, here


def _moves(here: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Gives `ROUNDS` random choices of as many units, 0/1 `[ROUNDS, n_units]`."""
    rng = np.random.default_rng(SEED)
    moves = np.zeros((ROUNDS, len(here)), dtype=np.float32)
    for row in moves:
        row[rng.permutation(len(here))[: int(here.sum())]] = 1
    return moves


def _label_rates(
    rows: Rows,
    part: pl.DataFrame,
    unit: NDArray[np.int64],
    sizes: Array,
    here: NDArray[np.bool_],
    moves: NDArray[np.float32],
    split: str,
) -> list[Finding]:
    if not 1 <= len(rows.label_names) <= MOST_LABELS:
        return []
    number = {name: i for i, name in enumerate(rows.label_names)}
    counts = np.zeros((len(sizes), len(number)))
    for place, labels in zip(unit.tolist(), part["labels"].to_list(), strict=True):
        for label in labels or ():
            counts[place, number[label]] += 1
    total, all_rows = counts.sum(axis=0), sizes.sum()

    def apart(chosen: Array) -> Array:
        inside, n = chosen @ counts, (chosen @ sizes)[..., None]
        return np.asarray(np.abs(inside / n - (total - inside) / (all_rows - n)))

    # what is seen, then by chance
    gaps = np.vstack([apart(here[None].astype(np.float64)), apart(moves.astype(np.float64))])
    # by squares, the wide and rare gaps of labels with few rows would hide the others
    spread = (gaps**4).mean(axis=0) ** 0.25
    gaps /= np.where(spread > 1e-12, spread, 1.0)
    order = np.argsort(-gaps[0], kind="stable")
    # of each label and those with narrower gaps, the widest in each round
    widest = np.maximum.accumulate(gaps[:, order[::-1]], axis=1)[:, ::-1]
    p = np.maximum.accumulate((widest >= gaps[0, order] - 1e-9).mean(axis=0))
    told = []
    for label in order[p <= LEVEL]:
        inside = float(here @ counts[:, label] / (here @ sizes))
        outside = float(~here @ counts[:, label] / (~here @ sizes))
        told.append(f"'{rows.label_names[label]}' {outside:.1%} in train, {inside:.1%} in {split}")
    if not told:
        return []
    shown = "; ".join(told[:8]) + (f" and {len(told) - 8:,} more" if len(told) > 8 else "")
    return [
        Finding(
            f"label-rates-differ-in-{split}",
            "warning",
            f"{len(told):,} labels are more or less frequent in {split} than chance allows: {shown}.",
            "See whether it was drawn otherwise; thresholds tuned on one split then do not fit the other.",
            len(told),
        )
    ]


def _words(
    part: pl.DataFrame, unit: NDArray[np.int64], here: NDArray[np.bool_], moves: NDArray[np.float32], split: str
) -> list[Finding]:
    by_unit = _common_words(part["text"], unit, len(here))
    if by_unit is None:
        return []
    whole = np.asarray(by_unit.sum(axis=0)).ravel()

    def divergence(inside: Array) -> Array:
        """Jensen-Shannon divergence (Lin 1991) of the words of two parts, in bits."""
        p = inside / np.maximum(inside.sum(axis=-1, keepdims=True), 1)
        rest = np.maximum(whole - inside, 0)
        q = rest / np.maximum(rest.sum(axis=-1, keepdims=True), 1)
        middle = (p + q) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.nan_to_num(p * np.log2(p / middle)) + np.nan_to_num(q * np.log2(q / middle))
        return np.asarray(terms.sum(axis=-1) / 2)

    seen = float(divergence(np.asarray(by_unit.T @ here.astype(np.float32))))
    chance = divergence(np.asarray((by_unit.T @ moves.T[:, :199]).T))
    p = (1 + int((chance >= seen).sum())) / (1 + len(chance))
    if p > LEVEL:
        return []
    return [
        Finding(
            f"words-differ-in-{split}",
            "note",
            f"The words of {split} differ from train's more than chance allows: divergence {seen:.3f} bits, by chance "
            f"{float(np.median(chance)):.3f}.",
            "See whether it is of another time or source; the model will meet more of that kind.",
        )
    ]


def _common_words(texts: pl.Series, unit: NDArray[np.int64], n_units: int) -> Any:
    """Gives how many texts of each unit hold each of the commonest words, sparse `[n_units, n_words]`; None where no text has a word."""
    from scipy.sparse import csr_matrix

    frame = pl.DataFrame({"unit": unit, "text": texts})
    pieces = np.cumsum(texts.str.len_bytes().to_numpy().astype(np.int64)) // PIECE_BYTES
    borders = np.searchsorted(pieces, np.arange(int(pieces[-1]) + 2)).tolist()

    def holding() -> Iterator[pl.DataFrame]:
        """Yields the words of some texts, each word of a text once; every text's are found anew, which is cheaper than to keep them."""
        for start, end in itertools.pairwise(borders):
            words = frame[start:end].with_columns(pl.col("text").str.to_lowercase().str.extract_all(WORD).list.unique())
            yield words.select("unit", word="text").explode("word").drop_nulls()

    counted = pl.concat([found.group_by("word").len() for found in holding()]).group_by("word").agg(pl.col("len").sum())
    if counted.is_empty():
        return None
    # where two are equally common, the alphabet decides: the answer is the same each time
    common = (
        counted.sort("len", "word", descending=[True, False]).head(MOST_WORDS).select("word").with_row_index("column")
    )
    cells = pl.concat([found.join(common, on="word").group_by("unit", "column").len() for found in holding()])
    places = cells["unit"].to_numpy(), cells["column"].to_numpy()
    return csr_matrix((cells["len"].to_numpy().astype(np.float32), places), shape=(n_units, len(common)))


__all__ = ["check_shift"]
