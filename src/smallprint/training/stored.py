"""What no epoch changes is read once: vectors of a frozen encoder, or hidden states below the layers that are trained.

In: a classifier and its data module of tokens. Out: a classifier that shares what is trained, over stored values, and a
data module of them; what trains the one trains the other. Vectors are kept on disk too, where somewhere to keep them is given.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smallprint.core.kept import Kept
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import Array
from smallprint.modeling.classifier import TextClassifier
from smallprint.modeling.kept_vectors import VectorFiles, weights_digest
from smallprint.modeling.kernel_head import unit_distances
from smallprint.modeling.upper_layers import LowerLayers, UpperLayers, find_layers
from smallprint.training.datamodule import Batch, BucketSampler, TextDataModule, TokenDataset

MOST_BYTES = 4e9  # of hidden states in memory
PROGRESS_SECONDS = 15.0  # least time between two lines
MOST_DISTANCE_BYTES = 1e9  # of distances between vectors: five sets of layers of 7,000 texts

# hidden states or vectors of a batch from its token ids and mask
Read = Callable[[Tensor, Tensor], Tensor]


class VectorDataset(TokenDataset):
    """Vectors and targets by index, in batches like those of tokens: each vector is a text of one token.

    Args:
        vectors: fp32 `[n, width]`.
        targets: Encoded labels, `[n]` or `[n, n_outputs]`.
    """

    def __init__(self, vectors: Tensor, targets: Array) -> None:
        super().__init__([np.zeros(1, dtype=np.int32)] * len(vectors), targets)
        self.vectors = vectors
        whole = torch.from_numpy(np.ascontiguousarray(targets))
        self.encoded = whole if whole.ndim == 1 else whole.float()

    def collate(self, pad_id: int, indices: Sequence[int]) -> Batch:
        """Gives `input_ids` (the vectors, `[n, 1, width]`), `attention_mask`, `targets` and `index`."""
        if len(indices) and indices[-1] < 0:
            return super().collate(pad_id, indices)
        index = torch.as_tensor(indices)
        return {
            "input_ids": self.vectors[index].unsqueeze(1),
            "attention_mask": torch.ones((len(indices), 1), dtype=torch.long),
            "targets": self.encoded[index],
            "index": index,
        }


class HiddenDataset(TokenDataset):
    """Hidden states and targets by index.

    Args:
        ids: One int32 array per text.
        hidden: One `[length, width]` per text.
        targets: Encoded labels, `[n]` or `[n, n_outputs]`.
    """

    def __init__(self, ids: Sequence[NDArray[np.int32]], hidden: Sequence[Tensor], targets: Array) -> None:
        super().__init__(ids, targets)
        self.hidden = hidden

    def collate(self, pad_id: int, indices: Sequence[int]) -> Batch:
        """Gives `input_ids` (the hidden states, fp32 `[n, longest, width]`), `attention_mask`, `targets` and `index`."""
        if len(indices) and indices[-1] < 0:
            return super().collate(pad_id, indices)
        padded = nn.utils.rnn.pad_sequence([self.hidden[i].float() for i in indices], batch_first=True)
        return super().collate(pad_id, indices) | {"input_ids": padded}


class StoredVectors(nn.Module):
    """A backbone without weights: what comes in are the vectors that come out."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Gives `input_ids`, `[n, 1, width]`."""
        return input_ids


