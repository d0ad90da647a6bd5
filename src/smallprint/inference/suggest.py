"""Which texts are worth labelling next. In: an engine and texts without labels. Out: the chosen ones, each with the reason.

Each label in turn asks for two texts, the one nearest to its threshold and the likeliest that is not chosen yet, so that rare
labels ask as often as others; every eighth text is drawn at random, by which labels that the model does not know yet can be found.
What shares most of its words with a chosen text is passed over. (Uncertainty sampling: Lewis & Gale 1994.)
"""

from __future__ import annotations

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
    taken: set[int] = set()
    for position, reason in asked:
        if len(chosen) == n:
            break
        if position in taken:
            continue
        taken.add(position)
        own = set(texts[places[position]].lower().split())
        if any(len(own & other) >= ALIKE * len(own | other) for other in words):
            continue
        words.append(own)
        chosen.append(Suggestion(places[position], reason))
    return chosen


def _asked(
    scores: NDArray[Any], thresholds: NDArray[np.float64] | None, names: list[str], rng: np.random.Generator
) -> Iterator[tuple[int, str]]:
    """Gives positions in the order in which they are asked for; one may come several times."""
    total = len(scores)
    if thresholds is None:  # labels exclude each other: unsure where the two best are near
        best = np.sort(scores, axis=1)
        unsure = np.argsort(best[:, -1] - best[:, -2], kind="stable")
        streams = [(unsure, "the two likeliest labels are near each other")]
    else:
        distance = np.abs(logits_of(scores) - logits_of(np.asarray(thresholds, dtype=np.float64)))
        streams = [
            (np.argsort(distance[:, k], kind="stable"), f"near the threshold of {names[k]}") for k in range(len(names))
        ]
    streams += [(np.argsort(-scores[:, k], kind="stable"), f"likely {names[k]}") for k in range(len(names))]
    # labels of which the model knows nothing score all alike: what they ask for would be the first rows
    streams = [
        (order, why) for order, why in streams if np.ptp(scores, axis=0).max() > 0 and _tells(scores, names, why)
    ]
    drawn = iter(rng.permutation(total).tolist())
    following = [iter(order.tolist()) for order, _ in streams]
    given: set[int] = set()
    turn = 0
    while len(given) < total:
        turn += 1
        if turn % RANDOM_EACH == 0 or not streams:
            position, why = next((p for p in drawn if p not in given), None), "drawn at random"
        else:
            k = turn % len(streams)
            position, why = next((p for p in following[k] if p not in given), None), streams[k][1]
        if position is None:
            if turn % RANDOM_EACH == 0 or not streams:
                return
            continue
        given.add(position)
        yield position, why


def _tells(scores: NDArray[Any], names: list[str], why: str) -> bool:
    """Says whether the label of a stream tells texts apart."""
    return all(not why.endswith(f" {name}") or float(np.ptp(scores[:, k])) > 0 for k, name in enumerate(names))


__all__ = ["Suggestion", "suggest_texts"]
