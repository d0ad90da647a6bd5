"""A linear model's part of a bundle: arrays and terms. In: a `LinearClassifier` or files. Out: files or the same again.

It checks no hashes: `bundle.py` has done that. Scores of what is loaded are those of what was saved, bit for bit.

    model.safetensors   weights float32 [n_outputs, n_features]; float64: bias [n_outputs], platt [n_outputs, 2], and for
                        each analyzer idf.ANALYZER [n_terms]
    terms.json          each analyzer's settings, and its terms in the order of the columns
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from smallprint.core.errors import BundleError
from smallprint.core.files import write_text
from smallprint.data.labels import LabelSet
from smallprint.modeling.linear import Analyzer, LinearClassifier, Terms
from smallprint.packaging.arrays import Form, check_forms, check_names, read_arrays
from smallprint.packaging.manifest import AGAIN, WEIGHTS, read_described, unreadable

TERMS = "terms.json"
Length = Annotated[int, Field(ge=1)]


class AnalyzerTerms(BaseModel):
    """One analyzer in terms.json."""

    model_config = ConfigDict(extra="forbid", strict=True)

    analyzer: Analyzer
    ngrams: tuple[Length, Length]
    text: Literal["plain words"]
    terms: Annotated[list[str], Field(min_length=1)]


class TermsFile(BaseModel):
    """What terms.json must hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    analyzers: Annotated[list[AnalyzerTerms], Field(min_length=1)]


def save_linear(folder: Path, scorer: LinearClassifier) -> dict[str, Any]:
    """Writes the linear model's files into the bundle's `folder` and gives what the manifest says of it."""
    from safetensors.numpy import save

    arrays = {
        "weights": np.ascontiguousarray(scorer.weights),
        "bias": np.ascontiguousarray(scorer.bias, dtype=np.float64),
        "platt": np.ascontiguousarray(scorer.platt, dtype=np.float64),
        **{f"idf.{part.analyzer}": np.ascontiguousarray(part.idf, dtype=np.float64) for part in scorer.terms},
    }
    (folder / WEIGHTS).write_bytes(save(arrays))
    analyzers = [
        {"analyzer": part.analyzer, "ngrams": part.ngrams, "text": "plain words", "terms": part.terms}
        for part in scorer.terms
    ]
    write_text(folder / TERMS, json.dumps({"analyzers": analyzers}, ensure_ascii=False) + "\n")
    return {"family": "linear", "versions": {name: version(name) for name in ("numpy", "scikit-learn", "scipy")}}


def load_linear(folder: Path, labels: LabelSet) -> LinearClassifier:
    """Gives the linear model of a bundle's folder.

    Args:
        folder: Of the bundle.
        labels: Task and label names.

    Raises:
        BundleError: A file cannot be read, or the sizes of terms, weights and labels do not fit each other.
    """
    listed = _read_terms(folder / TERMS)
    arrays = read_arrays(folder / WEIGHTS)
    _check_arrays(arrays, listed, labels, folder / WEIGHTS)
    terms = [Terms(part.analyzer, part.ngrams, part.terms, arrays[f"idf.{part.analyzer}"]) for part in listed]
    return LinearClassifier(labels.task, terms, arrays["weights"], arrays["bias"], arrays["platt"])


def _read_terms(path: Path) -> list[AnalyzerTerms]:
    analyzers = read_described(path, TermsFile).analyzers
    for part in analyzers:
        if part.ngrams[0] > part.ngrams[1]:
            raise unreadable(path, f"the n-grams of '{part.analyzer}' are {part.ngrams[0]} to {part.ngrams[1]} long.")
        if len(set(part.terms)) != len(part.terms):
            raise unreadable(path, f"terms of '{part.analyzer}' stand twice.")
    if len({part.analyzer for part in analyzers}) != len(analyzers):
        raise unreadable(path, "an analyzer stands twice.")
    return analyzers


def _check_arrays(arrays: dict[str, NDArray[Any]], listed: list[AnalyzerTerms], labels: LabelSet, path: Path) -> None:
    n_features = sum(len(part.terms) for part in listed)
    wanted: dict[str, Form] = {
        "weights": ((labels.n_outputs, n_features), np.float32),
        "bias": ((labels.n_outputs,), np.float64),
        "platt": ((labels.n_outputs, 2), np.float64),
        **{f"idf.{part.analyzer}": ((len(part.terms),), np.float64) for part in listed},
    }
    check_names(arrays, wanted, path)
    weights = arrays["weights"]
    if weights.ndim == 2 and len(weights) != labels.n_outputs:
        raise BundleError(
            f"The weights in {path} have {len(weights)} outputs, but the manifest names {len(labels.names)} labels.",
            f"{labels.n_outputs} outputs for a {labels.task} task",
            AGAIN,
        )
    check_forms(arrays, wanted, path, f"labels and the terms in {TERMS}")


__all__ = ["load_linear", "save_linear"]
