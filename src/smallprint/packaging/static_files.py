"""A static model's part of a bundle. In: a `StaticClassifier` or files. Out: files or the same again.

It checks no hashes: `bundle.py` has done that. Loading imports numpy and safetensors alone.

    model.safetensors   a row for each word, pair of words and part of a word; offsets, Platt's scaling
    words.json          the words and the parts of words, in the order of the rows, and the weight of an unknown word
"""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from smallprint.core.files import write_text
from smallprint.data.labels import LabelSet
from smallprint.modeling.static import StaticClassifier, Tables
from smallprint.packaging.arrays import Form, check_forms, check_names, read_arrays
from smallprint.packaging.manifest import WEIGHTS, read_described, unreadable

WORDS = "words.json"
LISTED = ("words", "grams", "unknown")  # of the tables; the others are arrays


class WordsFile(BaseModel):
    """What words.json must hold."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    words: Annotated[list[str], Field(min_length=1)]
    grams: list[str]
    unknown: Annotated[float, Field(gt=0)]


def save_static(folder: Path, scorer: StaticClassifier) -> dict[str, Any]:
    """Writes the static model's files into the bundle's `folder` and gives what the manifest says of it."""
    from safetensors.numpy import save

    tables = scorer.tables
    arrays = {part.name: getattr(tables, part.name) for part in fields(tables) if part.name not in LISTED}
    arrays |= {"bias": scorer.bias.astype(np.float64), "platt": scorer.platt.astype(np.float64)}
    (folder / WEIGHTS).write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    listed = {name: getattr(tables, name) for name in LISTED}
    write_text(folder / WORDS, json.dumps(listed, ensure_ascii=False) + "\n")
    return {"family": "static", "versions": {name: version(name) for name in ("numpy", "safetensors")}}


def load_static(folder: Path, labels: LabelSet) -> StaticClassifier:
    """Gives the static model of a bundle's folder.

    Args:
        folder: Of the bundle.
        labels: Task and label names.

    Raises:
        BundleError: A file cannot be read, or the sizes of words, rows and labels do not fit each other.
    """
    listed = read_described(folder / WORDS, WordsFile)
    for name in ("words", "grams"):
        if len(set(getattr(listed, name))) != len(getattr(listed, name)):
            raise unreadable(folder / WORDS, f"some {name} stand twice.")
    arrays = read_arrays(folder / WEIGHTS)
    _check_arrays(arrays, listed, labels.n_outputs, folder / WEIGHTS)
    bias, platt = arrays.pop("bias"), arrays.pop("platt")
    return StaticClassifier(labels.task, Tables(**{**listed.model_dump(), **arrays}), bias, platt)


def _check_arrays(arrays: dict[str, NDArray[Any]], listed: WordsFile, n_outputs: int, path: Path) -> None:
    n_words, n_grams = len(listed.words), len(listed.grams)
    n_pairs = arrays["pairs"].size if "pairs" in arrays else 0
    wanted: dict[str, Form] = {
        "own": ((n_words, n_outputs), np.float32),
        "parts": ((n_words, n_outputs), np.float32),
        "squares": ((n_words,), np.float32),
        "pairs": ((n_pairs,), np.int64),
        "pair_rows": ((n_pairs, n_outputs), np.float32),
        "pair_squares": ((n_pairs,), np.float32),
        "gram_idf": ((n_grams,), np.float32),
        "gram_rows": ((n_grams, n_outputs), np.float32),
        "bias": ((n_outputs,), np.float64),
        "platt": ((n_outputs, 2), np.float64),
    }
    check_names(arrays, wanted, path)
    check_forms(arrays, wanted, path, f"labels and what stands in {WORDS}")


__all__ = ["load_static", "save_static"]
