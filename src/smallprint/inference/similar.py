"""Labelled clauses that are most like a finding. In: training texts with labels. Out: for any text the nearest, with their labels.

Likeness is the cosine of TF-IDF vectors of words and pairs of words. It says what the model has learned from nearby, not why it decided.
Nothing is kept: the texts are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smallprint.modeling.linear import fit_terms
from smallprint.modeling.plain_text import plain_words

LEAST = 0.05  # of cosine: less is no likeness
MOST_CELLS = 20_000_000  # likenesses in memory at once, 160 MB


class Similar:
    """Training texts that can be asked for what is like a text.

    Args:
        texts: Of training.
        labels: Label names of each.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[Sequence[str]]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        first = {plain_words(text): i for i, text in reversed(list(enumerate(texts)))}  # of equal texts the first
        kept = sorted(first.values())
        self.texts, self.labels = [texts[i] for i in kept], [list(labels[i]) for i in kept]
        self._vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, preprocessor=plain_words, token_pattern=r"(?u)\b\w+\b"
        )
        self._vectors = fit_terms(self._vectorizer, self.texts)

    def nearest(self, texts: Sequence[str], n: int) -> list[list[dict[str, Any]]]:
        """Gives for each text at most `n` training texts, the likest first: `text`, `labels`, `likeness` in [0, 1]."""
        if self._vectors is None or not texts:
            return [[] for _ in texts]
        answers = []
        at_once = min(256, max(1, MOST_CELLS // len(self.texts)))
        for start in range(0, len(texts), at_once):
            rows = (self._vectorizer.transform(texts[start : start + at_once]) @ self._vectors.T).toarray()
            for row in rows:
                chosen = [int(i) for i in np.argsort(-row, kind="stable")[:n] if row[i] >= LEAST]
                answers.append(
                    [
                        {"text": self.texts[i], "labels": self.labels[i], "likeness": round(float(row[i]), 3)}
                        for i in chosen
                    ]
                )
        return answers

    def add_to(self, entry: dict[str, Any], n: int) -> None:
        """Adds `similar` to each finding of a scanned document, in place; of a long sentence its window is compared."""
        findings = entry.get("findings", [])
        texts = []
        for finding in findings:
            window = finding.get("window")
            start = finding["start"]
            texts.append(
                finding["text"][window["start"] - start : window["end"] - start] if window else finding["text"]
            )
        for finding, similar in zip(findings, self.nearest(texts, n), strict=True):
            finding["similar"] = similar


__all__ = ["Similar"]
