"""Epochs that leave easy examples out: which rows, how heavy, how many batches; resumed, and in two processes."""

import math

import numpy as np
import pytest
import torch
from interruptions import Kill, KilledError, outcome
from test_processes import fit_in

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.settings import build_config
from smallprint.modeling.batching import plan_batches
from smallprint.modeling.losses import build_loss
from smallprint.training.datamodule import BucketSampler
from smallprint.training.easy import SkipEasy, weigh
from smallprint.training.fit import fit_classifier


def told(n=400, share=0.6, epochs=5, hard=(), seed=1, tokens=128, size=64):
    lengths = np.random.default_rng(seed).integers(3, 60, size=n)
    easy = SkipEasy(lengths, tokens, size, share, epochs, seed=7)
    targets = torch.zeros(n, 2)
    logits = torch.full((n, 2), -5.0)
    logits[list(hard)] = 5.0
    easy.record(torch.arange(n), logits, targets)
    return easy


def test_first_and_last_epoch_take_all():
    easy = told()
    assert [easy.skips(epoch) for epoch in range(5)] == [False, True, True, True, False]
    for epoch in (0, 4):
        assert torch.equal(easy.weights(epoch), torch.ones(400))
    assert not any(told(share=0.0).skips(epoch) for epoch in range(5))
    assert not any(told(epochs=2).skips(epoch) for epoch in range(2))


def test_the_hardest_are_all_taken_and_the_rest_counts_for_all():
    hard = range(0, 60, 3)
    easy = told(hard=hard)
    weights = easy.weights(1).numpy()
    kept = weights[weights > 0]
    assert kept.mean() == pytest.approx(1)
    assert easy.lengths[weights > 0].sum() / easy.lengths.sum() == pytest.approx(0.4, abs=0.03)
    lightest = kept == kept.min()
    assert (weights[list(hard)] == kept.min()).all()
    # as many times heavier as there are more of them than were taken
    assert kept.max() / kept.min() == pytest.approx((400 - lightest.sum()) / (~lightest).sum())
    assert len({*kept.tolist()}) == 2


def test_each_epoch_draws_anew_and_the_same_again():
    easy = told()
    first = easy.weights(1)
    assert torch.equal(easy.weights(1), first)
    assert torch.equal(told().weights(1), first)
    assert not torch.equal(easy.weights(2), first)


def test_who_is_left_out_keeps_its_last_loss():
    easy = told(hard=[5])
    left_out = int(np.flatnonzero(easy.weights(1).numpy() == 0)[0])
    rows = torch.tensor([i for i in range(400) if i != left_out])
    easy.record(rows, torch.full((399, 2), -9.0), torch.zeros(399, 2))  # all others are easier now
    weights = easy.weights(2)
    assert weights[left_out] == weights[weights > 0].min()


def test_who_was_never_seen_is_hard():
    easy = SkipEasy(np.full(100, 5), 50, 64, 0.5, 5, seed=0)
    seen = torch.arange(100)[torch.arange(100) != 17]
    easy.record(torch.cat([seen, torch.tensor([-1])]), torch.zeros(100, 1), torch.zeros(100, 1))
    weights = easy.weights(1)
    assert weights[17] == weights[weights > 0].min()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(("tokens", "size"), [(64, 64), (500, 4), (200, 1), (2000, 300), (100_000, 1_000)])
def test_batches_are_as_many_as_foreseen_and_no_larger(share, tokens, size):
    easy = told(share=share, tokens=tokens, size=size)
    whole = len(plan_batches(easy.lengths, tokens, size))
    assert easy.n_batches(0) == whole
    for epoch in (1, 2, 3):
        batches = easy.plan(epoch)
        assert len(batches) == easy.n_batches(epoch) == math.ceil(whole * (1 - share))
        assert sorted(np.concatenate(batches)) == np.flatnonzero(easy.weights(epoch).numpy()).tolist()
        assert all(0 < len(batch) <= size for batch in batches)
        assert all(len(batch) * easy.lengths[batch].max() <= tokens for batch in batches)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_few_rows(n, share):
    for epochs in (1, 2, 5):
        easy = told(n=n, share=share, epochs=epochs, tokens=16)
        for epoch in range(epochs):
            weights = easy.weights(epoch)
            assert weights[weights > 0].mean() == pytest.approx(1)
            assert not easy.skips(epoch) or len(easy.plan(epoch)) == easy.n_batches(epoch)


def test_what_a_teacher_is_unsure_of_can_be_learned():
    easy = SkipEasy(np.full(4, 5), 5, 64, 0.5, 5, seed=0)
    targets = torch.tensor([[0.5], [0.0], [0.0], [0.0]])
    easy.record(torch.arange(4), torch.tensor([[0.0], [-3.0], [-3.0], [-3.0]]), targets)
    easy.weights(1)
    assert easy.state()["losses"].argmin() == 0


