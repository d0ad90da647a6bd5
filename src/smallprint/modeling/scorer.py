"""What every family of models offers: texts in, scores out. The one seam between a model and all that uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Scorer(Protocol):
    """A fitted model of any family. May be called from several threads."""

    @property
    def max_length(self) -> int | None:
        """Longest input in tokens; None where texts are read whole."""

    @property
    def n_truncated(self) -> int:
        """Texts that were cut so far."""

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`."""


@runtime_checkable
class Cuts(Protocol):
    """What a scorer that has a longest input offers too, so that nothing of a long text need be lost."""

    windows: bool

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Gives the windows in which a text can be read whole, half-open, in characters."""


__all__ = ["Cuts", "Scorer"]
