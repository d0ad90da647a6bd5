"""A head that is fitted by a plain loop ends with the bits of Lightning's, tells the same, and leaves to it what it is not made for."""

import copy

import pytest
import torch
from torch import nn

from smallprint.core.errors import TrainingError
from smallprint.modeling.heads import mlp_head
from smallprint.modeling.losses import bce, build_loss
from smallprint.training import head_fit
from smallprint.training.callbacks import LAST
from smallprint.training.fit import fit_classifier
from smallprint.training.head_fit import fit_head, is_small
from smallprint.training.stored import store_vectors
from smallprint.training.tracking import TrackerCallback


class Log:
    def __init__(self):
        self.points = []

    def log_points(self, points):
        self.points += points


class Smoothed(nn.Module):
    """A head with a buffer that training moves."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.out = nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 3)

    def forward(self, vectors):
        return self.out(self.drop(self.norm(vectors)))


def stored(toy, task="multilabel", head=None, **training):
    config = toy.config(**{"epochs": 4, "batch_size": 8, **training})
    classifier = toy.classifier(config, task=task)
    classifier.frozen = True
    if head is not None:
        torch.manual_seed(3)
        classifier.head = head()
    over_vectors, data = store_vectors(classifier, toy.data(config, task, n=90))
    return over_vectors, data, config


def both(toy, folder, task="multilabel", head=None, precision="fp32", loss="auto", **training):
    """Fits the same head twice; gives for each result, weights, points and lines."""
    classifier, data, config = stored(toy, task, head, precision=precision, **training)
    found = []
    for plain in (True, False):
        ours, log, lines = copy.deepcopy(classifier), Log(), []
        more = {"callbacks": [TrackerCallback(log)], "say": lines.append}
        own = build_loss(loss, task)
        if plain:
            result = fit_head(ours, data, own, task, config.training, precision=precision, **more)
        else:
            result = fit_classifier(ours, data, own, task, config, folder, **more)
        assert not ours.training
        weights = {name: tensor.tolist() for name, tensor in ours.head.state_dict().items()}
        found.append((result, weights, log.points, lines))
    return found


SETTINGS = {
    "as it comes": {},
    "an own head with a buffer": {"head": Smoothed},
    "a hidden layer": {"head": lambda: mlp_head(16, 3)},
    "two passes": {"r_drop": 0.5},
    "exclusive labels": {"task": "multiclass", "loss": "focal"},
    "bf16": {"precision": "bf16", "loss": "focal"},
    "another measure": {"monitor": "lexglue_f1_micro"},
    "no average": {"averaging": 0.0},
    "stopped early": {"epochs": 12, "patience": 1, "head_learning_rate": 0.5},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_ends_with_the_bits_of_lightning_s(name, toy, tmp_path):
    (ours, weights, points, lines), (theirs, expected, all_points, all_lines) = both(toy, tmp_path, **SETTINGS[name])
    assert ours.history == theirs.history
    assert weights == expected
    assert points == all_points
    assert len(points) > 6
    assert [line.split("  about")[0] for line in lines] == [line.split("  about")[0] for line in all_lines]
    for what in ("best_epoch", "steps", "stopped_early"):
        assert getattr(ours, what) == getattr(theirs, what), what
    assert ours.stopped_early == (name == "stopped early")
    assert ours.timing["padding_share"] == theirs.timing["padding_share"]


def test_the_best_epoch_s_weights_are_left(toy):
    classifier, data, config = stored(toy, epochs=12, patience=2, head_learning_rate=0.5)
    seen = []

    class Watch(TrackerCallback):
        def on_train_epoch_end(self, trainer, pl_module):
            seen.append(dict(trainer.callback_metrics))

    result = fit_head(
        classifier, data, build_loss("auto", "multilabel"), "multilabel", config.training, callbacks=[Watch(Log())]
    )
    assert result.best_epoch < len(seen) - 1
    logits = classifier.head(data.validation_set.vectors).detach()
    loss = float(bce(logits, data.validation_set.encoded))
    assert loss == pytest.approx(seen[result.best_epoch]["validation/loss"], rel=1e-5)


def test_the_parts_add_up_to_the_whole(toy, monkeypatch):
    ticks = iter(range(1_000_000))
    monkeypatch.setattr("smallprint.training.clock.time.perf_counter", lambda: float(next(ticks)))
    classifier, data, config = stored(toy)
    result = fit_head(classifier, data, build_loss("auto", "multilabel"), "multilabel", config.training)
    assert {"forward and loss", "backward", "optimizer", "loading batches", "validation"} <= set(result.parts)
    assert sum(result.parts.values()) == next(ticks) - 1, "every tick is some part's"


def test_an_error_in_a_callback_ends_it(toy):
    """This is how a sweep ends a trial that lags."""

    class EnoughError(Exception):
        pass

    class End(Log):
        def log_points(self, points):
            super().log_points(points)
            raise EnoughError

    classifier, data, config = stored(toy)
    log, threads = End(), torch.get_num_threads()
    with pytest.raises(EnoughError):
        fit_head(
            classifier,
            data,
            build_loss("auto", "multilabel"),
            "multilabel",
            config.training,
            callbacks=[TrackerCallback(log)],
        )
    assert sum(name == "validation/average_precision" for name, _, _ in log.points) == 1
    assert torch.get_num_threads() == threads


def test_a_loss_that_is_no_number_is_told(toy):
    classifier, data, config = stored(toy)
    with pytest.raises(TrainingError, match="The loss is nan at epoch 1, batch 1"):
        fit_head(classifier, data, lambda logits, targets: logits.mean() * torch.nan, "multilabel", config.training)


@pytest.mark.parametrize("weights", [1, 10**9])
def test_a_small_head_takes_one_thread(weights, toy, monkeypatch):
    monkeypatch.setattr(head_fit, "ONE_THREAD", weights)
    classifier, data, config = stored(toy, epochs=1)
    before, seen = torch.get_num_threads(), []
    try:
        torch.set_num_threads(2)
        loss = build_loss("auto", "multilabel")

        def watched(logits, targets):
            seen.append(torch.get_num_threads())
            return loss(logits, targets)

        fit_head(classifier, data, watched, "multilabel", config.training)
        assert set(seen) == {1 if weights > 1 else 2}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_what_it_is_not_made_for_is_lightning_s(toy, tmp_path, monkeypatch):
    classifier, data, config = stored(toy)
    head, loss, settings = classifier.head, build_loss("auto", "multilabel"), config.training
    assert is_small(head, data, loss, settings, tmp_path)
    for update in ({"accumulate": 2}, {"adversarial": 0.1}):
        assert not is_small(head, data, loss, settings.model_copy(update=update), tmp_path), update
    assert not is_small(head, data, nn.BCEWithLogitsLoss(), settings, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(head_fit, "MOST_STEPS", 3)
        assert not is_small(head, data, loss, settings, tmp_path)
    assert not is_small(nn.Linear(40_000, 50_000, device="meta"), data, loss, settings, tmp_path), (
        "a stop would cost minutes"
    )
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        assert not is_small(head, data, loss, settings, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(head_fit.processes, "world_size", lambda: 2)
        assert not is_small(head, data, loss, settings, tmp_path)
    (tmp_path / LAST).write_bytes(b"")
    assert not is_small(head, data, loss, settings, tmp_path), "an older training is gone on with"
