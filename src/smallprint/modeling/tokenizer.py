"""Texts in, token ids out. It pads nothing: padding belongs to the batch (`batching.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 1024


@dataclass(frozen=True)
class Tokens:
    """Token ids of many texts.

    Attributes:
        ids: One int32 array per text, special tokens included.
        n_truncated: How many texts were longer than `max_length` and were cut.
    """

    ids: list[NDArray[np.int32]]
    n_truncated: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each text in tokens, `[n]`."""
        return np.array([len(row) for row in self.ids], dtype=np.int64)


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int) -> Tokens:
    """Gives the token ids of `texts`, each cut at `max_length` tokens.

    Args:
        tokenizer: A Hugging Face tokenizer.
        texts: Any texts; an empty one becomes the special tokens alone.
        max_length: In tokens, special tokens included.
    """
    ids: list[NDArray[np.int32]] = []
    n_truncated = 0
    for start in range(0, len(texts), CHUNK):
        chunk = list(texts[start : start + CHUNK])
        encoded = tokenizer(chunk, truncation=True, max_length=max_length, return_attention_mask=False)
        rows = [np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]]
        full = [i for i, row in enumerate(rows) if len(row) >= max_length]
        if full:  # only these can have been cut: tokenize them whole to know
            whole = tokenizer([chunk[i] for i in full], return_attention_mask=False, verbose=False)["input_ids"]
            n_truncated += sum(len(row) > max_length for row in whole)
        ids.extend(rows)
    return Tokens(ids, n_truncated)
