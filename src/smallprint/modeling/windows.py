"""Texts that were read in several windows. In: scores of windows. Out: scores of texts. It needs numpy alone."""

from __future__ import annotations

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


__all__ = ["combine_windows"]
