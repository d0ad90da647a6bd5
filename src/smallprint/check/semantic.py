"""Texts that say the same in other words. In: unit vectors of texts. Out: pairs and findings.

Cosine similarity of MiniLM's vectors, the mean over three layers, block by block, so that memory holds one block of products and
the best pairs. A hint, not a proof: clauses that differ by one "not" are near each other too.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.check.findings import Finding, Place, Rows

ALIKE = 0.745  # chosen on every second pair of benchmarks/paraphrases.csv
BLOCK, MOST_PAIRS = 2048, 20_000


def similar_pairs(vectors: NDArray[np.float32], alike: float = ALIKE) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Gives pairs `[n_pairs, 2]` (the lower position first) with a cosine of at least `alike`, and their cosines: the `MOST_PAIRS`
    best, best first.

    Args:
        vectors: Unit vectors `[n, width]`.
        alike: Least cosine.
    """
    found, values = np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.float32)
    for start in range(0, len(vectors), BLOCK):
        for other in range(start, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK] @ vectors[other : other + BLOCK].T
            i, j = np.nonzero(block >= alike)
            keep = (i + start) < (j + other)
            if not keep.any():
                continue
            found = np.vstack([found, np.column_stack([i[keep] + start, j[keep] + other])])
            values = np.concatenate([values, block[i[keep], j[keep]]])
            best = np.argsort(-values, kind="stable")[:MOST_PAIRS]  # of equals those found first
            found, values = found[best], values[best]
    return found, values


def joined(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gives unit vectors `[n, layers * width]` of those of several layers, `[layers, n, width]`: their cosine is the layers' mean."""
    layers, n, width = vectors.shape
    return np.asarray(vectors.transpose(1, 0, 2).reshape(n, layers * width) / layers**0.5, dtype=np.float32)


def check_semantic(rows: Rows, formed: pl.DataFrame, vectors: NDArray[np.float32]) -> list[Finding]:
    """Gives paraphrases across splits; inside a split they are told as a number.

    Args:
        rows: All.
        formed: Rows that have text, each normal form once.
        vectors: Unit vectors of these, `[n, width]`.
    """
    pairs, cosines = similar_pairs(vectors)
    splits = formed["split"].to_numpy()
    across = splits[pairs[:, 0]] != splits[pairs[:, 1]] if len(pairs) else np.zeros(0, dtype=bool)
    if not len(pairs):
        return []
    places: list[Place] = []
    for (i, j), cosine in zip(pairs[across][:25].tolist(), cosines[across][:25].tolist(), strict=True):
        for here, there in ((i, j), (j, i)):
            other = rows.place(formed["split"][there], int(formed["row"][there]))
            places += rows.places(formed[[here]], [f"cosine {cosine:.2f} with {other}"])
    cut = len(pairs) == MOST_PAIRS
    return [
        Finding(
            "alike-in-meaning",
            "note",
            f"{'At least ' if cut else ''}{int(across.sum()):,} pairs of texts in two splits say nearly the same in other words; "
            f"{'at least ' if cut else ''}{int((~across).sum()):,} pairs inside one split.",
            "See whether they have one source; then keep them in one split (--group).",
            int(across.sum()),
            places,
            at_least=cut,
        )
    ]


__all__ = ["ALIKE", "check_semantic", "joined", "similar_pairs"]
