"""Vectors of texts by the embedded MiniLM. In: texts. Out: an array; each text is read once, in batches of like length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smallprint.core.progress import Say, say_nothing

LAYERS = (2, 4, 6)  # the middle ones tell classes apart, the last one meanings
MAX_LENGTH, BATCH_TOKENS, BATCH_SIZE = 128, 2048, 256


def embed_texts(texts: Sequence[str], say: Say = say_nothing) -> NDArray[np.float32]:
    """Gives unit vectors of three layers, float32 `[3, n, 384]`; texts are cut at 128 tokens."""
    import torch

    from smallprint.modeling.backbone import load_backbone, load_tokenizer, use_attention
    from smallprint.modeling.batching import pad_batch, plan_batches
    from smallprint.modeling.tokenizer import padding_id, tokenize

    backbone, tokenizer = load_backbone("minilm").eval(), load_tokenizer("minilm")
    use_attention(backbone, "sdpa")
    tokens, pad = tokenize(tokenizer, texts, MAX_LENGTH), padding_id(tokenizer)
    found = np.zeros((len(LAYERS), len(texts), 384), dtype=np.float32)
    batches = plan_batches(tokens.lengths, BATCH_TOKENS, BATCH_SIZE)
    with torch.inference_mode():
        for number, batch in enumerate(batches):
            ids, mask = pad_batch([tokens.ids[i] for i in batch], pad)
            states = backbone(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
            weights = mask.unsqueeze(-1).float()
            for place, layer in enumerate(LAYERS):
                vectors = (states[layer] * weights).sum(1) / weights.sum(1)
                found[place, batch] = torch.nn.functional.normalize(vectors, dim=-1).numpy()
            if number % 50 == 49:
                say(f"  {100 * (number + 1) / len(batches):.0f}% of the texts read")
    return found


__all__ = ["embed_texts"]
