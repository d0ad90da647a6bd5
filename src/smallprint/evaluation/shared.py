"""Examples that two test splits share, so that two models can be compared that stand on different ones. In: two scored splits. Out: rows.

What stands in both test splits, neither model has learned from. Examples are matched by their text; equal texts in their order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from smallprint.core.results import Array, ScoredSplit

LEAST = 30  # examples: of fewer a comparison says too little to be made unasked


@dataclass(frozen=True)
class Shared:
    """What two splits share.

    Attributes:
        rows_a: Rows of A that are compared, in its order.
        rows_b: The same examples in B.
        relabelled: Examples in both that are labelled otherwise, and left out: of these no truth is known.
        only_a: Rows that only A has.
        only_b: Rows that only B has.
    """

    rows_a: Array
    rows_b: Array
    relabelled: int
    only_a: int
    only_b: int

    @property
    def said(self) -> str:
        """One sentence for a person: what is compared, and what is left out."""
        left = [f"{self.relabelled:,} that are labelled otherwise"] if self.relabelled else []
        left += [f"{n:,} that only {name} has" for name, n in (("A", self.only_a), ("B", self.only_b)) if n]
        what = f"Compared are the {len(self.rows_a):,} examples that both test splits hold and label alike, matched by text"
        return f"{what}; left out are {', '.join(left)}." if left else f"{what}."


def match_examples(a: ScoredSplit, b: ScoredSplit) -> Shared:
    """Gives the examples that both splits hold and label alike.

    Args:
        a: Any split.
        b: Another of the same task, its labels in the same order.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(b.texts):
        places[text].append(row)
    pairs: list[tuple[int, int]] = []
    taken: dict[str, int] = defaultdict(int)
    for row, text in enumerate(a.texts):
        if taken[text] < len(places.get(text, ())):
            pairs.append((row, places[text][taken[text]]))
            taken[text] += 1
    rows_a, rows_b = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    alike = np.array([np.array_equal(a.targets[i], b.targets[j]) for i, j in pairs], dtype=bool)
    relabelled = int((~alike).sum())
    return Shared(rows_a[alike], rows_b[alike], relabelled, len(a.texts) - len(pairs), len(b.texts) - len(pairs))


def rows_of(scored: ScoredSplit, rows: Array) -> ScoredSplit:
    """Gives some rows of a split, in the order of `rows`."""
    texts = [scored.texts[row] for row in rows]
    return replace(
        scored, texts=texts, targets=np.asarray(scored.targets)[rows], scores=np.asarray(scored.scores)[rows]
    )


__all__ = ["LEAST", "Shared", "match_examples", "rows_of"]
