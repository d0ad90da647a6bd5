"""The batch that a GPU's memory and the data allow, chosen without a GPU."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smallprint.training import batch_size
from smallprint.training.batch_size import CHOICE, FEWEST, MOST, Size, choose_batch_tokens, fit_batches
from smallprint.training.optimizer import default_learning_rate

MINILM, BASE = Size(22_700_000, 22_700_000, 6, 384), Size(110_000_000, 110_000_000, 12, 768)
LARGE_LORA = Size(1_500_000_000, 10_000_000, 28, 1536)
MANY = 10**9  # tokens of an epoch


@pytest.mark.parametrize(
    ("gigabytes", "size", "tokens"),
    [
        (80, MINILM, 65_536),
        (80, BASE, 65_536),
        (24, BASE, 16_384),
        (16, BASE, 8_192),
        (80, LARGE_LORA, 8_192),
        (16, LARGE_LORA, 512),
        (80, Size(110_000_000, 110_000_000, 12, 768, recomputed=True), 65_536),
        (8, Size(110_000_000, 110_000_000, 12, 768, recomputed=True), 16_384),
        (4, Size(7_000_000_000, 7_000_000_000, 32, 4096), FEWEST),
    ],
)
def test_what_fits(gigabytes, size, tokens):
    assert choose_batch_tokens(gigabytes * 1e9, size, MANY) == tokens


def test_an_epoch_keeps_its_steps_but_no_batch_is_smaller_than_a_processor_s_for_that():
    assert choose_batch_tokens(80e9, MINILM, 208_646) == 4096
    assert choose_batch_tokens(80e9, MINILM, 208_646, 2) == 2048
    assert choose_batch_tokens(80e9, MINILM, 500) == 1024


@given(
    st.floats(0, 200e9),
    st.integers(1, 10**10),
    st.integers(1, 100),
    st.integers(8, 8192),
    st.integers(0, 10**10),
    st.integers(1, 64),
)
def test_always_a_power_of_two_within_bounds_and_memory_never_hurts(free, parameters, layers, width, epoch, processes):
    size = Size(parameters, parameters, layers, width)
    tokens = choose_batch_tokens(free, size, epoch, processes)
    assert FEWEST <= tokens <= MOST
    assert tokens & (tokens - 1) == 0
    assert choose_batch_tokens(2 * free, size, epoch, processes) >= tokens


@pytest.fixture
def chosen(toy, tmp_path, monkeypatch):
    """`chosen(tokens, **training)`: settings, data and lines where that many tokens are chosen."""

    def choose(tokens, **training):
        config = toy.config(batch_tokens="auto", **training)
        data = toy.data(toy.config(batch_tokens=1024))
        monkeypatch.setattr(batch_size, "choose_batch_tokens", lambda *given: tokens)
        lines = []
        found = fit_batches(config, data, toy.classifier(config), "multilabel", tmp_path, 8e9, lines.append)
        return *found, lines

    return choose


def test_batch_and_learning_rate_grow_together(chosen):
    config, data, lines = chosen(4096, learning_rate=None)
    assert (data.batch_tokens, data.batch_size) == (4096, 4 * 64)
    usual = default_learning_rate(torch.nn.Linear(2, 2), "full", "multilabel")
    assert config.training.learning_rate == pytest.approx(2 * usual)
    assert config.training.head_learning_rate == 0.02
    assert config.training.accumulate == 1
    assert lines == ["Batches of 4,096 tokens and at most 256 examples, for 8 GB of GPU, learning rate 0.0001."]


def test_a_rate_that_was_named_stays(chosen):
    config, _, lines = chosen(4096)
    assert config.training.learning_rate == 0.02
    assert "learning rate" not in lines[0]


def test_less_than_usual_is_made_up_by_more_batches_a_step(chosen):
    config, data, lines = chosen(256, learning_rate=None, accumulate=3)
    assert (data.batch_tokens, data.batch_size) == (256, 16)
    assert config.training.accumulate == 12
    assert config.training.learning_rate is None
    assert "12 batches a step" in lines[0]


def test_a_resumed_training_keeps_the_choice(chosen, tmp_path):
    _, before, _ = chosen(4096)
    assert json.loads((tmp_path / CHOICE).read_text()) == {"batch_tokens": 4096}
    _, after, _ = chosen(65_536)
    assert after.batch_tokens == before.batch_tokens == 4096
    assert [b.tolist() for b in after.train_sampler.plan(0)] == [b.tolist() for b in before.train_sampler.plan(0)]


def test_a_frozen_encoder_s_head_keeps_its_batches(toy, tmp_path):
    config = toy.config(batch_tokens="auto", learning_rate=None)
    config = config.model_copy(update={"model": config.model.model_copy(update={"adapter": "frozen"})})
    data = toy.data(toy.config(batch_tokens=1024))
    after, resized = fit_batches(config, data, toy.classifier(config), "multilabel", tmp_path, 80e9, str)
    assert after is config
    assert resized.batch_size == data.batch_size


def test_a_training_takes_the_choice_where_there_is_a_gpu_and_the_usual_batch_where_there_is_none(
    monkeypatch, tmp_path, tiny_backbone, labelled_frame
):
    from smallprint import api
    from smallprint.core.settings import build_config

    labelled_frame("multilabel", 120).write_parquet(tmp_path / "d.parquet")
    monkeypatch.setattr(batch_size, "choose_batch_tokens", lambda *given: 256)
    config = build_config(
        {
            "model": {"backbone": str(tiny_backbone)},
            "training": {"epochs": 1},
            "tracking": {"enabled": False},
            "evaluation": {"baseline": "none"},
        }
    )
    said, budgets = {}, {}
    for free in (None, 8e9):
        monkeypatch.setattr("smallprint.families.encoder.free_gpu_bytes", lambda free=free: free)
        lines = []
        run = api.train(str(tmp_path / "d.parquet"), config=config, out=tmp_path / str(free), say=lines.append).run
        said[free] = [line for line in lines if line.startswith("Batches of")]
        budgets[free] = sorted(path.name for path in run.rglob(CHOICE))
    assert said == {
        None: [],
        8e9: ["Batches of 256 tokens and at most 16 examples, for 8 GB of GPU, 4 batches a step."],
    }
    assert budgets == {None: [], 8e9: [CHOICE]}
