import math
import signal

import numpy as np
import pytest
import pytorch_lightning as L
import torch

from smallprint.core.errors import SmallprintError, TrainingError
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.evaluation.thresholds import tune_thresholds
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.losses import build_loss
from smallprint.training.callbacks import BEST, LAST
from smallprint.training.checkpoint_io import SafetensorsIO
from smallprint.training.datamodule import build_datamodule
from smallprint.training.fit import choose_precision, fit_classifier, seed_everything


class KilledError(Exception):
    """Stands for the power going out."""


class Kill(L.Callback):
    """Raises in `hook` at an epoch and, for a batch hook, at a batch from the end or the beginning."""

    def __init__(self, hook, epoch=None, batch=None, error=KilledError):
        def strike(trainer, *arguments):
            at = trainer.num_training_batches + batch if batch is not None and batch < 0 else batch
            if trainer.sanity_checking or epoch not in (None, trainer.current_epoch):
                return
            if at is None or arguments[-1] == at:
                raise error

        setattr(self, hook, strike)


class KillAfter(L.Callback):
    """Dies in the n-th batch of this process, whatever its epoch."""

    def __init__(self, batches):
        self.left = batches

    def on_train_batch_end(self, *_):
        self.left -= 1
        if self.left < 0:
            raise KilledError


def bits(value):
    """Turns a checkpoint into something that == compares bit for bit."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    return value


def outcome(folder, result, classifier):
    """Everything that must be the same: results, final weights, and both files but for Lightning's counters."""
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "smallprint", "global_step", "epoch")
    files = {}
    for name in (BEST, LAST):
        held = SafetensorsIO().load_checkpoint(folder / name)
        files[name] = {part: bits(held[part]) for part in parts if part in held}
    seen = (result.history, result.best_epoch, result.steps, result.stopped_early)
    return seen, bits(dict(classifier.state_dict())), files


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


@pytest.mark.parametrize("n", range(1, 7))
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

    def score(self, logits, targets):  # the same logits have the same score, in any process
        return (
            given.setdefault(logits.numpy().tobytes(), None)
            or given.update({logits.numpy().tobytes(): next(scores)})
            or given[logits.numpy().tobytes()]
        )

    monkeypatch.setattr("smallprint.training.module.ClassifierModule._average_precision", score)
    settings = {"epochs": 6, "patience": 2}
    first = outcome(tmp_path / "a", *toy.fit(tmp_path / "a", **settings))
    assert first[0][1:] == (0, len(first[0][0]) * toy.data(toy.config()).batches_per_epoch, True)
    assert len(first[0][0]) == 3
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


def test_what_it_leaves(toy, tmp_path):
    result, classifier = toy.fit(tmp_path)
    scores = [row["validation/average_precision"] for row in result.history]
    assert result.best_epoch == int(np.argmax(scores))
    best = SafetensorsIO().load_checkpoint(tmp_path / BEST)["state_dict"]
    assert all(torch.equal(best[f"classifier.{name}"], value) for name, value in classifier.state_dict().items())
    assert not any(module.training for module in classifier.modules())
    assert [row["epoch"] for row in result.history] == [0, 1, 2]
    assert result.steps == 3 * toy.data(toy.config()).batches_per_epoch
    assert all(math.isfinite(value) for row in result.history for value in row.values())
    assert {path.name for path in tmp_path.iterdir()} == {BEST, LAST, "done.json"}


def test_dropout_is_on_while_training(toy, tmp_path):
    modes = []

    class Look(L.Callback):
        def on_before_backward(self, trainer, module, loss):
            modes.append(all(part.training for part in module.classifier.modules()))

    config = toy.config(epochs=1)
    classifier = toy.classifier(config)
    classifier.eval()  # as pretrained encoders come
    fit_classifier(
        classifier,
        toy.data(config),
        build_loss("auto", "multilabel"),
        "multilabel",
        config,
        tmp_path,
        callbacks=[Look()],
    )
    assert modes
    assert all(modes)


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


