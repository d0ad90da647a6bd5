import json

import pytest
import torch

from smallprint.core.errors import TrainingError
from smallprint.modeling.losses import build_loss
from smallprint.training import fit as fit_module
from smallprint.training.module import ClassifierModule
from smallprint.training.smaller import BUDGET, START


@pytest.fixture
def small_memory(monkeypatch):
    """`small_memory(tokens)`: a batch of more than so many tokens does not fit."""

    def limit(tokens, words="DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"):
        step = ClassifierModule.training_step

        def training_step(self, batch, batch_idx):
            if batch["input_ids"].numel() > tokens and self.global_step:
                raise RuntimeError(words)
            return step(self, batch, batch_idx)

        monkeypatch.setattr(ClassifierModule, "training_step", training_step)

    return limit


def test_memory_that_runs_out_halves_the_batch_and_starts_anew(toy, tmp_path, small_memory):
    small_memory(45)
    lines = []
    config = toy.config()
    classifier = toy.classifier(config)
    result = fit_module.fit_classifier(
        classifier, toy.data(config), build_loss("auto", "multilabel"), "multilabel", config, tmp_path, say=lines.append
    )
    assert [line for line in lines if line.startswith("Memory ran out")] == [
        "Memory ran out. Once more from the start, with 80 tokens a batch and 2 batches a step.",
        "Memory ran out. Once more from the start, with 40 tokens a batch and 4 batches a step.",
    ]
    assert json.loads((tmp_path / BUDGET).read_text()) == {"halvings": 2}
    assert not (tmp_path / START).exists()
    small_memory(10**9)
    fresh = toy.classifier(config)
    halved = toy.data(config).halved().halved()
    straight = fit_module._fit_once(
        fresh, halved, build_loss("auto", "multilabel"), "multilabel", config, 4, tmp_path / "straight", [], str
    )
    assert straight.history == result.history, "as if it had begun so"
    assert all(torch.equal(a, b) for a, b in zip(classifier.parameters(), fresh.parameters(), strict=True))
    again, _ = toy.fit(tmp_path)
    assert again.history == result.history, "a resume knows of the smaller batch"


def test_memory_that_never_suffices(toy, tmp_path, small_memory):
    small_memory(0, "CUDA out of memory. Tried to allocate 2 GiB")
    with pytest.raises(TrainingError, match="Memory ran out while training") as caught:
        toy.fit(tmp_path)
    assert "gradient_checkpointing" in str(caught.value)
    assert (tmp_path / START).exists(), "a resume can begin anew"
