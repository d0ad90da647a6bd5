"""What each member of a stack adds. In: members' scores of examples that none of them saw. Out: the stack without each, and each alone.

Nothing is trained anew but the stack's few weights. The measure is macro average precision, by which members are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallprint.core.results import Array
from smallprint.evaluation.compare_ranked import draw_weights, weighted_ap
from smallprint.evaluation.intervals import number_units
from smallprint.evaluation.ranking import one_hot
from smallprint.evaluation.stack import Stack, fit_stack

RESAMPLES, LEVEL = 200, 0.95
MOST_CELLS = (
    100_000_000  # examples times labels times resamples of all members: beyond, no interval is drawn; a second or so
)


@dataclass(frozen=True)
class Part:
    """One member of a stack; scores are macro average precision of examples that no member saw.

    Attributes:
        name: Of the member.
        weight: Its weight in the stack.
        alone: What it reaches by itself.
        whole: What all members reach together.
        without: What the others reach without it.
        low: Lower end of the interval of `adds`; None where there are too few units, or too many examples.
        high: Its upper end.
        units: Groups or examples that were drawn again.
        over_groups: Whether they are groups.
        examples: That the scores stand on.
        refitted: Whether the others' weights were fitted anew without it; those of a blend are given, and keep their ratio.
    """

    name: str
    weight: float
    alone: float
    whole: float
    without: float
    low: float | None
    high: float | None
    units: int
    over_groups: bool
    examples: int
    refitted: bool = True


def leave_each_out(
    names: Sequence[str],
    scores: Sequence[Array],
    targets: Array,
    stack: Stack,
    groups: Sequence[object],
    over_groups: bool,
    seed: int = 0,
    refit: bool = True,
) -> list[Part]:
    """Gives each member's part; none where there is one member.

    The weights, few beside the examples, are fitted on the examples that they are judged by, with a member and without it alike; those
    of a blend are fitted on nothing.

    Args:
        names: Of the members.
        scores: One `[n, n_outputs]` a member, of examples that it did not see.
        targets: Ids `[n]` (multiclass) or 0/1 `[n, n_outputs]`.
        stack: Of all members.
        groups: What each example is drawn with.
        over_groups: Whether these are groups, and not each example alone.
        seed: Of the draws.
        refit: Fit the weights of the others anew; else they keep their ratio.
    """
    if len(names) < 2:
        return []
    parts = [np.asarray(part) for part in scores]
    truth = one_hot(np.asarray(targets), parts[0].shape[1])
    compared = [stack.apply(parts)]
    for left in range(len(parts)):
        rest = [part for k, part in enumerate(parts) if k != left]
        others = fit_stack(rest, targets, stack.task) if refit else _kept_ratio(stack, left)
        compared.append(others.apply(rest))
    whole = np.ones((1, len(truth)))
    reached = [float(weighted_ap(truth, each, whole)[0]) for each in compared]
    alone = [float(weighted_ap(truth, part, whole)[0]) for part in parts]
    units, n_units = number_units(groups)
    ends: list[tuple[float | None, float | None]] = [(None, None)] * len(parts)
    if n_units > 1 and truth.size * RESAMPLES * len(compared) <= MOST_CELLS:
        drawn = [
            np.stack([weighted_ap(truth, each, weights) for each in compared])
            for weights in draw_weights(units, n_units, RESAMPLES, seed)
        ]
        found = np.concatenate(drawn, axis=1)
        quantiles = np.quantile(found[:1] - found[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
        ends = [(float(low), float(high)) for low, high in quantiles.T]
    return [
        Part(name, float(weight), own, reached[0], without, low, high, n_units, over_groups, len(truth), refit)
        for name, weight, own, without, (low, high) in zip(names, stack.weights, alone, reached[1:], ends, strict=True)
    ]


def _kept_ratio(stack: Stack, left: int) -> Stack:
    """Gives a stack without one member, the others' weights in the ratio that they have; equal where all of them are 0."""
    rest = np.delete(stack.weights, left)
    weights = rest * (stack.weights.sum() / rest.sum()) if rest.sum() else np.full(len(rest), 1 / len(rest))
    return Stack(weights, stack.offsets, stack.task)


__all__ = ["LEVEL", "Part", "leave_each_out"]
