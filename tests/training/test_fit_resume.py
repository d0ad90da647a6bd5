"""A training that was stopped at any moment and resumed ends with the same bits as one that was not."""

import signal

import numpy as np
import pytest
import pytorch_lightning as L
from interruptions import Kill, KillAfter, KilledError, outcome

from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.losses import build_loss
from smallprint.training.callbacks import BEST, LAST
from smallprint.training.checkpoint_io import SafetensorsIO
from smallprint.training.fit import fit_classifier, seed_everything


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    result, classifier = toy.fit(folder, checkpoint_minutes=1000)
    assert len(result.history) == 3
    assert result.best_epoch == 2, "each epoch is better, so both files are written at each epoch's end"
    assert toy.data(toy.config()).batches_per_epoch >= 4
    return outcome(folder, result, classifier)


MOMENTS = {
    "before the first checkpoint": ([Kill("on_train_batch_end", 0, 1)], 1000),
    "the first batch": ([Kill("on_train_batch_end", 0, 0)], 1e-9),
    "amid the first epoch": ([Kill("on_train_batch_end", 0, 2)], 1e-9),
    "amid a later epoch": ([Kill("on_train_batch_end", 1, 2)], 1e-9),
    "a later epoch, state of the epoch before": ([Kill("on_train_batch_end", 1, 2)], 1000),
    "before a batch": ([Kill("on_train_batch_start", 1, 2)], 1e-9),
    "before an epoch's last batch": ([Kill("on_train_batch_start", 1, -1)], 1e-9),
    "at an epoch's last batch": ([Kill("on_train_batch_end", 1, -1)], 1e-9),
    "at the last batch of all": ([Kill("on_train_batch_end", 2, -1)], 1e-9),
    "at an epoch's start": ([Kill("on_train_epoch_start", 1)], 1e-9),
    "during validation": ([Kill("on_validation_batch_end", 1)], 1e-9),
    "after validation": ([Kill("on_validation_epoch_end", 1)], 1e-9),
    "before the best weights are written": ([Kill("on_train_epoch_end", 1)], 1e-9),
    "after all is written": ([Kill("on_train_end")], 1e-9),
    "twice in one epoch": ([Kill("on_train_batch_end", 1, 1), Kill("on_train_batch_end", 1, 3)], 1e-9),
    "in three epochs": (
        [Kill("on_train_batch_end", 0, 2), Kill("on_train_batch_end", 1, 1), Kill("on_train_end")],
        1e-9,
    ),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_resumed_training_ends_with_the_same_bits(moment, whole, toy, tmp_path):
    kills, minutes = MOMENTS[moment]
    for kill in kills:
        with pytest.raises(KilledError):
            toy.fit(tmp_path, [kill], checkpoint_minutes=minutes)
    assert outcome(tmp_path, *toy.fit(tmp_path, checkpoint_minutes=minutes)) == whole


@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize("written", [True, False])
def test_killed_between_best_and_last(n, written, whole, toy, tmp_path, monkeypatch):
    """Dies at the n-th file of those that the ends of epochs leave, before or after it is written."""
    real, names = SafetensorsIO.save_checkpoint, []

    def broken(self, checkpoint, path, storage_options=None):
        names.append(path.name)
        if written or len(names) != n:
            real(self, checkpoint, path)
        if len(names) == n:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(SafetensorsIO, "save_checkpoint", broken)
        with pytest.raises(KilledError):
            toy.fit(tmp_path, checkpoint_minutes=1000)
    assert names[0] == BEST
    assert outcome(tmp_path, *toy.fit(tmp_path)) == whole


def test_killed_in_every_batch(whole, toy, tmp_path):
    """Each process does two batches, keeps them, and dies in the third."""
    deaths, done = 0, None
    while done is None:
        try:
            done = toy.fit(tmp_path, [KillAfter(2)])
        except KilledError:
            deaths += 1
            assert deaths < 100, "it gets no further"
    assert deaths > 5
    assert outcome(tmp_path, *done) == whole


@pytest.mark.parametrize(
    "kill", [None, Kill("on_train_end"), Kill("on_train_epoch_end", 2), Kill("on_train_batch_end", 2, 1)]
)
def test_after_early_stop_it_stays_stopped(kill, toy, tmp_path, monkeypatch):
    scores = iter([0.5, 0.4, 0.3, 0.9, 0.9] * 2)
    given = {}

    def score(logits, targets, task):  # the same logits have the same score, in any process
        return (
            given.setdefault(logits.numpy().tobytes(), None)
            or given.update({logits.numpy().tobytes(): next(scores)})
            or given[logits.numpy().tobytes()]
        )

    monkeypatch.setattr("smallprint.training.module._average_precision", score)
    settings = {"epochs": 6, "patience": 2}
    first = outcome(tmp_path / "a", *toy.fit(tmp_path / "a", **settings))
    assert first[0][1:] == (0, len(first[0][0]) * toy.data(toy.config()).batches_per_epoch, True)
    assert len(first[0][0]) == 3
    assert {f"classifier.{name}": value for name, value in first[1].items()} == first[2][BEST]["state_dict"]
    assert first[2][BEST]["state_dict"] != first[2][LAST]["state_dict"]
    if kill is not None:
        with pytest.raises(KilledError):
            toy.fit(tmp_path / "b", [kill], **settings)
    folder = tmp_path / ("a" if kill is None else "b")
    assert outcome(folder, *toy.fit(folder, **settings)) == first


@pytest.mark.parametrize(("adapter", "precision"), [("lora", "fp32"), ("frozen", "fp32"), ("full", "bf16")])
def test_resume_of_a_real_encoder(adapter, precision, tiny_backbone, toy, tmp_path):
    def start(folder, *callbacks):
        training = {"epochs": 2, "learning_rate": 1e-3, "batch_tokens": 300, "checkpoint_minutes": 1e-9}
        config = toy.config(**training, precision=precision).model_copy(
            update={"model": toy.config().model.model_copy(update={"backbone": str(tiny_backbone), "adapter": adapter})}
        )
        seed_everything(1)
        classifier = build_classifier(config.model, 3, np.full(3, 0.2), "multilabel")
        data, loss = toy.data(config, n=24), build_loss("auto", "multilabel")
        result = fit_classifier(classifier, data, loss, "multilabel", config, folder, callbacks=list(callbacks))
        return outcome(folder, result, classifier)

    with pytest.raises(KilledError):
        start(tmp_path / "b", Kill("on_train_batch_end", 1, 1))
    assert start(tmp_path / "b") == start(tmp_path / "a")


def test_one_seed_one_result_another_seed_another(whole, toy, tmp_path):
    again = outcome(tmp_path / "a", *toy.fit(tmp_path / "a"))
    other = outcome(tmp_path / "b", *toy.fit(tmp_path / "b", seed=7))
    assert again == whole
    assert other[1] != whole[1]
    assert other[0][0] != whole[0][0]


@pytest.mark.parametrize("when", [("on_train_batch_end", 1, 2), ("on_validation_batch_end", 1, None)])
def test_ctrl_c_reaches_the_caller(when, whole, toy, tmp_path):
    hook, epoch, batch = when

    class Press(L.Callback):
        pass

    def press(trainer, *arguments):
        if trainer.current_epoch == epoch and (batch is None or arguments[-1] == batch):
            signal.raise_signal(signal.SIGINT)

    callback = Press()
    setattr(callback, hook, press)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        toy.fit(tmp_path, [callback])
    assert signal.getsignal(signal.SIGINT) is before
    SafetensorsIO().load_checkpoint(tmp_path / LAST)
    assert outcome(tmp_path, *toy.fit(tmp_path)) == whole


def test_a_terminated_training_does_not_end_as_if_done(whole, toy, tmp_path):
    class Terminate(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            if trainer.current_epoch == 1:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as stop:
        toy.fit(tmp_path, [Terminate()])
    assert stop.value.code == 143
    assert outcome(tmp_path, *toy.fit(tmp_path)) == whole
