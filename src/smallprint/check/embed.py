"""Vectors of texts by the embedded MiniLM. In: texts. Out: an array; each text is read once, in batches of like length.

Batches are read side by side, one a processor, which is faster than one batch by all. Where the processor multiplies bfloat16 itself,
so do they: cosines move by 0.002 at most, and it takes half the time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.progress import Say, say_nothing
from smallprint.modeling.batching import usable_cores

LAYERS = (2, 4, 6)  # the middle ones tell classes apart, the last one meanings
MAX_LENGTH, BATCH_TOKENS, BATCH_SIZE = 128, 2048, 256
MOST_WORKERS = 16


def embed_texts(texts: Sequence[str], say: Say = say_nothing, bfloat16: bool | None = None) -> NDArray[np.float32]:
    """Gives unit vectors of three layers, float32 `[3, n, 384]`; texts are cut at 128 tokens.

    Args:
        texts: Any.
        say: Takes lines for a person.
        bfloat16: Multiply in it; where the processor does so itself when left out.
    """
    import torch

    from smallprint.modeling.backbone import load_backbone, load_tokenizer, use_attention
    from smallprint.modeling.batching import pad_batch, plan_batches
    from smallprint.modeling.tokenizer import padding_id, tokenize

    backbone, tokenizer = load_backbone("minilm").eval(), load_tokenizer("minilm")
    use_attention(backbone, "sdpa")
    tokens, pad = tokenize(tokenizer, texts, MAX_LENGTH), padding_id(tokenizer)
    found = np.zeros((len(LAYERS), len(texts), 384), dtype=np.float32)
    batches = plan_batches(tokens.lengths, BATCH_TOKENS, BATCH_SIZE)
    half = _multiplies_bfloat16() if bfloat16 is None else bfloat16

    def read(batch: Any) -> None:
        ids, mask = pad_batch([tokens.ids[i] for i in batch], pad)
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            states = backbone(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        weights = mask.unsqueeze(-1).float()
        for place, layer in enumerate(LAYERS):
            vectors = (states[layer].float() * weights).sum(1) / weights.sum(1)
            found[place, batch] = torch.nn.functional.normalize(vectors, dim=-1).numpy()

    threads = torch.get_num_threads()
    # the number of threads is a worker's own, and in part the process's: it is put back
    with ThreadPoolExecutor(_workers(), "embed", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for number, _ in enumerate(pool.map(read, batches), start=1):
                if number % 50 == 0:
                    say(f"  {100 * number / len(batches):.0f}% of the texts read")
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
    return found


def _workers() -> int:
    """Gives how many processors may be used: as many as `OMP_NUM_THREADS` says, else all that this process may run on."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said):
        return min(int(said), MOST_WORKERS)
    return min(usable_cores(), MOST_WORKERS)


def _multiplies_bfloat16() -> bool:
    import torch

    told = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(bool(ask()) for ask in told if ask is not None)


__all__ = ["embed_texts"]
