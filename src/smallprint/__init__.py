"""smallprint: from your team's labelled text to a model of your own.

The public names below are resolved on first use, so that importing costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "train": "api",
    "blend": "blending",
    "evaluate": "api",
    "predict": "api",
    "predict_file": "api",
    "load": "api",
    "report": "api",
    "Config": "core.config",
    "load_config": "core.settings",
    "Parts": "core.parts",
    "SmallprintError": "core.errors",
    "Metrics": "core.results",
    "Prediction": "core.results",
    "ScoredSplit": "core.results",
    "TrainResult": "core.results",
    "Engine": "inference.engine",
    "LabelSet": "data.labels",
    "open_source": "data.read",
    "compute_metrics": "evaluation.metrics",
    "tune_thresholds": "evaluation.thresholds",
    "TextClassifier": "modeling.classifier",
    "TextDataModule": "training.datamodule",
    "ClassifierModule": "training.module",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from smallprint.api import evaluate, load, predict, predict_file, report, train
    from smallprint.blending import blend
    from smallprint.core.config import Config
    from smallprint.core.errors import SmallprintError
    from smallprint.core.parts import Parts
    from smallprint.core.results import Metrics, Prediction, ScoredSplit, TrainResult
    from smallprint.core.settings import load_config
    from smallprint.data.labels import LabelSet
    from smallprint.data.read import open_source
    from smallprint.evaluation.metrics import compute_metrics
    from smallprint.evaluation.thresholds import tune_thresholds
    from smallprint.inference.engine import Engine
    from smallprint.modeling.classifier import TextClassifier
    from smallprint.training.datamodule import TextDataModule
    from smallprint.training.module import ClassifierModule


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"smallprint.{_HOME[name]}"), name)
    raise AttributeError(f"module 'smallprint' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
