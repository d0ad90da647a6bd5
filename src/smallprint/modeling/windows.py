"""Texts that were read in several windows. In: scores of windows, or offsets of their tokens. Out: scores of texts, or the windows' places.

It needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def combine_windows(
    scores: NDArray[np.float32], text_of: NDArray[np.int64], lengths: NDArray[np.int64], exclusive: bool
) -> NDArray[np.float32]:
    """Gives one row of scores per text from those of its windows.

    Args:
        scores: float32 `[n_windows, n_outputs]`.
        text_of: Text of each window, `[n_windows]`, ascending from 0 without gaps.
        lengths: Tokens of each window, `[n_windows]`.
        exclusive: Exactly one label is right: windows are opinions on the whole text; else any window may hold a label.
    """
    starts = np.flatnonzero(np.diff(text_of, prepend=-1))
    if not exclusive:
        return np.maximum.reduceat(scores, starts, axis=0)
    logs = np.log(np.clip(scores, 1e-12, 1.0)) * lengths[:, None]
    means = np.add.reduceat(logs, starts, axis=0) / np.add.reduceat(lengths, starts)[:, None]
    powers = np.exp(means - means.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def place_windows(text: str, offsets: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Gives where each window stands in a text, half-open, in characters: together they cover it, and none begins or ends in a word.

    Words that are longer than what neighbouring windows share are broken.

    Args:
        text: The text.
        offsets: Of each window's tokens, special tokens left out.
    """
    places: list[tuple[int, int]] = []
    for number, window in enumerate(offsets):
        kept = [(start, end) for start, end in window if end > start]
        if not kept:
            continue
        start, end = kept[0][0], kept[-1][1]
        while start < end and not text[start - 1].isspace() and start > 0:
            start += 1
        start = min(start, places[-1][1]) if places else 0
        if number < len(offsets) - 1:
            back = end
            while back > start and not text[back : back + 1].isspace():
                back -= 1
            end = back if back > start else end
        places.append((start, end))
    return [*places[:-1], (places[-1][0], len(text))] if places else [(0, len(text))]


__all__ = ["combine_windows", "place_windows"]
