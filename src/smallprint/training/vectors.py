"""A frozen encoder reads each text once: its vectors are stored, and every epoch trains the head on them.

In: a classifier whose backbone is frozen, and its data module of tokens. Out: a classifier with the same head over
stored vectors, and a data module of them; what trains the one trains the other. Nothing is written to disk.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from smallprint.core.results import Array
from smallprint.modeling.classifier import TextClassifier
from smallprint.training.datamodule import Batch, BucketSampler, TextDataModule, TokenDataset


class VectorDataset(TokenDataset):
    """Vectors and targets by index, in batches like those of tokens: each vector is a text of one token.

    Args:
        vectors: fp32 `[n, width]`.
        targets: Encoded labels, `[n]` or `[n, n_outputs]`.
    """

    def __init__(self, vectors: Tensor, targets: Array) -> None:
        super().__init__([np.zeros(1, dtype=np.int32)] * len(vectors), targets)
        self.vectors = vectors

    def collate(self, pad_id: int, indices: Sequence[int]) -> Batch:
        """Gives `input_ids` (the vectors, `[n, 1, width]`), `attention_mask`, `targets` and `index`."""
        return super().collate(pad_id, indices) | {"input_ids": self.vectors[list(indices)].unsqueeze(1)}


class StoredVectors(nn.Module):
    """A backbone without weights: what comes in are the vectors that come out."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Gives `input_ids`, `[n, 1, width]`."""
        return input_ids


def store_vectors(classifier: TextClassifier, data: TextDataModule) -> tuple[TextClassifier, TextDataModule]:
    """Gives a classifier over stored vectors that shares the head, and the data module of these vectors.

    Args:
        classifier: Its backbone is frozen.
        data: Train and validation tokens.
    """
    train, validation = (
        VectorDataset(_read(classifier, part, data), part.targets) for part in (data.train_set, data.validation_set)
    )
    stored = TextDataModule(
        train, validation, data.pad_id, batch_tokens=data.batch_size, batch_size=data.batch_size, seed=data.seed
    )
    return TextClassifier(StoredVectors(), classifier.head, "cls", classifier.dropout.p, frozen=True), stored


def _read(classifier: TextClassifier, dataset: TokenDataset, data: TextDataModule) -> Tensor:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classifier.eval().to(device)
    parts: list[tuple[list[int], Tensor]] = []
    with torch.inference_mode():
        for batch in BucketSampler(dataset.lengths, 4 * data.batch_tokens, 256, None):
            tokens = dataset.collate(data.pad_id, batch)
            vectors = classifier.embed(tokens["input_ids"].to(device), tokens["attention_mask"].to(device))
            parts.append((batch, vectors.cpu()))
    stored = torch.zeros(len(dataset), parts[0][1].shape[1])
    for indices, vectors in parts:
        stored[indices] = vectors
    return stored
