from pathlib import Path
from types import SimpleNamespace

import pytest

from smallprint.training.callbacks import BEST, LAST, Checkpoints, EarlyStop, Progress, peak_memory_mb
from smallprint.training.checkpoint_io import SafetensorsIO


def count_writes(toy, folder, monkeypatch, **settings):
    written, real = [], SafetensorsIO.save_checkpoint

    def noted(self, checkpoint, path, storage_options=None):
        written.append((path.name, checkpoint["global_step"]))
        real(self, checkpoint, path)

    monkeypatch.setattr(SafetensorsIO, "save_checkpoint", noted)
    toy.fit(folder, **settings)
    return written


def test_old_states_are_replaced_within_an_epoch(toy, tmp_path, monkeypatch):
    n = toy.data(toy.config()).batches_per_epoch
    often = count_writes(toy, tmp_path / "a", monkeypatch, epochs=1, checkpoint_minutes=1e-9)
    assert often == [*((LAST, step) for step in range(1, n)), (BEST, n), (LAST, n)]


def test_fresh_states_are_not(toy, tmp_path, monkeypatch):
    n = toy.data(toy.config()).batches_per_epoch
    seldom = count_writes(toy, tmp_path / "b", monkeypatch, epochs=1, checkpoint_minutes=100)
    assert seldom == [(BEST, n), (LAST, n)]


def test_best_is_weights_alone(toy, tmp_path):
    toy.fit(tmp_path, epochs=1)
    assert "optimizer_states" not in SafetensorsIO().load_checkpoint(tmp_path / BEST)
    assert "optimizer_states" in SafetensorsIO().load_checkpoint(tmp_path / LAST)


def test_the_best_score_survives():
    first, second = Checkpoints(Path(), 1), Checkpoints(Path(), 1)
    first.best, first.best_epoch = (0.5, -0.1), 3
    second.load_state_dict(first.state_dict())
    assert (second.best, second.best_epoch) == ((0.5, -0.1), 3)


@pytest.mark.parametrize(("waited", "stops"), [(1, False), (2, True), (3, True)])
def test_a_resumed_run_knows_that_it_had_stopped(waited, stops):
    stop, trainer = EarlyStop(patience=2), SimpleNamespace(should_stop=False)
    stop.waited = waited
    stop.on_train_start(trainer, None)
    assert trainer.should_stop is stops


def follow(metrics, patience):
    """Gives the epoch it stops after, and the state of a stop that is replaced by a resumed one at each epoch."""
    stop = EarlyStop(patience)
    for epoch, (score, loss) in enumerate(metrics):
        resumed = EarlyStop(patience)
        resumed.load_state_dict(stop.state_dict())
        stop = resumed
        values = {"validation/average_precision": score, "validation/loss": loss}
        trainer = SimpleNamespace(should_stop=False, callback_metrics=values)
        stop.on_train_epoch_end(trainer, None)
        if trainer.should_stop:
            return epoch
    return None


def test_it_stops_when_patience_is_out():
    assert follow([(0.5, 1), (0.4, 1), (0.6, 1), (0.6, 1), (0.5, 0.1), (0.9, 1)], patience=2) == 4
    assert follow([(0.5, 1), (0.4, 1), (0.6, 1), (0.5, 1)], patience=2) is None
    assert follow([(float("nan"), 1)] * 3, patience=2) == 1


def test_among_equal_scores_the_lower_loss_is_better():
    assert follow([(1.0, 0.9), (1.0, 0.5), (1.0, 0.3), (1.0, 0.2)], patience=1) is None
    assert follow([(1.0, 0.2), (0.9, 0.1)], patience=1) == 1


def test_the_best_weights_among_equal_scores_are_those_of_the_lowest_loss():
    checkpoints, written = Checkpoints(Path(), 1), []
    for epoch, (score, loss) in enumerate([(0.9, 0.1), (1.0, 0.9), (1.0, 0.5), (1.0, 0.5), (1.0, 0.7)]):
        trainer = SimpleNamespace(
            current_epoch=epoch,
            callback_metrics={"validation/average_precision": score, "validation/loss": loss},
            save_checkpoint=lambda path, weights_only=False, epoch=epoch: written.append((path.name, epoch)),
        )
        checkpoints.on_train_epoch_end(trainer, None)
    assert checkpoints.best_epoch == 2
    assert [epoch for name, epoch in written if name == BEST] == [0, 1, 2]
    assert [epoch for name, epoch in written if name == LAST] == [0, 1, 2, 3, 4]


def test_progress_says_one_line_an_epoch(toy, tmp_path):
    from smallprint.modeling.losses import build_loss
    from smallprint.training.fit import fit_classifier

    lines, config = [], toy.config(epochs=2)
    loss = build_loss("auto", "multilabel")
    fit_classifier(toy.classifier(config), toy.data(config), loss, "multilabel", config, tmp_path, say=lines.append)
    assert len(lines) == 2
    assert "epoch 1/2 done" in lines[0]
    assert "average precision 0." in lines[0]
    assert "about 0:00 left" in lines[1]


def test_progress_within_long_epochs(toy, tmp_path):
    lines = []
    progress = Progress(lines.append, epochs=1, seconds=0)
    toy.fit(tmp_path, [progress], epochs=1)
    n = toy.data(toy.config()).batches_per_epoch
    assert len(lines) == n + 1
    assert "epoch 1/1 100%" in lines[-2]
    assert len(progress.seconds_per_epoch) == 1


def test_peak_memory():
    assert 50 < peak_memory_mb() < 1e6