class VectorCache:
    """What frozen encoders gave for texts, in memory: folds, members, seeds and trials of one encoder read each text once.

    What `read` is given to keep them in holds them from one process to the next: by texts and weights, so that folds and other splits
    find them too. A text's vector moves by some 1e-7 with those that shared its batch when it was read.

    Args:
        foreseen: Layers that somebody will want pooled: they are kept when a text is read for the first of them.
        scoring: Heads that a gradient trained score validation from what is kept, too: many trials of one encoder then read no
            text twice. Their scores move by some 1e-7. Distances between vectors are kept then as well.
        by_order: Whoever asks looks at the order of each label's scores alone: no head need turn them into shares.
    """

    def __init__(self, foreseen: Sequence[int] = (), scoring: bool = False, by_order: bool = False) -> None:
        self.foreseen, self.scoring, self.by_order = tuple(foreseen), scoring, by_order
        self._known: dict[tuple[str, int | None, bytes], Tensor] = {}
        self._distances: dict[tuple[int, bytes], Tensor] = {}
        self._hidden: tuple[str, dict[bytes, Tensor]] = ("", {})
        self._digests: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()

    def read(
        self,
        name: str,
        classifier: TextClassifier,
        dataset: TokenDataset,
        data: TextDataModule,
        kept: Kept | None = None,
    ) -> Tensor:
        """Gives what `read_vectors` gives.

        Args:
            name: Of the encoder and of how its tokens are pooled: equal names have equal vectors for equal token ids.
            classifier: Reads what is not known yet; its layers are no part of the name.
            dataset: Tokens of the texts.
            data: Tells batch sizes and padding.
            kept: Vectors of other processes; those of texts that are new to it are added.
        """
        wanted: Sequence[int | None] = classifier.layers or [None]
        texts = [row.tobytes() for row in dataset.ids]

        def unknown() -> dict[bytes, int]:
            return {text: i for i, text in enumerate(texts) if any((name, k, text) not in self._known for k in wanted)}

        missing, place = unknown(), None
        if missing and kept is not None and kept.most_bytes:
            if (digest := self._digests.get(classifier.backbone)) is None:  # train and validation have one encoder
                digest = self._digests[classifier.backbone] = weights_digest(classifier.backbone)
            place = VectorFiles(kept, f"{name} {digest}")
            self._known.update({(name, k, text): row for k, text, row in place.find(missing, wanted)})
            missing = unknown()
        if new := sorted(missing.values()):
            part = TokenDataset([dataset.ids[i] for i in new], dataset.targets[new])
            layers = classifier.layers
            read: Sequence[int | None] = wanted
            if layers is not None:
                read = classifier.layers = tuple(sorted({*layers, *self.foreseen}))
            try:
                vectors = read_vectors(classifier, part, data)
            finally:
                classifier.layers = layers
            for i, row in zip(new, vectors, strict=True):
                for layer, vector in zip(read, row.chunk(len(read)), strict=True):
                    self._known[name, layer, texts[i]] = vector
            if place is not None:
                place.add([texts[i] for i in new], dict(zip(read, vectors.chunk(len(read), dim=1), strict=True)))
        return torch.cat([torch.stack([self._known[name, k, text] for text in texts]) for k in wanted], dim=1)

    def hidden(self, name: str) -> dict[bytes, Tensor]:
        """Gives the hidden states that are known, by token ids, to read from and to add to; those of any other name are let go.

        Args:
            name: Of the encoder, of how far it reads and how precisely.
        """
        if self._hidden[0] != name:
            self._hidden = name, {}
        return self._hidden[1]

    def distances(self, vectors: Tensor, blocks: int) -> Tensor | None:
        """Gives what `unit_distances` gives, and keeps the last few; None where they are not kept.

        Args:
            vectors: fp32 `[n, width]`.
            blocks: How many stand side by side.
        """
        if not self.scoring or 4 * len(vectors) ** 2 > MOST_DISTANCE_BYTES:
            return None
        key = blocks, hashlib.sha256(vectors.contiguous().numpy().tobytes()).digest()
        found = self._distances.pop(key, None)
        self._distances[key] = unit_distances(vectors, blocks) if found is None else found  # the last used stands last
        while 4 * sum(kept.numel() for kept in self._distances.values()) > MOST_DISTANCE_BYTES:
            self._distances.pop(next(iter(self._distances)))
        return self._distances[key]


def store_vectors(
    classifier: TextClassifier, data: TextDataModule, read: Callable[[TokenDataset], Tensor] | None = None
) -> tuple[TextClassifier, TextDataModule]:
    """Gives a classifier over stored vectors that shares the head, and the data module of these vectors.

    Args:
        classifier: Its backbone is frozen.
        data: Train and validation tokens.
        read: Gives the vectors of a data set; `read_vectors` when left out.
    """
    read = read or (lambda part: read_vectors(classifier, part, data))
    train, validation = (VectorDataset(read(part), part.targets) for part in (data.train_set, data.validation_set))
    stored = TextDataModule(
        train, validation, data.pad_id, batch_tokens=data.batch_size, batch_size=data.batch_size, seed=data.seed
    )
    return TextClassifier(StoredVectors(), classifier.head, "cls", classifier.dropout.p, frozen=True), stored


