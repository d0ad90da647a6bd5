import numpy as np
import pytest
import pytorch_lightning as L
import torch
from sklearn.metrics import average_precision_score

from smallprint.core.errors import TrainingError
from smallprint.modeling.losses import build_loss
from smallprint.training.module import MONITOR, ClassifierModule

QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}


def module_for(toy, task="multilabel", n_outputs=3, **training):
    config = toy.config(**training)
    classifier = toy.classifier(config, n_outputs=n_outputs, task=task)
    return ClassifierModule(classifier, build_loss("auto", task), task, config.training, steps=20)


@pytest.mark.parametrize(("task", "n_outputs"), [("multilabel", 3), ("binary", 1), ("multiclass", 3)])
def test_it_works_alone_under_a_plain_trainer(task, n_outputs, toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, data = module_for(toy, task, n_outputs), toy.data(toy.config(), task)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    L.Trainer(max_epochs=1, logger=False).fit(module, datamodule=data)
    assert any(not torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert len(module.history) == 1, "the sanity check of a plain trainer is no epoch"
    assert set(module.history[0]) == {"epoch", "train/loss", "validation/loss", MONITOR}


def test_validation_is_over_the_whole_split_at_once(toy):
    module, data = module_for(toy), toy.data(toy.config(batch_tokens=40))
    assert len(data.val_dataloader()) > 2
    L.Trainer(max_epochs=1, logger=False, accelerator="cpu", num_sanity_val_steps=0, **QUIET).fit(
        module, datamodule=data
    )
    module.eval()
    logits = np.zeros((40, 3), dtype=np.float32)
    with torch.no_grad():
        for batch in data.val_dataloader():
            logits[batch["index"].numpy()] = module(batch["input_ids"], batch["attention_mask"]).numpy()
    row, targets = module.history[-1], data.validation_set.targets
    expected = np.mean([average_precision_score(targets[:, k], logits[:, k]) for k in range(3)])
    assert row[MONITOR] == pytest.approx(expected, abs=1e-5)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(logits), torch.tensor(targets).float())
    assert row["validation/loss"] == pytest.approx(float(loss), abs=1e-5)


def test_train_loss_is_the_mean_over_examples(toy):
    module, data = module_for(toy), toy.data(toy.config())
    losses = []

    class Look(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            losses.append((float(outputs["loss"]), len(batch["index"])))

    L.Trainer(max_epochs=2, logger=False, accelerator="cpu", callbacks=[Look()], **QUIET).fit(module, datamodule=data)
    for epoch in range(2):
        part = losses[epoch * data.batches_per_epoch : (epoch + 1) * data.batches_per_epoch]
        assert len({n for _, n in part}) > 1
        expected = sum(loss * n for loss, n in part) / 60
        assert module.history[epoch]["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_dropout_is_seeded_by_seed_epoch_and_batch(toy, monkeypatch):
    def draw(batch_idx, epoch=0, **training):
        module = module_for(toy, **training)
        monkeypatch.setattr(ClassifierModule, "current_epoch", epoch)
        torch.rand(batch_idx + 3)  # whatever was drawn before
        module.on_train_batch_start({}, batch_idx)
        return torch.rand(1).item()

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
    assert len({draw(0), draw(1), draw(0, epoch=1), draw(0, seed=8)}) == 4


def test_the_gradient_is_clipped(toy):
    module = module_for(toy)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    module.configure_gradient_clipping(None, 0.5)
    norm = torch.sqrt(sum((p.grad**2).sum() for p in module.parameters()))
    assert float(norm) == pytest.approx(0.5, rel=1e-3)


def test_a_checkpoint_leaves_out_what_never_changes(toy):
    module = module_for(toy)
    module.classifier.backbone.requires_grad_(False)
    held = {"state_dict": dict(module.state_dict())}
    module.on_save_checkpoint(held)
    assert sorted(held["state_dict"]) == ["classifier.head.bias", "classifier.head.weight"]
    other = module_for(toy)
    with pytest.raises(TrainingError, match="does not fit this model"):
        other.on_load_checkpoint(held)


def test_weights_of_another_shape_are_refused(toy):
    module = module_for(toy)
    weights = dict(module.state_dict())
    module.check_fits(weights, "x")
    weights["classifier.head.bias"] = torch.zeros(4)
    with pytest.raises(TrainingError, match=r"1 weights differ, first classifier\.head\.bias"):
        module.check_fits(weights, "x")


def test_the_running_mean_survives(toy):
    module, other = module_for(toy), module_for(toy)
    module.history, module._loss_sum, module._loss_count = [{"epoch": 0.0}], 1.25, 7
    held = {"state_dict": dict(module.state_dict()), "optimizer_states": []}
    module.on_save_checkpoint(held)
    other.on_load_checkpoint(held)
    assert (other.history, other._loss_sum, other._loss_count) == ([{"epoch": 0.0}], 1.25, 7)


def test_a_checkpoint_without_an_average_is_refused(toy):
    module = module_for(toy)
    held = {"state_dict": dict(module.state_dict()), "smallprint": {"history": [], "loss": [0.0, 0]}}
    with pytest.raises(TrainingError, match="older smallprint"):
        module.on_load_checkpoint(held)
