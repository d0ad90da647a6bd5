"""One door to all families."""

from __future__ import annotations

from pathlib import Path

from smallprint.core.config import Config
from smallprint.core.parts import Parts
from smallprint.core.progress import Say
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.families.encoder import build_encoder
from smallprint.families.fitted import Fit
from smallprint.families.linear import build_linear
from smallprint.families.stack import build_stack
from smallprint.families.static import build_static
from smallprint.training.stored import VectorCache


def build_fit(
    splits: Splits,
    labels: LabelSet,
    config: Config,
    parts: Parts,
    folder: Path,
    say: Say,
    cache: VectorCache | None = None,
) -> Fit:
    """Gives the function that fits a model of the family that the settings name, with all that it needs loaded.

    Args:
        splits: Train to learn from, validation to choose by.
        labels: Encodes the labels.
        config: Settings.
        parts: Own tokenizer, backbone, head or loss of an encoder.
        folder: Of the checkpoints. TF-IDF and static models have none: they are fitted anew after a stop.
        say: Takes lines for a person.
        cache: What frozen encoders gave before, to be used again and added to.

    Raises:
        TrainingError: The backbone cannot be loaded.
        ConfigError: A part cannot be found.
    """
    cache = VectorCache() if cache is None else cache
    if config.model.family == "linear":
        return build_linear(splits, labels, config, say)
    if config.model.family == "static":
        return build_static(splits, labels, config, say)
    if config.model.family == "stack":
        return build_stack(splits, labels, config, folder, say, cache, build_fit)
    return build_encoder(splits, labels, config, parts, folder, say, cache)
