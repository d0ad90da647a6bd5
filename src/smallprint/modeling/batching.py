"""Batches of texts of like length, within a token budget, and their padding. In: lengths or ids. Out: indices or tensors.

Batch boundaries depend on the sorted (rounded) lengths alone, so every epoch has the same number of batches: the
schedule can be computed beforehand, and a batch can be found again by its number after a resume.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

ROUNDING = 2  # lengths are compared in steps of this many tokens, so that batches mix anew each epoch


def plan_batches(
    lengths: NDArray[np.int64], batch_tokens: int, batch_size: int, rng: np.random.Generator | None = None
) -> list[NDArray[np.int64]]:
    """Gives the indices of each batch; every index stands in exactly one.

    Args:
        lengths: Tokens of each text, `[n]`.
        batch_tokens: Most tokens of a batch, padding counted; a longer text gets a batch of its own.
        batch_size: Most texts of a batch.
        rng: Shuffles texts of equal rounded length and the order of batches; None sorts both by length.
    """
    rounded = -(-lengths // ROUNDING) * ROUNDING
    order = np.argsort(lengths, kind="stable") if rng is None else np.lexsort((rng.random(len(lengths)), rounded))
    batches: list[NDArray[np.int64]] = []
    start = 0
    longest = rounded[order].tolist()  # a list: reading an array element by element takes several times as long
    for end in range(1, len(order) + 1):
        full = end == len(order) or (end - start + 1) * longest[end] > batch_tokens or end - start + 1 > batch_size
        if full:
            batches.append(order[start:end])
            start = end
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return batches


def plan_equal_batches(lengths: NDArray[np.int64], batch_tokens: int, batch_size: int) -> list[NDArray[np.int64]]:
    """Gives the indices of batches of texts that are equally long, so that what a text is padded to hangs on itself alone."""
    batches: list[NDArray[np.int64]] = []
    for length in np.unique(lengths):
        chosen = np.flatnonzero(lengths == length)
        most = max(1, min(batch_size, batch_tokens // int(length)))
        batches.extend(chosen[start : start + most] for start in range(0, len(chosen), most))
    return batches


def pad_batch(rows: Sequence[NDArray[np.int32]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives `input_ids` and `attention_mask`, int64 `[n, longest]`, padded on the right to the longest of `rows`."""
    import torch  # the engine without torch plans its batches here too

    ids, mask = pad_arrays(rows, pad_id)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def pad_arrays(
    rows: Sequence[NDArray[np.int32]], pad_id: int, least: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gives the same as arrays, at least as long as `least`."""
    longest = max(least, *(len(row) for row in rows))
    ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def padding_share(lengths: NDArray[np.int64], batches: Sequence[NDArray[np.int64]]) -> float:
    """Gives the share of tokens that are padding, in [0, 1]."""
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    return 1 - int(lengths.sum()) / padded if padded else 0.0


def usable_cores() -> int:
    """Gives the cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1
