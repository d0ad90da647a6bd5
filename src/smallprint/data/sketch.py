"""Texts as numbers that can be compared and not read back. In: texts. Out: lengths, how rare the words are, and a sketch of the words.

The sketch adds up +1 and -1 at places that each word's hash names (count sketch: Charikar, Chen & Farach-Colton 2002) and keeps a byte a
place: two kinds of text differ in it, and no word can be looked up. Whoever guesses a whole text can still check whether it fits.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
PLACES = 128
SEEN = 2  # training texts that must hold a word for it to be stored: a name that stands in one text is not
SCALE = 127


@dataclass(frozen=True)
class TextNumbers:
    """What is known of texts, in order.

    Attributes:
        lengths: In characters, float32 `[n]`.
        words: Sketch of the words, int8 `[n, PLACES]`, each row of like norm.
        rarity: Mean information of a word by its frequency in training, in bits, float32 `[n]`; None where that is not known.
    """

    lengths: NDArray[np.float32]
    words: NDArray[np.int8]
    rarity: NDArray[np.float32] | None

    def take(self, rows: NDArray[np.int64]) -> TextNumbers:
        """Gives the numbers of some texts."""
        return TextNumbers(self.lengths[rows], self.words[rows], None if self.rarity is None else self.rarity[rows])


@dataclass(frozen=True)
class WordBits:
    """How rare words are.

    Attributes:
        words: Hashes, uint32 `[n]`, ascending.
        bits: Information of each, minus the logarithm of its frequency, float32 `[n]`.
        other: Information of any other word.
    """

    words: NDArray[np.uint32]
    bits: NDArray[np.float32]
    other: float

    def of(self, words: NDArray[np.uint32]) -> NDArray[np.float32]:
        """Gives the information of each word, in bits."""
        if not len(self.words):
            return np.full(len(words), self.other, dtype=np.float32)
        place = np.minimum(np.searchsorted(self.words, words), len(self.words) - 1)
        return np.where(self.words[place] == words, self.bits[place], np.float32(self.other))


def count_words(texts: Sequence[str]) -> WordBits:
    """Gives how rare the words of texts are; one that stands in fewer than `SEEN` of them counts as if it stood there once."""
    counts: Counter[int] = Counter()
    in_texts: Counter[int] = Counter()
    for text in texts:
        words = _hashes(text)
        counts.update(words)
        in_texts.update(set(words))
    kept = sorted(word for word, n in in_texts.items() if n >= SEEN)
    every = max(sum(counts.values()), 2)
    bits = -np.log2(np.array([counts[word] for word in kept], dtype=np.float64) / every)
    return WordBits(np.array(kept, dtype=np.uint32), bits.astype(np.float32), float(np.log2(every)))


def number_texts(texts: Sequence[str], usual: WordBits | None = None) -> TextNumbers:
    """Gives the numbers of texts.

    Args:
        texts: Any.
        usual: How rare words were in training.
    """
    sums = np.zeros((len(texts), PLACES), dtype=np.float32)
    rarity = None if usual is None else np.zeros(len(texts), dtype=np.float32)
    for i, text in enumerate(texts):
        words = np.array(_hashes(text), dtype=np.uint32)
        if not words.size:
            continue
        if rarity is not None and usual is not None:
            rarity[i] = usual.of(words).mean()
        kinds = np.unique(words)
        for place in (kinds, kinds >> np.uint32(8)):  # two places a word, by bits of their own
            signs = np.where(place >> np.uint32(7) & np.uint32(1), 1, -1)
            np.add.at(sums[i], place % PLACES, signs)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    sketch = np.rint(sums / np.maximum(norms, 1e-9) * SCALE).astype(np.int8)
    return TextNumbers(np.array([len(text) for text in texts], dtype=np.float32), sketch, rarity)


def _hashes(text: str) -> list[int]:
    return [zlib.crc32(word.encode("utf-8", "replace")) for word in WORD.findall(text.lower())]


__all__ = ["PLACES", "TextNumbers", "WordBits", "count_words", "number_texts"]
