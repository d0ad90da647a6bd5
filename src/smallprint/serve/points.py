"""Operating points between "find more" and "be surer": thresholds a step to either side of those that the model was tuned to.

The ends come from the policy where there is one: all that it does not clear, and what it flags alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smallprint.inference.engine import Engine

STEP = 1.5  # logits
NAMES = ("find most", "find more", "as tuned", "surer", "surest")


def points_of(engine: Engine) -> list[dict[str, Any]]:
    """Gives five points, from the one that shows most to the one that shows least.

    Each has `name`, `thresholds` (one for each score), `any` (border of the score that a text has any label, or null: a
    sentence at or above it is shown too) and `promise`, a sentence, or null.
    """
    tuned = np.clip(np.asarray(engine.thresholds, dtype=float), 1e-6, 1 - 1e-6)
    logits = np.log(tuned / (1 - tuned))
    points: list[dict[str, Any]] = []
    for place, name in enumerate(NAMES):
        shifted = 1 / (1 + np.exp(-(logits + (place - 2) * STEP)))
        values = tuned if place == 2 else shifted
        points.append({"name": name, "thresholds": [float(value) for value in values], "any": None, "promise": None})
    policy = engine.policy
    if policy is None:
        return points
    if policy.clear is not None and policy.clear.border is not None:
        points[0]["any"] = policy.clear.border
        points[0]["promise"] = _said(
            policy.clear.wanted, policy.clear.confidence, "of the texts with a label are shown"
        )
    if policy.flag is not None and policy.flag.border is not None:
        border = policy.flag.border
        points[4]["thresholds"] = [max(border, value) for value in points[2]["thresholds"]]
        points[4]["promise"] = _said(policy.flag.wanted, policy.flag.confidence, "of the labels shown are right")
    return points


def _said(wanted: float, confidence: float, what: str) -> str:
    return f"At least {wanted:.0%} {what}, in {confidence:.0%} of new sets of documents."


__all__ = ["points_of"]
