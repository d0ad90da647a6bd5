"""Token ids that are kept on disk: texts in, the ids that `tokenize` gives out, without tokenizing what was tokenized before. No windows.

The key is made of the texts, all that the tokenizer does, and the length; a tokenizer that cannot say all that it does is asked anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from smallprint import __version__
from smallprint.core.kept import Kept, digest_of
from smallprint.modeling.tokenizer import Tokens, stand_in, tokenize


def read_tokens(
    tokenizer: Any, texts: Sequence[str], max_length: int, kept: Kept | None, name: str | None = None
) -> Tokens:
    """Gives the token ids of texts.

    Args:
        tokenizer: A Hugging Face tokenizer.
        texts: Any texts.
        max_length: In tokens; longer texts are cut.
        kept: Where to look, and to keep what was not there; None tokenizes.
        name: The tokenizer's `fingerprint`, where it is known.
    """
    if kept is None or not kept.most_bytes or not len(texts) or (name := name or fingerprint(tokenizer)) is None:
        return tokenize(tokenizer, texts, max_length)
    key = "tokens-" + digest_of(name, str(max_length), *texts)
    if (found := kept.read(key)) is not None:
        return _unpacked(found)
    tokens = tokenize(tokenizer, texts, max_length)
    kept.write(key, _packed(tokens))
    return tokens


def fingerprint(tokenizer: Any) -> str | None:
    """Gives what tells a tokenizer from those that give other ids; None where it is not of transformers' own fast kind."""
    from importlib.metadata import version

    inside = getattr(tokenizer, "backend_tokenizer", None)
    if inside is None or not type(tokenizer).__module__.startswith("transformers."):
        return None
    rules = json.loads(inside.to_str())
    for changing in ("truncation", "padding"):  # what the last call asked for
        rules.pop(changing, None)
    sides = f"{type(tokenizer).__name__} {tokenizer.truncation_side} {stand_in(tokenizer)}"
    split = f"{getattr(tokenizer, 'split_special_tokens', False)}"  # the one rule that `to_str` leaves out
    return digest_of(json.dumps(rules), sides, split, __version__, version("tokenizers"), version("transformers"))


def _packed(tokens: Tokens) -> dict[str, Any]:
    lengths = tokens.lengths
    ids = np.concatenate(tokens.ids) if len(tokens.ids) else np.zeros(0, dtype=np.int32)
    return {"ids": ids.astype(np.int32), "lengths": lengths, "cut": np.array([tokens.n_truncated])}


def _unpacked(found: dict[str, Any]) -> Tokens:
    ids = np.split(found["ids"], np.cumsum(found["lengths"])[:-1])
    return Tokens(list(ids), int(found["cut"][0]))


__all__ = ["fingerprint", "read_tokens"]
