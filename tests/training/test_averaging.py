"""The moving average of weights: by hand, inside a model and out again, and what a training keeps."""

from __future__ import annotations

import pytest
import pytorch_lightning as L
import torch

from smallprint.modeling.losses import build_loss
from smallprint.training.averaging import WeightAverage
from smallprint.training.checkpoint_io import SafetensorsIO
from smallprint.training.module import ClassifierModule

QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "logger": False}


def test_worked_by_hand():
    average = WeightAverage(0.25)
    for value in (4.0, 8.0, 0.0):
        average.update({"w": torch.tensor([value])})
    # the past weighs min(0.25, (steps + 1) / (steps + 10)): 0.25 at the second step and at the third
    assert float(average.values["w"]) == pytest.approx(0.25 * (0.25 * 4 + 0.75 * 8) + 0.75 * 0)


def test_early_steps_reach_back_over_fewer():
    average = WeightAverage(0.99)
    average.update({"w": torch.tensor([100.0])})
    average.update({"w": torch.tensor([0.0])})
    assert float(average.values["w"]) == pytest.approx(100 * 3 / 12)


def test_no_past_is_the_weights_themselves():
    average = WeightAverage(0.0)
    for value in (1.0, 2.0):
        average.update({"w": torch.tensor([value])})
    assert float(average.values["w"]) == 2.0


def test_inside_and_out_again_even_after_an_error():
    average, weight = WeightAverage(0.5), torch.nn.Parameter(torch.tensor([1.0]))
    average.update({"w": weight})
    with torch.no_grad():
        weight.fill_(3.0)
    with pytest.raises(ZeroDivisionError), average.inside({"w": weight}):
        assert float(weight.detach()) == 1.0
        raise ZeroDivisionError
    assert float(weight.detach()) == 3.0


def module_for(toy, **training):
    config = toy.config(**training)
    return ClassifierModule(toy.classifier(config), build_loss("auto", "multilabel"), "multilabel", config.training, 20)


def test_validation_sees_the_average_and_training_does_not(toy):
    seen = {}

    class Look(L.Callback):
        def weight(self, module):
            return next(iter(module.classifier.head.state_dict().values())).clone()

        def on_train_batch_end(self, trainer, module, *_):
            seen["trained"] = self.weight(module)

        def on_validation_batch_end(self, trainer, module, *_):
            seen["judged"] = self.weight(module)

        def on_train_epoch_end(self, trainer, module):
            seen["after"] = self.weight(module)

    module = module_for(toy, averaging=0.9)
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", num_sanity_val_steps=0, callbacks=[Look()], **QUIET)
    trainer.fit(module, datamodule=toy.data(toy.config()))
    assert torch.equal(seen["trained"], seen["after"])
    assert not torch.equal(seen["trained"], seen["judged"])
    assert torch.equal(Look().weight(module), seen["judged"]), "what was judged is what is left"


def test_what_is_kept_as_best_is_the_average(toy, tmp_path):
    module = module_for(toy, averaging=0.9)

    class Save(L.Callback):
        def on_train_epoch_end(self, trainer, module):
            trainer.save_checkpoint(tmp_path / "best", weights_only=True)
            trainer.save_checkpoint(tmp_path / "last")

    trainer = L.Trainer(
        max_epochs=1, accelerator="cpu", num_sanity_val_steps=0, callbacks=[Save()], plugins=[SafetensorsIO()], **QUIET
    )
    trainer.fit(module, datamodule=toy.data(toy.config()))
    best, last = (SafetensorsIO().load_checkpoint(tmp_path / name) for name in ("best", "last"))
    average = last["smallprint"]["average"]["values"]
    assert average.keys()
    for name, tensor in average.items():
        assert torch.equal(best["state_dict"][name], tensor)
    assert any(not torch.equal(last["state_dict"][name], tensor) for name, tensor in average.items())


def test_an_average_from_a_file_follows_the_weights_to_their_device():
    average = WeightAverage(0.5)
    average.update({"w": torch.zeros(2)})
    average.update({"w": torch.zeros(2, device="meta")})
    assert average.values["w"].device.type == "meta"
