"""A toy encoder with dropout, toy data, and one call that fits anew from fresh objects."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from smallprint.core.config import Config
from smallprint.core.parts import Parts
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.losses import build_loss
from smallprint.training.datamodule import TextDataModule
from smallprint.training.fit import fit_classifier


class ToyEncoder(nn.Module):
    hidden_size = 16

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.dropout = nn.Dropout(0.2)
        self.mix = nn.Linear(16, 16)

    def forward(self, input_ids, attention_mask):
        return torch.tanh(self.mix(self.dropout(self.embed(input_ids))))


def toy_split(n, seed, task="multilabel"):
    rng = np.random.default_rng(seed)
    ids = [rng.integers(1, 50, size=rng.integers(3, 20)).astype(np.int32) for _ in range(n)]
    hits = np.array([[int((row // 17 == k).mean() > 0.36) for k in range(3)] for row in ids], dtype=np.int8)
    return ids, {"multilabel": hits, "binary": hits[:, :1], "multiclass": hits.argmax(axis=1).astype(np.int64)}[task]


def toy_config(**training):
    given = {
        "epochs": 3,
        "batch_tokens": 160,
        "learning_rate": 0.02,
        "head_learning_rate": 0.02,
        "precision": "fp32",
        "checkpoint_minutes": 1e-9,
    }
    return Config(training={**given, **training}, tracking={"enabled": False})


def toy_classifier(config, n_outputs=3, task="multilabel", backbone=None, seed=None):
    torch.manual_seed(config.training.seed if seed is None else seed)
    parts = Parts(backbone=backbone or ToyEncoder())
    return build_classifier(config.model, n_outputs, np.full(n_outputs, 0.5), task, parts)


def toy_data(config, task="multilabel", n=60):
    settings = config.training
    return TextDataModule(
        toy_split(n, 1, task), toy_split(40, 2, task), 0, settings.batch_tokens, settings.batch_size, settings.seed
    )


def fit(folder, callbacks=(), config=None, loss="auto", **training):
    """Fits from fresh objects; gives (result, classifier)."""
    config = config or toy_config(**training)
    classifier = toy_classifier(config)
    own = loss if callable(loss) else build_loss(loss, "multilabel")
    result = fit_classifier(classifier, toy_data(config), own, "multilabel", config, folder, callbacks=list(callbacks))
    return result, classifier


@pytest.fixture(scope="session")
def toy():
    return SimpleNamespace(
        ToyEncoder=ToyEncoder, split=toy_split, config=toy_config, classifier=toy_classifier, data=toy_data, fit=fit
    )
