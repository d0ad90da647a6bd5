"""Vectors of a frozen encoder, kept on disk by text. In: token ids as bytes. Out: the vectors of those that were read before.

A file holds the texts that were read together, as hashes, and a vector of each for every layer that was pooled. The encoder is known by
its weights, not by its name: what is trained further or rounded is another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor, nn

from smallprint import __version__
from smallprint.core.kept import Kept, digest_of
from smallprint.core.results import Array

HASH_BYTES = 16


class VectorFiles:
    """The files of one encoder.

    Args:
        kept: Where they lie.
        encoder: Tells it, and how its tokens are pooled, from all others.
    """

    def __init__(self, kept: Kept, encoder: str) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        made_by = f"{__version__} {version('torch')} {version('transformers')} {device}"
        self.kept, self.prefix = kept, f"vectors-{digest_of(encoder, made_by)[:16]}-"

    def find(
        self, texts: Collection[bytes], layers: Sequence[int | None]
    ) -> Iterator[tuple[int | None, bytes, Tensor]]:
        """Yields layer, text and vector, fp32 `[width]`, of what is there.

        Args:
            texts: Token ids of each, as bytes.
            layers: Which are wanted; None is the last.
        """
        wanted = {(layer, _hash(text)): text for text in texts for layer in layers}
        for key in self.kept.keys(self.prefix):
            if not wanted:
                return
            hashes = self.kept.read_one(key, "texts")
            there = set() if hashes is None else {row.tobytes() for row in hashes}
            if not any(text in there for _, text in wanted):
                continue
            arrays = self.kept.read(key)
            if arrays is None:
                continue
            rows = {row.tobytes(): place for place, row in enumerate(arrays["texts"])}
            for layer, text in list(wanted):
                if text in rows and (vectors := arrays.get(_name(layer))) is not None:
                    yield layer, wanted.pop((layer, text)), torch.from_numpy(vectors[rows[text]].copy())

    def add(self, texts: Sequence[bytes], vectors: Mapping[int | None, Tensor]) -> None:
        """Keeps the vectors of texts, fp32 `[n, width]` for each layer."""
        hashes: Array = np.frombuffer(b"".join(map(_hash, texts)), dtype=np.uint8).reshape(-1, HASH_BYTES)
        arrays = {_name(layer): part.numpy() for layer, part in vectors.items()}
        what = digest_of(hashes.tobytes(), " ".join(sorted(arrays)))
        self.kept.write(f"{self.prefix}{what[:24]}", {"texts": hashes, **arrays})


def weights_digest(backbone: nn.Module) -> str:
    """Gives what tells a backbone's weights from all others; a second for every gigabyte or so."""
    digest = hashlib.sha256(f"{backbone.config}".encode() if hasattr(backbone, "config") else b"")
    for name, tensor in backbone.state_dict().items():
        raw = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {raw.dtype} {tuple(raw.shape)} ".encode())
        digest.update(raw.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _hash(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=HASH_BYTES).digest()


def _name(layer: int | None) -> str:
    return "last" if layer is None else f"layer {layer}"


__all__ = ["VectorFiles", "weights_digest"]
