"""What every family of models offers: texts in, scores out. The one seam between a model and all that uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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


__all__ = ["Scorer"]