def test_the_sampler_is_as_long_as_its_epoch():
    easy = told(tokens=200, size=16)
    sampler = BucketSampler(easy.lengths, 200, 16, seed=3)
    n = len(sampler)
    sampler.skip_easy = easy
    for epoch, wanted in ((0, n), (1, math.ceil(0.4 * n)), (4, n)):
        sampler.set_epoch(epoch)
        assert len(sampler) == len([*sampler]) == wanted


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_weighed_logits_have_weighed_gradients(task):
    logits = torch.randn(4, 3, requires_grad=True)
    targets = torch.tensor([0, 2, 1, 1])
    if task == "multilabel":
        targets = torch.nn.functional.one_hot(targets, 3).float()
    loss = build_loss("auto", task)
    (plain,) = torch.autograd.grad(loss(logits * 1.0, targets), logits)
    weights = torch.tensor([1.0, 4.0, 0.0, 1.0])
    weighed = weigh(logits * 1.0, weights)
    assert torch.equal(weighed, logits)
    (gradient,) = torch.autograd.grad(loss(weighed, targets), logits)
    assert torch.allclose(gradient, plain * weights[:, None])


def test_multiclass_losses_are_those_of_the_label():
    easy = SkipEasy(np.full(4, 5), 5, 64, 0.5, 5, seed=0)
    logits = torch.tensor([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [9.0, 0.0]])
    easy.record(torch.arange(4), logits, torch.tensor([0, 0, 1, 0]))
    weights = easy.weights(1)
    assert weights[2] == weights[weights > 0].min()
    assert easy.state()["losses"].argmax() == 2


SETTINGS = {"epochs": 4, "skip_easy": 0.5}


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return outcome(folder, *toy.fit(folder, checkpoint_minutes=1000, **SETTINGS))


def test_steps_are_fewer_and_the_schedule_ends_at_its_end(toy, tmp_path, whole):
    rates = []

    class Watch(Kill):
        def __init__(self):
            super().__init__("never")

        def on_train_batch_end(self, trainer, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    result, _ = toy.fit(tmp_path, [Watch()], checkpoint_minutes=1000, **SETTINGS)
    n = toy.data(toy.config()).batches_per_epoch
    assert result.steps == len(rates) == 2 * n + 2 * math.ceil(n / 2)
    assert rates[-1] == 0 < rates[-2]


@pytest.mark.parametrize(
    "kill",
    [
        Kill("on_train_batch_end", 0, 2),
        Kill("on_train_batch_end", 1, 1),
        Kill("on_train_batch_end", 2, -1),
        Kill("on_train_epoch_start", 2),
        Kill("on_train_epoch_end", 1),
        Kill("on_train_batch_end", 3, 2),
        Kill("on_train_end"),
    ],
)
def test_resumed_it_ends_with_the_same_bits(kill, whole, toy, tmp_path):
    with pytest.raises(KilledError):
        toy.fit(tmp_path, [kill], **SETTINGS)
    assert outcome(tmp_path, *toy.fit(tmp_path, **SETTINGS)) == whole


@pytest.mark.parametrize("epoch", [0, 2])
def test_resumed_where_the_next_epoch_is_of_another_length(epoch, toy, tmp_path):
    own = {**SETTINGS, "skip_easy": 0.3, "accumulate": 2, "r_drop": 0.5}
    wanted = outcome(tmp_path / "a", *toy.fit(tmp_path / "a", checkpoint_minutes=1000, **own))
    with pytest.raises(KilledError):
        toy.fit(tmp_path / "b", [Kill("on_train_epoch_start", epoch + 1)], checkpoint_minutes=1000, **own)
    assert outcome(tmp_path / "b", *toy.fit(tmp_path / "b", **own)) == wanted


def test_the_next_training_on_the_same_data_takes_all(toy, tmp_path):
    config = toy.config(**SETTINGS)
    data, loss = toy.data(config), build_loss("auto", "multilabel")
    fit_classifier(toy.classifier(config), data, loss, "multilabel", config, tmp_path / "a")
    config = toy.config(epochs=4)
    result = fit_classifier(toy.classifier(config), data, loss, "multilabel", config, tmp_path / "b")
    assert result.steps == 4 * data.batches_per_epoch


def test_a_checkpoint_of_other_settings_is_refused(toy, tmp_path):
    with pytest.raises(KilledError):
        toy.fit(tmp_path, [Kill("on_train_epoch_start", 2)], epochs=4)
    with pytest.raises(TrainingError, match="skip_easy"):
        toy.fit(tmp_path, **SETTINGS)


def test_two_processes_leave_out_alike(toy, tmp_path):
    ranks = fit_in(2, tmp_path, **SETTINGS)
    assert ranks[0]["history"] == ranks[1]["history"]
    for epoch, all_of_them in ((0, True), (1, False), (2, False), (3, True)):
        seen = [i for rank in ranks for batch in rank["seen"][str(epoch)] for i in batch if i >= 0]
        assert len(seen) == len({*seen})
        assert (len(seen) == 60) == all_of_them
    (tmp_path / "one").mkdir()
    alone = fit_in(1, tmp_path / "one", accumulate=2, **SETTINGS)[0]
    assert alone["steps"] == ranks[0]["steps"]
    for ours, theirs in zip(alone["history"], ranks[0]["history"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("share", [-0.1, 0.95, 1])
def test_a_share_out_of_bounds_is_refused(share):
    with pytest.raises(ConfigError, match="skip_easy"):
        build_config({"training": {"skip_easy": share}})


def test_it_is_off():
    assert Config().training.skip_easy == 0
