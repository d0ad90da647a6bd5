"""Labelled examples that a model did not learn from. In: its engine and data. Out: examples, and how many were left out.

A promise, or a picture of what is usual, must not stand on texts that a model knows by heart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smallprint import runs
from smallprint.core.config import Config
from smallprint.core.errors import DataError
from smallprint.core.progress import Say, counted
from smallprint.data.examples import Examples
from smallprint.data.normalise import text_hashes
from smallprint.data.read import Source
from smallprint.inference.engine import Engine


def read_unseen(engine: Engine, source: Source, say: Say) -> Examples:
    """Gives the validation split of labelled data, or all of a table that has none, without texts that the model was trained on.

    Raises:
        DataError: The data cannot be read, or nothing is left of it.
    """
    config = engine.config or Config()
    wanted = runs.columns_for(config.data, engine.labels)
    examples = runs.read_split(source, wanted, "validation", engine.labels, config.training.seed, engine.trained_on)
    if engine.known_texts is not None:
        fresh = ~np.isin(text_hashes(examples.texts), engine.known_texts)
        if not fresh.all():
            say(f"{counted(int((~fresh).sum()), 'row')} of {source.name} left out: the model was trained on them.")
        examples = replace(examples, frame=examples.frame.filter(fresh))
    elif examples.split == "all":
        say(f"Whether the model was trained on {source.name} is not known: scores of such texts are too sure.")
    if not len(examples):
        raise DataError(
            f"Nothing is left of {source.name}: the model was trained on all of it.",
            "texts that it was not trained on",
            "Name other data.",
        )
    return examples


__all__ = ["read_unseen"]