def test_a_full_disk_says_so(toy, tmp_path, monkeypatch):
    import errno
    from pathlib import Path

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SmallprintError, match="could not be written"):
        toy.fit(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_ends_it(toy, tmp_path):
    with pytest.raises(TrainingError, match="epoch 1, batch 1"):
        toy.fit(tmp_path, loss=lambda logits, targets: logits.sum() * float("nan"))


def test_memory_that_runs_out(toy, tmp_path):
    def greedy(logits, targets):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(TrainingError, match=r"(?s)Memory ran out.*batch_tokens"):
        toy.fit(tmp_path, loss=greedy)


def test_a_bug_is_not_hidden(toy, tmp_path):
    toy.fit(tmp_path, epochs=1)

    def buggy(logits, targets):
        raise KeyError("mine")

    (tmp_path / LAST).unlink()
    with pytest.raises(KeyError, match="mine"):
        toy.fit(tmp_path, loss=buggy)


def test_a_checkpoint_of_another_model_is_refused(toy, tmp_path):
    with pytest.raises(KilledError):
        toy.fit(tmp_path, [Kill("on_train_batch_end", 0, 2)])
    config = toy.config()
    other = toy.classifier(config, n_outputs=2)
    with pytest.raises(TrainingError, match="does not fit this model"):
        fit_classifier(other, toy.data(config), build_loss("auto", "multilabel"), "multilabel", config, tmp_path)


def test_a_checkpoint_of_other_settings_is_refused(toy, tmp_path):
    with pytest.raises(KilledError):
        toy.fit(tmp_path, [Kill("on_train_batch_end", 0, 2)])
    with pytest.raises(TrainingError, match="does not fit these settings"):
        toy.fit(tmp_path, weight_decay=0.0)


def test_a_damaged_checkpoint_is_refused(toy, tmp_path):
    with pytest.raises(KilledError):
        toy.fit(tmp_path, [Kill("on_train_batch_end", 0, 2)])
    data = bytearray((tmp_path / LAST).read_bytes())
    data[-5] ^= 1
    (tmp_path / LAST).write_bytes(data)
    with pytest.raises(TrainingError, match="cannot be read"):
        toy.fit(tmp_path)


def test_choose_precision():
    assert choose_precision("fp32") == "fp32"
    assert choose_precision("bf16") == "bf16"
    assert choose_precision("auto") in ("fp32", "bf16")


WORDS = {"late": ["pay", "late", "notice"], "rude": ["rude", "bad", "court"], "fine": ["good", "hello", "fine"]}


def separable(task, n=240):
    """Texts whose labels follow from single words."""
    import polars as pl

    rng, names, rows = np.random.default_rng(0), list(WORDS), []
    for row in range(n):
        hits = (
            rng.random(3) < 0.5 if task == "multilabel" else np.arange(3) == rng.integers(2 if task == "binary" else 3)
        )
        labels = [name for name, hit in zip(names, hits, strict=True) if hit]
        words = [word for name in labels for word in rng.choice(WORDS[name], 2)]
        words += list(rng.choice(["we", "may", "the", "account", "you"], 3))
        rows.append({"row": row, "text": " ".join(rng.permutation(words)), "labels": labels, "group": None})
    return pl.DataFrame(
        rows, schema={"row": pl.UInt32, "text": pl.String, "labels": pl.List(pl.String), "group": pl.String}
    )


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_it_learns(task, tiny_backbone, toy, tmp_path):
    from sklearn.metrics import f1_score

    frame = separable(task)
    names = sorted(set(frame["labels"].explode().drop_nulls()))
    train, validation = (Examples(s, f) for s, f in (("train", frame[:180]), ("validation", frame[180:])))
    config = toy.config(
        epochs=20, patience=20, learning_rate=3e-3, head_learning_rate=5e-3, batch_tokens=256, checkpoint_minutes=10
    )
    config = config.model_copy(update={"model": config.model.model_copy(update={"backbone": str(tiny_backbone)})})
    labels = LabelSet(task, names)
    seed_everything(0)
    classifier = build_classifier(config.model, labels.n_outputs, np.full(labels.n_outputs, 0.5), task)
    data = build_datamodule(train, validation, labels, load_tokenizer(str(tiny_backbone)), 64, config.training)
    fit_classifier(classifier, data, build_loss("auto", task), task, config, tmp_path)
    index, logits = [], []
    with torch.inference_mode():
        for batch in data.val_dataloader():
            logits.append(classifier(batch["input_ids"], batch["attention_mask"]))
            index.append(batch["index"])
    found = torch.cat(logits)[torch.cat(index).argsort()]
    scores = (torch.softmax(found, 1) if task == "multiclass" else torch.sigmoid(found)).numpy()
    targets = data.validation_set.targets
    thresholds = tune_thresholds(targets, scores, task, "f1")
    decided = scores.argmax(axis=1) if task == "multiclass" else scores >= thresholds
    assert f1_score(targets, decided, average="macro") >= 0.95