def store_hidden(
    classifier: TextClassifier,
    data: TextDataModule,
    n_trained: int,
    precision: str,
    known: dict[bytes, Tensor] | None = None,
    say: Say = say_nothing,
) -> tuple[TextClassifier, TextDataModule]:
    """Gives a classifier of the upper layers over stored hidden states, and the data module of these.

    Where they would not fit into memory, classifier and data come back as they are: the lower layers then are read anew
    each epoch, with dropout.

    Args:
        classifier: Its lower layers take no gradient.
        data: Train and validation tokens.
        n_trained: How many layers, from the top, are trained.
        precision: bf16 halves the memory where training multiplies in it anyway, else fp32.
        known: Hidden states by token ids, of the same layers and precision: these texts are not read. What is read is added.
        say: Takes lines for a person.
    """
    _, layers = find_layers(classifier.backbone)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    tokens = int(data.train_set.lengths.sum() + data.validation_set.lengths.sum())
    width = classifier.backbone.config.hidden_size  # type: ignore[union-attr]
    needed = tokens * int(width) * kind.itemsize  # type: ignore[arg-type]
    if needed > MOST_BYTES:
        say("The lower layers are read anew each epoch: what they give would not fit into memory.")
        return classifier, data
    lower = LowerLayers(classifier.backbone, len(layers) - n_trained)
    upper = UpperLayers(classifier.backbone, n_trained)
    if not _joins(classifier, lower, upper, data):
        say("The lower layers are read anew each epoch: this backbone cannot be entered halfway.")
        return classifier, data

    def read(ids: Tensor, mask: Tensor) -> Tensor:
        return lower(ids, mask, **classifier.more_arguments(mask))

    known = {} if known is None else known
    parts = (data.train_set, data.validation_set)
    new = {row.tobytes(): row for part in parts for row in part.ids}
    others = [text for text in known if text not in new]
    if needed + sum(known[text].nbytes for text in others) > MOST_BYTES:
        for text in others:
            del known[text]
    missing = [row for text, row in new.items() if text not in known]
    unread = TokenDataset(missing, np.zeros((len(missing), 1), dtype=np.int8))
    done, start = 0, time.monotonic()
    said, to_read = start, int(unread.lengths.sum())
    for indices, states in _read(classifier, read, unread, data, precision):
        for row, index in enumerate(indices):
            known[unread.ids[index].tobytes()] = states[row, : unread.lengths[index]].to(kind).clone()
        done += int(unread.lengths[indices].sum())
        if (now := time.monotonic()) - said >= PROGRESS_SECONDS:
            said, left = now, round((now - start) * (to_read - done) / done)
            say(f"  layers below the trained ones read: {100 * done // to_read}%  {left // 60}:{left % 60:02d} left")
    stored = [HiddenDataset(part.ids, [known[row.tobytes()] for row in part.ids], part.targets) for part in parts]
    whole = classifier.backbone
    trained = TextClassifier(upper, classifier.head, classifier.pooling, classifier.dropout.p, whole=whole)
    return trained, TextDataModule(stored[0], stored[1], data.pad_id, data.batch_tokens, data.batch_size, data.seed)


def _joins(classifier: TextClassifier, lower: LowerLayers, upper: UpperLayers, data: TextDataModule) -> bool:
    """Gives whether lower and upper layers, one after the other, give what the whole backbone gives for a few texts."""
    some = np.argsort(data.train_set.lengths, kind="stable")[:: max(1, len(data.train_set) // 8)][-8:]
    tokens = data.train_set.collate(data.pad_id, some.tolist())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classifier.eval().to(device)
    ids, mask = tokens["input_ids"].to(device), tokens["attention_mask"].to(device)
    try:
        with torch.no_grad():
            more = classifier.more_arguments(mask)
            hidden = lower(ids, mask, **more)
            upper.take_form(lower.as_tuple)
            joined = upper(hidden, mask, **more)
            output = classifier.backbone(input_ids=ids, attention_mask=mask, **more)
    except Exception:  # whatever an architecture raises that is not made for this
        return False
    whole = getattr(output, "last_hidden_state", output)
    return joined.shape == whole.shape and bool(torch.allclose(joined[mask > 0], whole[mask > 0], atol=1e-3, rtol=1e-3))


def read_vectors(classifier: TextClassifier, dataset: TokenDataset, data: TextDataModule) -> Tensor:
    """Gives a vector per text, fp32 `[n, width]`.

    Args:
        classifier: Switched to evaluation.
        dataset: Tokens of the texts.
        data: Tells batch sizes and padding.
    """
    stored: Tensor | None = None
    for indices, vectors in _read(classifier, classifier.embed, dataset, data, "fp32"):
        if stored is None:
            stored = torch.zeros(len(dataset), vectors.shape[1])
        stored[indices] = vectors
    assert stored is not None
    return stored


def _read(
    classifier: TextClassifier, read: Read, dataset: TokenDataset, data: TextDataModule, precision: str
) -> Iterator[tuple[list[int], Tensor]]:
    """Yields the indices of each batch and what `read` gives of it, in evaluation mode."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classifier.eval().to(device)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    for batch in BucketSampler(dataset.lengths, 2 * data.batch_tokens, 256, None):
        tokens = dataset.collate(data.pad_id, batch)
        with torch.no_grad(), torch.autocast(device.type, dtype=kind, enabled=precision == "bf16"):
            values = read(tokens["input_ids"].to(device), tokens["attention_mask"].to(device)).cpu()
        yield batch, values
