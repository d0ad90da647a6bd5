"""A static model that scores: words and pairs of words looked up in tables, by numpy alone. The family for very many texts.

In: texts. Out: scores. Whatever was learned (of the word itself, of its parts, of what an encoder knows of it) was added up into one row a
word when the model was fitted (`static_fit.py`), so that scoring is a look-up and a sum. Texts are read whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallprint.core.results import Array
from smallprint.modeling.linear import scale
from smallprint.modeling.plain_text import word_list

CHUNK_WORDS = 16_384  # words whose rows stand in memory at once; more fall out of a processor's caches
LONGEST_PART = 5  # characters
REMEMBERED = 50_000  # unknown words whose rows are kept: bounded, as new texts bring ever more of them
LONGEST_UNKNOWN = 64  # characters of an unknown word that are looked at


@dataclass(frozen=True)
class Tables:
    """What a static model knows.

    Attributes:
        words: Known words, `n_words`.
        own: What a word says by itself, float32 `[n_words, n_outputs]`; zero for a word that train does not have.
        parts: What its parts and an encoder say of it, of the same shape.
        squares: Square of each word's weight, float32 `[n_words]`, by which texts of all lengths are made alike.
        pairs: Pairs of neighbouring words, first * n_words + second, int64, rising, `[n_pairs]`.
        pair_rows: What a pair says, float32 `[n_pairs, n_outputs]`.
        pair_squares: As for words, `[n_pairs]`.
        grams: Parts of words, two to five characters, a space for the word's border; `n_grams`.
        gram_idf: Weight of each, float32 `[n_grams]`.
        gram_rows: What it says in an unknown word, float32 `[n_grams, n_outputs]`.
        unknown: Weight of an unknown word.
    """

    words: list[str]
    own: NDArray[np.float32]
    parts: NDArray[np.float32]
    squares: NDArray[np.float32]
    pairs: NDArray[np.int64]
    pair_rows: NDArray[np.float32]
    pair_squares: NDArray[np.float32]
    grams: list[str]
    gram_idf: NDArray[np.float32]
    gram_rows: NDArray[np.float32]
    unknown: float


class StaticClassifier:
    """Sums of rows of words and pairs, over the length of the text's vector, then Platt's scaling to [0, 1].

    Args:
        task: binary, multiclass or multilabel.
        tables: What is looked up.
        bias: `[n_outputs]`.
        platt: Slope and intercept per output, `[n_outputs, 2]`.
    """

    max_length: int | None = None
    n_truncated = 0

    def __init__(self, task: str, tables: Tables, bias: Array, platt: Array) -> None:
        self.task, self.tables, self.bias, self.platt = task, tables, bias, platt
        n_outputs = len(bias)
        none = np.zeros((1, n_outputs), dtype=np.float32)
        # one row more, for what is not known: a look-up that cannot miss
        own, parts = (np.vstack([part, none]) for part in (tables.own, tables.parts))
        squares = np.append(tables.squares, np.float32(tables.unknown**2))[:, None]
        self._words = np.hstack([own, parts, squares])
        self._pairs = np.vstack(
            [np.hstack([tables.pair_rows, tables.pair_squares[:, None]]), np.zeros((1, n_outputs + 1))]
        )
        self._pairs = np.asarray(self._pairs, dtype=np.float32)
        self._ids = {word: i for i, word in enumerate(tables.words)}
        self._grams = {gram: i for i, gram in enumerate(tables.grams)}
        self._seen: dict[str, NDArray[np.float32]] = {}

    def margins(self, texts: Sequence[str]) -> Array:
        """Gives signed distances from the decision planes, float64 `[n, n_outputs]`; equal texts have equal ones."""
        margins = np.zeros((len(texts), len(self.bias)))
        for start, chunk in _chunks(texts):
            margins[start : start + len(chunk)] = self._sum(chunk)
        return margins + self.bias

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`."""
        return scale(self.margins(texts), self.platt, self.task)

    def _sum(self, chunk: list[list[str]]) -> Array:
        n, k = len(self.tables.words), len(self.bias)
        lengths = np.array([len(words) for words in chunk])
        flat = [word for words in chunk for word in words]
        sums = np.zeros((len(chunk), k))
        if not flat:
            return sums
        known = self._ids.get
        ids = np.array([known(word, n) for word in flat], dtype=np.int64)
        rows = self._words[ids]
        for place in np.flatnonzero(ids == n):
            rows[place, k : 2 * k] = self._unknown(flat[place])
        full = lengths > 0
        starts = (np.cumsum(lengths) - lengths)[full]
        words = np.add.reduceat(rows, starts, axis=0)
        pairs = np.add.reduceat(self._pairs[self._find_pairs(ids, starts)], starts, axis=0)
        by_words = np.sqrt(words[:, -1:])
        by_both = np.sqrt(words[:, -1:] + pairs[:, -1:])
        sums[full] = (words[:, :k] + pairs[:, :k]) / by_both + words[:, k : 2 * k] / by_words
        return sums

    def _find_pairs(self, ids: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Gives at the place of each word the row of the pair that it begins, `[n]`; the last row where that is not known."""
        n, table = len(self.tables.words), self.tables.pairs
        found = np.full(len(ids), len(table), dtype=np.int64)
        real = (ids[:-1] < n) & (ids[1:] < n)
        real[starts[1:] - 1] = False  # the last word of a text begins no pair
        places = np.flatnonzero(real)
        if len(table) and len(places):
            keys = ids[places] * n + ids[places + 1]
            rows = np.minimum(np.searchsorted(table, keys), len(table) - 1)
            hit = table[rows] == keys
            found[places[hit]] = rows[hit]
        return found

    def _unknown(self, word: str) -> NDArray[np.float32]:
        row = self._seen.get(word)
        if row is None:
            row = self._row_of(word)
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen[word] = row
        return row

    def _row_of(self, word: str) -> NDArray[np.float32]:
        known = self._grams.get
        counts = Counter([i for gram in grams_of(word[:LONGEST_UNKNOWN]) if (i := known(gram)) is not None])
        if not counts:
            return np.zeros(len(self.bias), dtype=np.float32)
        which = np.fromiter(counts, dtype=np.int64)
        weights = np.fromiter(counts.values(), dtype=np.float32) * self.tables.gram_idf[which]
        weights *= self.tables.unknown / np.linalg.norm(weights)
        return np.asarray(weights @ self.tables.gram_rows[which], dtype=np.float32)


def grams_of(word: str) -> list[str]:
    """Gives the parts of a word, its borders marked by spaces.

    >>> grams_of("we")
    [' w', 'we', 'e ', ' we', 'we ', ' we ']
    """
    word = f" {word} "
    return [word[i : i + size] for size in range(2, LONGEST_PART + 1) for i in range(len(word) - size + 1)]


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[list[str]]]]:
    """Gives runs of texts as words, with the index of the first; a text longer than a run is one of its own."""
    start, size = 0, 0
    chunk: list[list[str]] = []
    for i, text in enumerate(texts):
        words = word_list(text)
        if chunk and size + len(words) > CHUNK_WORDS:
            yield start, chunk
            start, size, chunk = i, 0, []
        chunk.append(words)
        size += len(words)
    if chunk:
        yield start, chunk


__all__ = ["StaticClassifier", "Tables", "grams_of"]
