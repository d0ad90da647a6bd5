"""Tokens and targets in, Lightning's loaders out: batches of like length within a token budget, resumable inside an epoch.

It works alone under a plain `L.Trainer`. It opens no file but those of kept tokens, where it is given them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as L
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from smallprint.core.config import USUAL_TOKENS, TrainingConfig
from smallprint.core.kept import Kept
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import Array
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.modeling.batching import pad_batch, padding_share, plan_batches
from smallprint.modeling.kept_tokens import fingerprint, read_tokens
from smallprint.modeling.tokenizer import padding_id
from smallprint.training import processes

Batch = dict[str, torch.Tensor]


class TokenDataset(Dataset[int]):
    """Token ids and targets by index.

    Args:
        ids: One int32 array per text.
        targets: Encoded labels, `[n]` or `[n, n_outputs]`.
    """

    def __init__(self, ids: Sequence[NDArray[np.int32]], targets: Array) -> None:
        self.ids, self.targets = ids, targets
        self.lengths = np.array([len(row) for row in ids], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, pad_id: int, indices: Sequence[int]) -> Batch:
        """Gives `input_ids`, `attention_mask`, `targets` and `index` of some examples as tensors.

        Where a step has several batches, of other processes or to be accumulated, the batch's `share` of its examples too.
        """
        if len(indices) and indices[-1] < 0:
            return self._collate_part(pad_id, indices[:-1], -indices[-1])
        input_ids, attention_mask = pad_batch([self.ids[i] for i in indices], pad_id)
        targets = torch.from_numpy(np.ascontiguousarray(self.targets[np.asarray(indices)]))
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "targets": targets if targets.ndim == 1 else targets.float(),
            "index": torch.as_tensor(indices),
        }

    def _collate_part(self, pad_id: int, indices: Sequence[int], of: int) -> Batch:
        """Gives a part of a step; where a process has none, an example that counts nothing, since all must step together."""
        batch = self.collate(pad_id, indices if len(indices) else [0])
        if not len(indices):
            batch["index"] = torch.full_like(batch["index"], -1)
        return batch | {"share": torch.tensor(len(indices) / of)}


class BucketSampler(Sampler[list[int]]):
    """Batches of one epoch, the same for the same seed and epoch, from a batch number on.

    Of several processes each takes every so many-th batch of the same plan, so that each example is taken by exactly one, and
    all have as many: who has none left gets an empty one. Where a step has several batches, of other processes or to be
    accumulated, behind the indices stands, negative, how many examples the step has: so that its gradient can be that of the
    mean over all of these.

    Args:
        lengths: Tokens of each text, `[n]`.
        batch_tokens: Token budget of a batch.
        batch_size: Most texts of a batch.
        seed: None keeps the order by length, for evaluation.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_tokens: int, batch_size: int, seed: int | None) -> None:
        self.lengths, self.batch_tokens, self.batch_size, self.seed = lengths, batch_tokens, batch_size, seed
        self.epoch, self.done, self.skip = 0, 0, 0
        self.rank, self.world, self.accumulate = processes.rank(), processes.world_size(), 1
        self._n_batches = -(-len(plan_batches(lengths, batch_tokens, batch_size)) // self.world)

    def __len__(self) -> int:
        return self._n_batches

    def plan(self, epoch: int) -> list[NDArray[np.int64]]:
        """Gives every batch of an epoch."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, epoch])
        return plan_batches(self.lengths, self.batch_tokens, self.batch_size, rng)

    @property
    def sampler(self) -> BucketSampler:
        """Gives itself: Lightning calls `set_epoch` on a batch sampler's `sampler` alone."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; Lightning calls it."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        self.done, self.skip = self.skip, 0
        batches = self.plan(self.epoch)
        for step in range(self.done, self._n_batches):
            place = step * self.world + self.rank
            own = batches[place].tolist() if place < len(batches) else []
            self.done += 1
            size = self.world * self.accumulate
            first = step // self.accumulate * size
            yield own if size == 1 else [*own, -sum(len(batch) for batch in batches[first : first + size])]


class ResumableLoader(DataLoader[Any]):
    """A loader that can be told how many batches of its epoch are done."""

    def state_dict(self) -> dict[str, int]:
        """Gives the number of batches handed out in this epoch."""
        sampler = self.batch_sampler
        assert isinstance(sampler, BucketSampler)
        state = {"done": sampler.done % len(sampler)}
        return state | ({"processes": sampler.world} if sampler.world > 1 else {})

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Makes the next pass begin after the batches that are done."""
        sampler = self.batch_sampler
        assert isinstance(sampler, BucketSampler)
        # with another number of processes the next whole step is the nearest place to go on from
        sampler.skip = state["done"] * state.get("processes", 1) // sampler.world


class TextDataModule(L.LightningDataModule):
    """Train and validation batches.

    Args:
        train: Token ids and targets of the training split, or a data set of one's own that gives such batches.
        validation: The same of the validation split.
        pad_id: Token id of padding.
        batch_tokens: Token budget of a batch, padding counted.
        batch_size: Most examples of a batch.
        seed: Of the batches' order.
    """

    def __init__(
        self,
        train: TokenDataset | tuple[Sequence[NDArray[np.int32]], Array],
        validation: TokenDataset | tuple[Sequence[NDArray[np.int32]], Array],
        pad_id: int,
        batch_tokens: int = 2048,
        batch_size: int = 64,
        seed: int = 42,
    ) -> None:
        super().__init__()
        self.train_set, self.validation_set = (
            part if isinstance(part, TokenDataset) else TokenDataset(*part) for part in (train, validation)
        )
        self.pad_id, self.batch_tokens, self.batch_size, self.seed = pad_id, batch_tokens, batch_size, seed
        self.train_sampler = BucketSampler(self.train_set.lengths, batch_tokens, batch_size, seed)

    @property
    def batches_per_epoch(self) -> int:
        """Number of training batches of each process, the same in every epoch."""
        return len(self.train_sampler)

    def halved(self) -> TextDataModule:
        """Gives the same examples in batches of half the size."""
        return self.resized(self.batch_tokens // 2, max(1, self.batch_size // 2))

    def resized(self, batch_tokens: int, batch_size: int) -> TextDataModule:
        """Gives the same examples in other batches."""
        return TextDataModule(self.train_set, self.validation_set, self.pad_id, batch_tokens, batch_size, self.seed)

    def padding_share(self) -> float:
        """Gives the share of padding among the training tokens of the first epoch, in [0, 1]."""
        return padding_share(self.train_set.lengths, self.train_sampler.plan(0))

    def train_dataloader(self) -> DataLoader[Any]:
        """Gives the training loader: shuffled anew each epoch, every example once."""
        return self._loader(self.train_set, self.train_sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """Gives the validation loader: by length, every example once."""
        lengths = self.validation_set.lengths
        return self._loader(self.validation_set, BucketSampler(lengths, 4 * self.batch_tokens, 256, None))

    def _loader(self, dataset: TokenDataset, sampler: BucketSampler) -> DataLoader[Any]:
        pad_id = self.pad_id
        return ResumableLoader(
            dataset, batch_sampler=sampler, collate_fn=lambda indices: dataset.collate(pad_id, indices), num_workers=0
        )


def build_datamodule(
    train: Examples,
    validation: Examples,
    labels: LabelSet,
    tokenizer: Any,
    max_length: int,
    config: TrainingConfig,
    say: Say = say_nothing,
    kept: Kept | None = None,
) -> TextDataModule:
    """Gives the data module of two splits: texts tokenized once, labels encoded.

    Args:
        train: Examples to learn from.
        validation: Examples to choose by.
        labels: Encodes the labels.
        tokenizer: A Hugging Face tokenizer.
        max_length: In tokens; longer texts are cut, and how many is said.
        config: Batch sizes and seed.
        say: Takes lines for a person.
        kept: Token ids of earlier trainings.
    """
    encoded, name = [], fingerprint(tokenizer) if kept is not None and kept.most_bytes else None
    for examples in (train, validation):
        tokens = read_tokens(tokenizer, examples.texts, max_length, kept, name)
        if tokens.n_truncated:
            say(f"{tokens.n_truncated:,} of {len(examples):,} {examples.split} texts are cut at {max_length} tokens.")
        encoded.append((tokens.ids, labels.encode(examples.labels)))
    pad_id = padding_id(tokenizer)
    budget = USUAL_TOKENS if config.batch_tokens == "auto" else config.batch_tokens
    return TextDataModule(encoded[0], encoded[1], pad_id, budget, config.batch_size, config.seed)
