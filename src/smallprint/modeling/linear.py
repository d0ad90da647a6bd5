"""TF-IDF and a linear SVM: the family that costs seconds and tells whether an encoder earns its cost.

In: texts and targets. Out: a `Scorer` whose state is arrays and lists of terms: nothing of scikit-learn's is ever stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smallprint.core.config import StaticConfig, TfidfConfig
from smallprint.core.errors import DataError
from smallprint.core.results import Array
from smallprint.modeling.plain_text import plain_words
from smallprint.modeling.platt import fit_platt, fold_numbers

Analyzer = Literal["word", "char_wb"]
SvmCost = TfidfConfig | StaticConfig  # both have a cost and weights of classes
CHUNK = 4096  # texts whose features stand in memory at once


@dataclass(frozen=True)
class Terms:
    """One analyzer's terms, in column order, and their inverse document frequencies, `[n_terms]`."""

    analyzer: Analyzer
    ngrams: tuple[int, int]
    terms: list[str]
    idf: NDArray[np.float64]


class LinearClassifier:
    """Word and character n-grams, sublinear TF-IDF, one linear SVM per output, Platt's scaling to [0, 1].

    Scores are sigmoid(slope * margin + intercept) with both fitted on out-of-fold margins (Platt 1999), so that 0.5 means
    as likely as not, unless an output is too rare for that; for multiclass they are divided by their sum. Texts are read
    whole: none is ever cut.

    Args:
        task: binary, multiclass or multilabel.
        terms: Of each analyzer; their columns stand side by side in this order.
        weights: `[n_outputs, n_features]`; kept as float32, column by column.
        bias: `[n_outputs]`.
        platt: Slope and intercept per output, `[n_outputs, 2]`.
    """

    max_length: int | None = None
    n_truncated = 0

    def __init__(self, task: str, terms: Sequence[Terms], weights: Array, bias: Array, platt: Array) -> None:
        self.task, self.terms, self.bias, self.platt = task, tuple(terms), bias, platt
        # by columns: the transposed matrix that scoring multiplies with is then a view, and never copied
        self.weights: NDArray[np.float32] = np.asfortranarray(weights, dtype=np.float32)
        self._vectorizers = [_restore(part) for part in self.terms]

    def margins(self, texts: Sequence[str]) -> Array:
        """Gives signed distances from the decision planes, float64 `[n, n_outputs]`; equal texts have equal ones."""
        margins = np.zeros((len(texts), len(self.bias)))
        for start in range(0, len(texts), CHUNK):
            features = _features(self._vectorizers, texts[start : start + CHUNK]).astype(np.float32)
            margins[start : start + CHUNK] = features @ self.weights.T
        return margins + self.bias

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`."""
        return scale(self.margins(texts), self.platt, self.task)


def scale(margins: Array, platt: Array, task: str) -> NDArray[np.float32]:
    """Gives Platt-scaled scores, float32 `[n, n_outputs]`, from margins of the same shape."""
    scores = 1 / (1 + np.exp(-np.clip(margins * platt[:, 0] + platt[:, 1], -60, 60)))
    if task == "multiclass":
        scores = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(scores, dtype=np.float32)


def fit_linear(
    texts: Sequence[str], targets: Array, task: str, n_outputs: int, seed: int = 42, settings: TfidfConfig | None = None
) -> LinearClassifier:
    """Fits on training examples alone; the inner folds are of training examples too.

    Args:
        texts: Training texts.
        targets: Encoded labels, `[n]` for multiclass, else 0/1 `[n, n_outputs]`.
        task: binary, multiclass or multilabel.
        n_outputs: Number of outputs.
        seed: Of the inner folds and the solver.
        settings: What is a term, and the SVM's cost; the defaults when left out.

    Raises:
        DataError: No text holds a term.
    """
    settings = settings or TfidfConfig()
    vectorizers, features = _fit_vectorizers(texts, settings)
    weights, bias, platt = fit_planes(features, targets, task, n_outputs, seed, settings)
    terms = [
        Terms(vectorizer.analyzer, vectorizer.ngram_range, vectorizer.get_feature_names_out().tolist(), vectorizer.idf_)
        for vectorizer in vectorizers
    ]
    return LinearClassifier(task, terms, weights, bias, platt)


def _fit_vectorizers(texts: Sequence[str], settings: TfidfConfig) -> tuple[list[Any], Any]:
    """Gives the vectorizers that found terms (texts of single characters, for one, hold no word), and the features."""
    from scipy.sparse import hstack

    vectorizers, features = [], []
    wanted = [_vectorizer("word", (1, settings.words))] if settings.words else []
    if settings.characters:
        wanted.append(_vectorizer("char_wb", (2, settings.characters), min_df=2 if len(texts) > 1000 else 1))
    for vectorizer in wanted:
        if (found := fit_terms(vectorizer, texts)) is not None:
            features.append(found)
            vectorizers.append(vectorizer)
    if not vectorizers:
        raise DataError(
            f"No term stands in any of {len(texts):,} training texts.",
            "texts with words, or with parts of words that several texts share",
            "Check the text column.",
        )
    return vectorizers, hstack(features, format="csr")


def fit_terms(vectorizer: Any, texts: Sequence[str]) -> Any:
    """Fits one of scikit-learn's vectorizers and gives the features of the texts; None where they hold no term."""
    try:
        return vectorizer.fit_transform(texts)
    except ValueError as error:
        if not any(words in str(error) for words in ("empty vocabulary", "no terms remain")):
            raise
        return None


def _features(vectorizers: Sequence[Any], texts: Sequence[str]) -> Any:
    from scipy.sparse import hstack

    return hstack([vectorizer.transform(texts) for vectorizer in vectorizers], format="csr")


def _vectorizer(analyzer: Analyzer, ngrams: tuple[int, int], min_df: int = 1) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer=analyzer, ngram_range=ngrams, sublinear_tf=True, min_df=min_df, preprocessor=plain_words
    )


def _restore(part: Terms) -> Any:
    vectorizer = _vectorizer(part.analyzer, part.ngrams)
    vectorizer.vocabulary_ = {term: column for column, term in enumerate(part.terms)}
    vectorizer.idf_ = np.asarray(part.idf, dtype=np.float64)
    return vectorizer


def fit_planes(
    features: Any, targets: Array, task: str, n_outputs: int, seed: int, settings: SvmCost
) -> tuple[Array, Array, Array]:
    """Gives weights, float32 `[n_outputs, n_features]`, bias `[n_outputs]` and Platt's slopes and intercepts, `[n_outputs, 2]`.

    An output that all examples have, or none, gets no plane: its bias alone says so.
    """
    binary = np.eye(n_outputs, dtype=np.int8)[targets] if task == "multiclass" else np.asarray(targets, dtype=np.int8)
    weights = np.zeros((n_outputs, features.shape[1]), dtype=np.float32)
    bias, platt = np.full(n_outputs, -1.0), np.tile([1.0, 0.0], (n_outputs, 1))
    folds = fold_numbers(features.shape[0], seed)
    for output in range(n_outputs):
        truth = binary[:, output]
        if truth.min() == truth.max():
            bias[output] = 1.0 if truth[0] else -1.0
            continue
        weights[output], bias[output] = fit_plane(features, truth, seed, settings)
        platt[output] = fit_platt(truth, folds, partial(_fold_margins, features, truth, seed, settings))
    return weights, bias, platt


def fit_plane(features: Any, truth: Array, seed: int, settings: SvmCost) -> tuple[Array, float]:
    """Gives weights, float32 `[n_features]`, and offset of the plane between both values of `truth`."""
    from sklearn.svm import LinearSVC

    weights = "balanced" if settings.class_weights == "balanced" else None
    model = LinearSVC(class_weight=weights, C=settings.cost, random_state=seed, max_iter=5000).fit(features, truth)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def _fold_margins(features: Any, truth: Array, seed: int, settings: SvmCost, inside: Array, outside: Array) -> Array:
    """Gives the distances of the rows `outside` from a plane that was fitted on the rows `inside`."""
    plane, offset = fit_plane(features[inside], truth[inside], seed, settings)
    margins: Array = features[outside] @ plane + offset
    return margins


__all__ = ["Analyzer", "LinearClassifier", "Terms", "fit_linear", "fit_plane", "fit_planes", "fit_terms", "scale"]
