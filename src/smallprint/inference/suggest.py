"""Which texts are worth labelling next. In: an engine and texts without labels. Out: the chosen ones, each with the reason.

Each label in turn asks for two texts, the one nearest to its threshold and the likeliest that is not chosen yet, so that rare
labels ask as often as others; every eighth text is drawn at random, by which labels that the model does not know yet can be found.
What shares most of its words with a chosen text is passed over. (Uncertainty sampling: Lewis & Gale 1994.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.errors import ConfigError
from smallprint.evaluation.calibration import logits_of
from smallprint.inference.engine import Engine

ALIKE = 0.7  # of the words that either text has
RANDOM_EACH = 8


@dataclass(frozen=True)
class Suggestion:
    """One text.

    Attributes:
        index: Its place among the texts.
        reason: Why it was chosen, in words.
    """

    index: int
    reason: str


def suggest_texts(engine: Engine, texts: Sequence[str], n: int, seed: int = 42) -> list[Suggestion]:
    """Gives the `n` texts whose labels would teach the model most, the first the most urgent; fewer where there are no more.

    Args:
        engine: Any.
        texts: Unlabelled; blank ones are passed over.
        n: How many, at least 1.
        seed: Of the random ones.

    Raises:
        ConfigError: `n` is below 1.
        DataError: Something that is not a text.
    """
    if n < 1:
        raise ConfigError(f"{n} texts were asked for.", "1 or more", "Name another number.")
    places = [i for i, text in enumerate(texts) if text.strip()]
    scores = engine.score([texts[i] for i in places])
    thresholds = engine.thresholds if engine.labels.task != "multiclass" else None
    asked = _asked(scores, thresholds, list(engine.labels.score_names), np.random.default_rng(seed))
    chosen: list[Suggestion] = []
    words: list[set[str]] = []
    for position, reason in asked:
        if len(chosen) == n:
            break
        own = set(texts[places[position]].lower().split())
        if any(len(own & other) >= ALIKE * len(own | other) for other in words):
            continue
        words.append(own)
        chosen.append(Suggestion(places[position], reason))
    return chosen


def _asked(
    scores: NDArray[Any], thresholds: NDArray[np.float64] | None, names: list[str], rng: np.random.Generator
) -> Iterator[tuple[int, str]]:
    """Gives each position once, in the order in which they are asked for."""
    # labels of which the model knows nothing score all alike: what they ask for would be the first rows
    known = np.flatnonzero(np.ptp(scores, axis=0) > 0) if len(scores) else np.zeros(0, dtype=np.int64)
    streams: list[tuple[NDArray[Any], str]] = []
    if thresholds is not None:
        distance = np.abs(logits_of(scores) - logits_of(np.asarray(thresholds, dtype=np.float64)))
        streams += [(distance[:, k], f"near the threshold of {names[k]}") for k in known]
    elif len(known):  # labels exclude each other: unsure where the two best are near
        best = np.sort(scores, axis=1)
        streams.append((best[:, -1] - best[:, -2], "the two likeliest labels are near each other"))
    streams += [(-scores[:, k], f"likely {names[k]}") for k in known]
    asking = [(iter(np.argsort(values, kind="stable").tolist()), why) for values, why in streams]
    drawn = iter(rng.permutation(len(scores)).tolist()), "drawn at random"
    turns = itertools.cycle(asking)  # on their own: counted with the random ones, some labels would never have a turn
    given: set[int] = set()
    while len(given) < len(scores):
        positions, why = drawn if (len(given) + 1) % RANDOM_EACH == 0 or not asking else next(turns)
        position = next(p for p in positions if p not in given)  # each holds all, so there is one
        given.add(position)
        yield position, why


__all__ = ["Suggestion", "suggest_texts"]
