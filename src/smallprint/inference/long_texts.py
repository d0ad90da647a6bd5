"""Texts read whole, however long: those beyond the model's longest input are read in windows. In: an engine, texts. Out: a `Reading`.

A label's score is the highest of the windows; where labels exclude each other, their geometric mean weighed by length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallprint.core.results import Prediction
from smallprint.inference.engine import Asked
from smallprint.modeling.windows import combine_windows


@dataclass(frozen=True)
class Windows:
    """The windows of one long text: places in it, half-open, and scores `[n, n_outputs]`."""

    places: list[tuple[int, int]]
    scores: NDArray[np.float32]

    def best(self, output: int) -> tuple[int, int]:
        """Gives the place of the window that scores an output highest."""
        return self.places[int(np.argmax(self.scores[:, output]))]


@dataclass(frozen=True)
class Reading:
    """What an engine says of texts.

    Attributes:
        given: For all of them.
        windows: Of the long ones, by index.
        cut: Texts or windows whose ends were not read all the same.
    """

    given: Prediction
    windows: dict[int, Windows]
    cut: int


def read_whole(engine: Asked, texts: Sequence[str]) -> Reading:
    """Gives labels and scores of texts of which nothing is cut, as far as the tokenizer tells where its tokens stand.

    Args:
        engine: Any; what it cuts itself by `predict` is scored again in windows.
        texts: Any.
    """
    places = {i: spans for i, text in enumerate(texts) if len(spans := engine.spans(text)) > 1}
    before = engine.n_truncated
    given = engine.predict(texts)
    if not places:
        return Reading(given, {}, engine.n_truncated - before)
    cut = max(0, engine.n_truncated - before - len(places))
    parts = [(i, start, end) for i, spans in places.items() for start, end in spans]
    before = engine.n_truncated
    scores = engine.score([texts[i][start:end] for i, start, end in parts])
    cut += engine.n_truncated - before
    owners = np.array([i for i, _, _ in parts])
    windows = {i: Windows(spans, scores[owners == i]) for i, spans in places.items()}
    if engine.windows:  # read whole already
        return Reading(given, windows, cut)
    exclusive = engine.labels.task == "multiclass"
    combined = given.scores.copy()
    for i, part in windows.items():
        lengths = np.array([end - start for start, end in part.places])
        combined[i] = combine_windows(part.scores, np.zeros(len(lengths), dtype=np.int64), lengths, exclusive)[0]
    return Reading(engine.decide(combined), windows, cut)


__all__ = ["Reading", "Windows", "read_whole"]
