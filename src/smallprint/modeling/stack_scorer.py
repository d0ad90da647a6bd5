"""Several models that score as one: each member's models are averaged, and a `Stack` combines the members.

A stack that was trained and a blend of finished models are the same here; only members of a blend bring a calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallprint.evaluation.calibration import Calibration
from smallprint.evaluation.stack import Stack
from smallprint.modeling.scorer import Cuts, Scorer


@dataclass(frozen=True)
class Member:
    """One member of a stack.

    Attributes:
        name: As the settings call it.
        scorers: One model that was fitted on everything, or one for each fold.
        calibration: Of the member's scores, applied before they are combined; None leaves them as they are.
    """

    name: str
    scorers: Sequence[Scorer]
    calibration: Calibration | None = None

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives the member's scores, float32 `[n, n_outputs]`."""
        scores = np.mean([scorer.score(texts) for scorer in self.scorers], axis=0)
        return np.asarray(scores if self.calibration is None else self.calibration.apply(scores))


class StackScorer:
    """A stack as a `Scorer`.

    Args:
        members: In the order of the stack's weights.
        stack: How their scores are combined.
    """

    def __init__(self, members: Sequence[Member], stack: Stack) -> None:
        self.members, self.stack = tuple(members), stack

    @property
    def max_length(self) -> int | None:
        """The shortest length at which a member cuts texts; None where none does."""
        lengths = [scorer.max_length for scorer in self._scorers() if scorer.max_length is not None]
        return min(lengths, default=None)

    @property
    def n_truncated(self) -> int:
        """Texts that were cut so far, by the member that cut most."""
        return max(scorer.n_truncated for scorer in self._scorers())

    @property
    def windows(self) -> bool:
        """Whether no member cuts texts."""
        return all(getattr(scorer, "windows", True) for scorer in self._scorers())

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Gives the windows in which every member can read a text whole, as `EncoderScorer.spans` does."""
        cutting = [scorer for scorer in self._scorers() if scorer.max_length is not None]
        places = [scorer.spans(text) for scorer in cutting if isinstance(scorer, Cuts)]
        return max(places, key=len, default=[(0, len(text))])

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`."""
        return np.asarray(self.stack.apply([member.score(texts) for member in self.members]), dtype=np.float32)

    def _scorers(self) -> list[Scorer]:
        return [scorer for member in self.members for scorer in member.scorers]


__all__ = ["Member", "StackScorer"]
