import numpy as np
import pytest
import pytorch_lightning as L
import torch
from hypothesis import given
from hypothesis import strategies as st

from smallprint.core.config import TrainingConfig
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.modeling.backbone import load_tokenizer
from smallprint.training.datamodule import (
    BucketSampler,
    ResumableLoader,
    TextDataModule,
    TokenDataset,
    build_datamodule,
)


def batches_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.fixture
def sampler():
    lengths = np.random.default_rng(0).integers(3, 40, size=200)
    return BucketSampler(lengths, 256, 16, seed=5)


def test_every_example_once_an_epoch_in_as_many_batches(sampler):
    epochs = [batches_of(sampler, epoch) for epoch in range(5)]
    for batches in epochs:
        assert sorted(i for batch in batches for i in batch) == list(range(200))
        assert len(batches) == len(sampler)
    assert epochs[0] != epochs[1]
    assert {frozenset(b) for b in epochs[0]} != {frozenset(b) for b in epochs[1]}, "batches mix anew"
    assert batches_of(sampler, 0) == epochs[0]


def test_a_pass_can_begin_amid_an_epoch(sampler):
    whole = batches_of(sampler, 2)
    loader = ResumableLoader(range(200), batch_sampler=sampler, collate_fn=list)
    assert [list(batch) for batch in loader] == whole
    assert loader.state_dict() == {"done": 0}
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
    assert loader.state_dict() == {"done": 3}
    loader.load_state_dict({"done": 3})
    assert [list(batch) for batch in loader] == whole[3:]
    assert [list(batch) for batch in loader] == whole, "the next epoch is whole again"


def test_other_seed_other_order(sampler):
    other = BucketSampler(sampler.lengths, 256, 16, seed=6)
    assert batches_of(other, 0) != batches_of(sampler, 0)


def test_collate():
    ids = [np.array([5, 6], dtype=np.int32), np.array([7], dtype=np.int32), np.array([8, 9, 1], dtype=np.int32)]
    many = TokenDataset(ids, np.array([[0, 1], [1, 0], [1, 1]], dtype=np.int8)).collate(0, [2, 1])
    assert many["input_ids"].tolist() == [[8, 9, 1], [7, 0, 0]]
    assert many["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert many["targets"].tolist() == [[1, 1], [1, 0]]
    assert many["targets"].dtype == torch.float32
    assert many["index"].tolist() == [2, 1]
    one = TokenDataset(ids, np.array([2, 0, 1])).collate(0, [0, 2])
    assert one["targets"].tolist() == [2, 1]
    assert one["targets"].dtype == torch.int64


def test_lightning_shuffles_anew_each_epoch(toy):
    """Lightning calls `set_epoch` only where it looks for it."""
    seen = {}

    class Look(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch, batch_idx):
            seen.setdefault(self.current_epoch, []).append(batch["index"].tolist())
            return self.weight.sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = toy.data(toy.config())
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    L.Trainer(max_epochs=3, logger=False, accelerator="cpu", limit_val_batches=0, **quiet).fit(Look(), data)
    assert len(seen) == 3
    for epoch, batches in seen.items():
        assert batches == [batch.tolist() for batch in data.train_sampler.plan(epoch)]
    assert seen[0] != seen[1] != seen[2]


def test_validation_has_every_example_once(toy):
    data = toy.data(toy.config())
    found = [i for batch in data.val_dataloader() for i in batch["index"].tolist()]
    assert sorted(found) == list(range(40))


def test_padding_share(toy):
    data = toy.data(toy.config(), n=500)
    batches = list(data.train_dataloader())
    padded = sum(batch["attention_mask"].numel() for batch in batches)
    real = sum(int(batch["attention_mask"].sum()) for batch in batches)
    assert data.padding_share() == pytest.approx(1 - real / padded)
    assert len(batches) == data.batches_per_epoch


def test_build_datamodule(tiny_backbone):
    import polars as pl

    def examples(split, texts, labels):
        frame = pl.DataFrame({"row": range(len(texts)), "text": texts, "labels": labels, "group": [None] * len(texts)})
        return Examples(split, frame)

    said = []
    data = build_datamodule(
        examples("train", ["we may close", "the account " * 20], [["b"], ["a", "b"]]),
        examples("validation", ["your content"], [[]]),
        LabelSet("multilabel", ["a", "b"]),
        load_tokenizer(str(tiny_backbone)),
        8,
        TrainingConfig(seed=9, batch_size=3, batch_tokens=99),
        said.append,
    )
    assert isinstance(data, TextDataModule)
    assert said == ["1 of 2 train texts are cut at 8 tokens."]
    assert data.train_set.lengths.tolist() == [5, 8]
    assert data.train_set.targets.tolist() == [[0, 1], [1, 1]]
    assert data.validation_set.targets.tolist() == [[0, 0]]
    assert (data.seed, data.batch_size, data.batch_tokens, data.pad_id) == (9, 3, 99, 0)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=80),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_a_plan_is_dealt_out_without_loss(lengths, world, accumulate, epoch):
    parts = []
    for rank in range(world):
        sampler = BucketSampler(np.array(lengths), 64, 8, seed=3)
        sampler.rank, sampler.world, sampler.accumulate = rank, world, accumulate
        sampler._n_batches = -(-len(sampler.plan(0)) // world)
        sampler.set_epoch(epoch)
        parts.append([list(batch) for batch in sampler])
    assert len({len(part) for part in parts}) == 1, "all have as many steps"
    alone = world * accumulate == 1
    kept = [[batch if alone else batch[:-1] for batch in part] for part in parts]
    assert sorted(i for part in kept for batch in part for i in batch) == list(range(len(lengths)))
    if not alone:
        steps = -(-len(parts[0]) // accumulate)
        for step in range(steps):
            group = [batch for part in parts for batch in part[step * accumulate : (step + 1) * accumulate]]
            assert {-batch[-1] for batch in group} == {sum(len(batch) - 1 for batch in group)}


def test_an_empty_part_counts_nothing():
    ids = [np.array([5, 6], dtype=np.int32), np.array([7], dtype=np.int32)]
    dataset = TokenDataset(ids, np.array([[1], [0]]))
    empty = dataset.collate(0, [-4])
    assert empty["share"] == 0
    assert empty["index"].tolist() == [-1]
    part = dataset.collate(0, [1, -4])
    assert part["share"] == 0.25
    assert part["index"].tolist() == [1]
    assert "share" not in dataset.collate(0, [1])
