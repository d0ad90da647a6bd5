"""Which words carried a score: each is taken out in turn, and what the logit loses is its weight. In: an engine and a text.

Out: words with places and weights. It works for every family, as it asks the engine and looks at nothing inside (occlusion: Zeiler &
Fergus 2014; Li, Monroe & Jurafsky 2016). Words that stand in for each other hide each other: both can be taken out alone
without loss.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smallprint.core.errors import DataError
from smallprint.evaluation.calibration import logits_of
from smallprint.inference.engine import Asked

WORD = re.compile(r"\w+(?:['’-]\w+)*")
MOST_PARTS = 120  # longer texts are taken apart in runs of several words, so that the cost stays bounded


@dataclass(frozen=True)
class Evidence:
    """One word or run of words.

    Attributes:
        start: Of the word in the text, in characters.
        end: Behind it.
        weight: What the label's logit loses without it; negative where it spoke against the label.
    """

    start: int
    end: int
    weight: float


def find_evidence(engine: Asked, text: str, label: str) -> list[Evidence]:
    """Gives the weight of each word of a text for one label, in the order of the text.

    Args:
        engine: Any.
        text: Up to some thousand words; of long ones several words share a weight.
        label: One of `engine.labels.score_names`.

    Raises:
        DataError: The model has no such label.
    """
    names = list(engine.labels.score_names)
    if label not in names:
        raise DataError(f"The model has no label {label!r}.", ", ".join(names[:20]), "Name one of these.")
    parts = _parts(text)
    if not parts:
        return []
    variants = [text, *(text[:start] + " " + text[end:] for start, end in parts)]
    logits = logits_of(engine.score(variants)[:, names.index(label)])
    return [
        Evidence(start, end, float(logits[0] - logit)) for (start, end), logit in zip(parts, logits[1:], strict=True)
    ]


def strongest(evidence: Sequence[Evidence], share: float = 0.8, most: int = 8) -> list[Evidence]:
    """Gives the fewest words that together carry `share` of what speaks for the label, at most `most`, in the order of the text."""
    rising = sorted((part for part in evidence if part.weight > 0), key=lambda part: -part.weight)
    wanted, kept, total = share * sum(part.weight for part in rising), [], 0.0
    for part in rising[:most]:
        if total >= wanted:
            break
        kept.append(part)
        total += part.weight
    return sorted(kept, key=lambda part: part.start)


def tell_evidence(engine: Asked, text: str, label: str) -> list[dict[str, Any]]:
    """Gives the strongest words as JSON holds them: `start` and `end` in the text, `text`, `weight`.

    Raises:
        DataError: The model has no such label.
    """
    return as_json(text, find_evidence(engine, text, label))


def as_json(text: str, evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Gives the strongest of these words as JSON holds them."""
    return [
        {"start": part.start, "end": part.end, "text": text[part.start : part.end], "weight": round(part.weight, 3)}
        for part in strongest(evidence)
    ]


def _parts(text: str) -> list[tuple[int, int]]:
    words = [(found.start(), found.end()) for found in WORD.finditer(text)]
    size = -(-len(words) // MOST_PARTS) or 1
    runs = [words[i : i + size] for i in range(0, len(words), size)]
    return [(run[0][0], run[-1][1]) for run in runs]


__all__ = ["Evidence", "as_json", "find_evidence", "strongest", "tell_evidence"]
