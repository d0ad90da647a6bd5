"""Examples that two test splits share: matched by text, with what is left out."""

from __future__ import annotations

import numpy as np

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.shared import match_examples, rows_of


def split(texts: str, targets: str) -> ScoredSplit:
    scores = np.linspace(0, 1, len(texts), dtype=np.float32)[:, None]
    return ScoredSplit(
        "test", "binary", ["no", "yes"], list(texts), np.array([int(t) for t in targets], dtype=np.int8), scores
    )


def test_examples_are_matched_by_text_and_truth():
    a, b = split("abcdd", "01010"), split("dxbad", "10001")
    shared = match_examples(a, b)
    # d stands twice in both, in its order: labelled alike first (1, 1), then otherwise (0, 1); b is labelled otherwise
    assert shared.rows_a.tolist() == [0, 3]
    assert shared.rows_b.tolist() == [3, 0]
    assert (shared.relabelled, shared.only_a, shared.only_b) == (2, 1, 1)
    assert "2 that are labelled otherwise, 1 that only A has, 1 that only B has" in shared.said
    assert rows_of(b, shared.rows_b).texts == rows_of(a, shared.rows_a).texts == ["a", "d"]


def test_nothing_shared():
    shared = match_examples(split("ab", "01"), split("cd", "01"))
    assert len(shared.rows_a) == 0
    assert (shared.only_a, shared.only_b) == (2, 2)


def test_all_shared_in_another_order():
    shared = match_examples(split("abc", "011"), split("cab", "101"))
    assert shared.rows_b.tolist() == [1, 2, 0]
    assert shared.said.endswith("matched by text.")
