"""What an encoder knows of single words: each goes through it alone (as model2vec does with tokens). In: words. Out: vectors.

The vectors lose what all words share and what tells few of them apart: the mean, and all but the first principal components.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from smallprint.core.results import Array
from smallprint.modeling.backbone import load_backbone, load_tokenizer
from smallprint.modeling.batching import pad_batch, plan_batches
from smallprint.modeling.plain_text import word_list
from smallprint.modeling.tokenizer import padding_id, tokenize

WIDTH = 128  # principal components that are kept
MAX_LENGTH, BATCH_TOKENS, BATCH_SIZE = 32, 2048, 256
MOST = 30_000  # words of the vocabulary, the first ones: vocabularies are ordered by frequency


def vectors_with(name: str, revision: str | None, words: Sequence[str]) -> tuple[list[str], Array]:
    """Gives words of the encoder's vocabulary beyond `words`, and vectors of `words` and these, float64 `[n, 128 at most]`.

    Args:
        name: Of the encoder, as for `load_backbone`.
        revision: Commit or tag on the Hub.
        words: In lower case.

    Raises:
        TrainingError: The encoder cannot be loaded.
    """
    known, of_known = _vocabulary(name, revision)
    ids = {word: i for i, word in enumerate(known)}
    missing = [word for word in words if word not in ids]
    vectors = np.vstack([of_known, _embed(name, revision, missing)])
    ids |= {word: len(known) + i for i, word in enumerate(missing)}
    given = set(words)
    more = [word for word in known if word not in given]
    chosen = vectors[[ids[word] for word in [*words, *more]]].astype(np.float64)
    return more, _reduce(chosen)


@lru_cache(maxsize=1)
def _vocabulary(name: str, revision: str | None) -> tuple[list[str], Array]:
    tokenizer = load_tokenizer(name, revision)
    special = set(tokenizer.all_special_tokens)
    words: dict[str, None] = {}
    for token in sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get):
        text = "" if token in special else tokenizer.convert_tokens_to_string([token]).strip()
        if len(word := word_list(text)) == 1 and word[0] == text.lower():
            words[word[0]] = None
    known = list(words)[:MOST]
    return known, _embed(name, revision, known)


def _embed(name: str, revision: str | None, words: Sequence[str]) -> Array:
    """Gives the mean token vector of each word, float32 `[n, width]`."""
    import torch

    backbone: Any = load_backbone(name, revision).eval()
    tokenizer = load_tokenizer(name, revision)
    tokens = tokenize(tokenizer, words, MAX_LENGTH)
    vectors: list[Array] = [np.zeros(0)] * len(words)
    with torch.inference_mode():
        for batch in plan_batches(tokens.lengths, BATCH_TOKENS, BATCH_SIZE):
            ids, mask = pad_batch([tokens.ids[i] for i in batch], padding_id(tokenizer))
            states = backbone(input_ids=ids, attention_mask=mask).last_hidden_state
            share = mask[:, :, None] / mask.sum(dim=1)[:, None, None]
            for i, vector in zip(batch, (states * share).sum(dim=1).float().numpy(), strict=True):
                vectors[i] = vector
    width = vectors[0].shape[0] if vectors else int(backbone.config.hidden_size)
    return np.array(vectors, dtype=np.float32).reshape(len(words), width)


def _reduce(vectors: Array) -> Array:
    """Gives the first principal components, rows of length 1."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    kept = centred @ axes[:, ::-1][:, :WIDTH]
    return np.asarray(kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), 1e-9))


__all__ = ["vectors_with"]
