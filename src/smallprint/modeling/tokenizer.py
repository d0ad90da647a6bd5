"""Texts in, token ids out. It pads nothing: padding belongs to the batch (`batching.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.errors import TrainingError

CHUNK = 1024
OVERLAP = 4  # neighbouring windows share max_length / OVERLAP tokens


@dataclass(frozen=True)
class Tokens:
    """Token ids of many texts.

    Attributes:
        ids: One int32 array per text, or per window of one, special tokens included.
        n_truncated: How many texts were longer than `max_length` and were cut.
        text_of: Where texts have several windows: the text of each, `[n_windows]`, in order.
    """

    ids: list[NDArray[np.int32]]
    n_truncated: int
    text_of: NDArray[np.int64] | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each in tokens, `[n]`."""
        return np.array([len(row) for row in self.ids], dtype=np.int64)


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int) -> Tokens:
    """Gives the token ids of `texts`, each cut at `max_length` tokens.

    Args:
        tokenizer: A Hugging Face tokenizer.
        texts: Any texts; an empty one becomes the special tokens alone, and one token where there are none (decoders).
        max_length: In tokens, special tokens included.
    """
    ids: list[NDArray[np.int32]] = []
    n_truncated, empty = 0, stand_in(tokenizer)
    for start in range(0, len(texts), CHUNK):
        chunk = list(texts[start : start + CHUNK])
        encoded = tokenizer(chunk, truncation=True, max_length=max_length, return_attention_mask=False)
        rows = [np.asarray(row or [empty], dtype=np.int32) for row in encoded["input_ids"]]
        full = [i for i, row in enumerate(rows) if len(row) >= max_length]
        if full:  # only these can have been cut: tokenize them whole to know
            whole = tokenizer([chunk[i] for i in full], return_attention_mask=False, verbose=False)["input_ids"]
            n_truncated += sum(len(row) > max_length for row in whole)
        ids.extend(rows)
    return Tokens(ids, n_truncated)


def tokenize_windows(tokenizer: Any, texts: Sequence[str], max_length: int) -> Tokens:
    """Gives the token ids of `texts`, those longer than `max_length` in windows that share a quarter of their tokens.

    Nothing is cut, and what one window breaks off stands whole in the next, up to that quarter.

    Args:
        tokenizer: A Hugging Face fast tokenizer.
        texts: Any texts.
        max_length: Of a window in tokens, special tokens included.
    """
    ids: list[NDArray[np.int32]] = []
    owners: list[int] = []
    empty, shared = stand_in(tokenizer), max_length // OVERLAP
    for start in range(0, len(texts), CHUNK):
        encoded = tokenizer(
            list(texts[start : start + CHUNK]),
            truncation=True,
            max_length=max_length,
            stride=shared,
            return_overflowing_tokens=True,
            return_attention_mask=False,
        )
        ids.extend(np.asarray(row or [empty], dtype=np.int32) for row in encoded["input_ids"])
        owners.extend(start + owner for owner in encoded["overflow_to_sample_mapping"])
    return Tokens(ids, 0, np.array(owners, dtype=np.int64))


def check_tokenizer(tokenizer: Any, backbone: Any) -> None:
    """Checks that every id of a tokenizer has a word vector in the backbone; what does not tell its words is let pass.

    Raises:
        TrainingError: It has ids beyond them: it belongs to another backbone.
    """
    words = getattr(backbone, "get_input_embeddings", None)
    vocabulary = getattr(tokenizer, "get_vocab", None)
    try:
        rows = words().weight.shape[0] if words is not None else None
    except (AttributeError, NotImplementedError):
        rows = None
    if rows is None or vocabulary is None:
        return
    highest = max(vocabulary().values(), default=-1)
    if highest >= rows:
        raise TrainingError(
            f"The tokenizer has ids up to {highest:,}, and the backbone has {rows:,} word vectors.",
            "the tokenizer that the backbone was trained with",
            "Take both from the same checkpoint.",
        )


def padding_id(tokenizer: Any) -> int:
    """Gives the id that fills a batch up; any will do where there is none, as the mask hides it."""
    return int(getattr(tokenizer, "pad_token_id", None) or 0)


def stand_in(tokenizer: Any) -> int:
    """Gives the token that stands for a text without any: what begins or ends texts."""
    known = (getattr(tokenizer, name, None) for name in ("bos_token_id", "eos_token_id"))
    return next((int(found) for found in known if found is not None), 0)
