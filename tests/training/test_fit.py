import math

import numpy as np
import pytest
import pytorch_lightning as L
import torch
from interruptions import Kill, KilledError

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


def test_steps_leave_nothing_behind(toy, tmp_path):
    queued = len(torch.cuda._queued_calls)
    toy.fit(tmp_path)
    assert len(torch.cuda._queued_calls) == queued  # torch.manual_seed leaves a stack trace there at every call


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


def test_a_kind_that_overflows_in_bf16_trains_in_fp32():
    from types import SimpleNamespace

    from smallprint.core.errors import ConfigError

    deberta = SimpleNamespace(config=SimpleNamespace(model_type="deberta"))
    assert choose_precision("auto", deberta) == "fp32"
    assert choose_precision("fp32", deberta) == "fp32"
    with pytest.raises(ConfigError, match="overflows in bf16"):
        choose_precision("bf16", deberta)
