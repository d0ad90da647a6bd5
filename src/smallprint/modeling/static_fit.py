"""Fits a static model: one linear SVM over words, pairs of words, parts of words and what an encoder knows of words.

In: texts and targets. Out: a `StaticClassifier`, in which all that was learned of a word is one row. Each of these features is a sum over
the words of a text, so that the plane's weights can be added up a word at a time, once; that is all the difference to TF-IDF.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.config import StaticConfig
from smallprint.core.errors import DataError
from smallprint.core.results import Array
from smallprint.modeling.linear import fit_planes
from smallprint.modeling.plain_text import word_list
from smallprint.modeling.static import StaticClassifier, Tables, grams_of

# how loud parts and an encoder are beside the words themselves; chosen on validation
PARTS, ENCODER = 0.7, 0.5
SEVERAL = 100_000  # training texts beyond which a pair has to stand in two of them

# words that train does not have, and vectors `[n, width]` of these and of those that are given
WordVectors = Callable[[Sequence[str]], tuple[list[str], Array]]


def fit_static(
    texts: Sequence[str],
    targets: Array,
    task: str,
    n_outputs: int,
    seed: int = 42,
    settings: StaticConfig | None = None,
    vectors_of: WordVectors | None = None,
) -> StaticClassifier:
    """Fits on training examples alone; the inner folds are of training examples too.

    Args:
        texts: Training texts.
        targets: Encoded labels, `[n]` for multiclass, else 0/1 `[n, n_outputs]`.
        task: binary, multiclass or multilabel.
        n_outputs: Number of outputs.
        seed: Of the inner folds and the solver.
        settings: The SVM's cost; the defaults when left out.
        vectors_of: Gives vectors of words; None: words are known by train alone.

    Raises:
        DataError: No text holds a word.
    """
    from scipy.sparse import csr_matrix, diags, hstack

    settings = settings or StaticConfig()
    split = [word_list(text) for text in texts]
    own = sorted({word for words in split for word in words})
    if not own:
        raise DataError(
            f"No word stands in any of {len(texts):,} training texts.", "texts with words", "Check the text column."
        )
    more, vectors = ([], np.zeros((len(own), 0))) if vectors_of is None else vectors_of(own)
    words = [*own, *more]
    ids = {word: i for i, word in enumerate(words)}
    flat = [np.array([ids[word] for word in part], dtype=np.int64) for part in split]
    word_counts, word_idf = _count(flat, len(words), len(texts))
    keys = [np.array([a * len(words) + b for a, b in pairwise(part.tolist())], dtype=np.int64) for part in flat]
    pairs = _frequent(keys, 2 if len(texts) > SEVERAL else 1)
    places = [_places(row, pairs) for row in keys]
    pair_counts, pair_idf = _count(places, len(pairs), len(texts))

    grams, gram_idf, spelling = _spelling(own, more)
    by_words = word_counts @ word_idf**2
    by_both = by_words + pair_counts @ pair_idf**2
    weighted = word_counts @ diags(word_idf)
    of_parts = _over(by_words) @ weighted
    blocks = [
        _over(by_both) @ weighted[:, : len(own)],
        _over(by_both) @ pair_counts @ diags(pair_idf),
        PARTS * (of_parts @ spelling),
        csr_matrix(ENCODER * (of_parts @ vectors)),
    ]
    features = hstack(blocks, format="csr").astype(np.float32)
    weights, bias, platt = fit_planes(features, targets, task, n_outputs, seed, settings)

    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    of_words, of_pairs, of_grams, of_vectors = np.split(weights.astype(np.float64), ends, axis=1)
    rows = np.zeros((len(words), n_outputs))
    rows[: len(own)] = of_words.T
    inside = PARTS * (spelling @ of_grams.T) + ENCODER * (vectors @ of_vectors.T)
    tables = Tables(
        words=words,
        own=_small(word_idf[:, None] * rows),
        parts=_small(word_idf[:, None] * inside),
        squares=_small(word_idf**2),
        pairs=pairs,
        pair_rows=_small(pair_idf[:, None] * of_pairs.T),
        pair_squares=_small(pair_idf**2),
        grams=grams,
        gram_idf=_small(gram_idf),
        gram_rows=_small(PARTS * of_grams.T),
        unknown=_idf(np.zeros(1), len(texts)).item(),
    )
    return StaticClassifier(task, tables, bias, platt)


def _count(rows: Sequence[NDArray[np.int64]], n: int, n_texts: int) -> tuple[Any, Array]:
    """Gives how often each of `n` things stands in each text, sparse `[n_texts, n]`, and their inverse document frequencies, `[n]`."""
    from scipy.sparse import csr_matrix

    owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    columns = np.concatenate(rows) if len(rows) else np.zeros(0, dtype=np.int64)
    counts = csr_matrix((np.ones(len(columns), dtype=np.float32), (owners, columns)), shape=(n_texts, n))
    return counts, _idf(np.bincount(counts.indices, minlength=n).astype(np.float64), n_texts)


def _idf(frequency: Array, n: int) -> Array:
    """Gives the smoothed inverse document frequency log((1 + n) / (1 + df)) + 1, as scikit-learn has it."""
    return np.asarray(np.log((1 + n) / (1 + frequency)) + 1)


def _frequent(keys: Sequence[NDArray[np.int64]], least: int) -> NDArray[np.int64]:
    """Gives the pairs that stand in at least so many texts, rising."""
    each = [np.unique(row) for row in keys]
    found, counts = np.unique(np.concatenate(each), return_counts=True)
    return np.asarray(found[counts >= least], dtype=np.int64)


def _places(keys: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Gives the rows of those keys that are pairs; `pairs` are rising."""
    if not len(pairs):
        return np.zeros(0, dtype=np.int64)
    rows = np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)
    return np.asarray(rows[pairs[rows] == keys], dtype=np.int64)


def _spelling(own: Sequence[str], more: Sequence[str]) -> tuple[list[str], Array, Any]:
    """Gives the parts of train's words, their weights, and all words in terms of them, sparse `[n_words, n_grams]`, rows of length 1."""
    from scipy.sparse import csr_matrix

    counts = [Counter(grams_of(word)) for word in own]
    grams = sorted(set().union(*counts))
    ids = {gram: i for i, gram in enumerate(grams)}
    idf = _idf(np.bincount([ids[gram] for found in counts for gram in found], minlength=len(grams)), len(own))
    owners, columns, values = [], [], []
    for word, found in enumerate([*counts, *(Counter(grams_of(other)) for other in more)]):
        for gram, n in found.items():
            if gram in ids:
                owners.append(word)
                columns.append(ids[gram])
                values.append(n * idf[ids[gram]])
    matrix = csr_matrix((values, (owners, columns)), shape=(len(own) + len(more), len(grams)))
    return grams, idf, _over(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()) @ matrix


def _over(squares: Array) -> Any:
    """Gives the matrix that divides rows by the square root of these; an empty row stays."""
    from scipy.sparse import diags

    return diags(1 / np.sqrt(np.where(squares > 0, squares, 1)))


def _small(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)


__all__ = ["WordVectors", "fit_static"]
