"""Where a fit's seconds go. In: Lightning's own marks of what it does, or a loop's. Out: seconds by part, which add up to the whole.

Nested marks are told apart: a part has the time in which none inside it ran. On a GPU work is only begun within its mark and waited for
later, mostly where the loss is read, so that there the parts say less than the sum.
"""

from __future__ import annotations

import time

from pytorch_lightning.profilers import Profiler

REST, OTHER = "Lightning and the rest", "the rest"
LOADING, FORWARD, BACKWARD, OPTIMIZER = "loading batches", "forward and loss", "backward", "optimizer"
VALIDATION, TELLING = "validation", "tracking and progress"
PARTS = {  # an action belongs to the first part of which it holds a word
    LOADING: ("dataloader_next", "val_next", "batch_to_device"),
    VALIDATION: ("validation_step", "on_validation", "run_validation", "evaluation"),
    "checkpoints": ("Checkpoints", "checkpoint"),
    TELLING: ("TrackerCallback", "Progress", "EarlyStop"),
    FORWARD: ("training_step",),
    BACKWARD: ("backward",),
    OPTIMIZER: ("optimizer_step", "optimizer_zero_grad", "gradient_clipping", "lr_scheduler"),
}


class FitClock(Profiler):
    """Adds up seconds by part; see `seconds`."""

    def __init__(self) -> None:
        super().__init__()
        self._spent: dict[str, float] = {}
        self._inside: list[str] = []
        self._since = time.perf_counter()

    def start(self, action_name: str) -> None:
        """Begins an action, within those that run."""
        self._count()
        self._inside.append(action_name)

    def stop(self, action_name: str) -> None:
        """Ends an action; one that was never begun, as after an error, is no matter."""
        self._count()
        while self._inside and self._inside.pop() != action_name:
            pass

    def seconds(self) -> dict[str, float]:
        """Gives seconds by part, largest first."""
        parts: dict[str, float] = {}
        for action, spent in self._spent.items():
            part = next((part for part, words in PARTS.items() if any(word in action for word in words)), REST)
            parts[part] = parts.get(part, 0.0) + spent
        return _largest_first(parts)

    def _count(self) -> None:
        now = time.perf_counter()
        if self._inside:
            action = self._inside[-1]
            self._spent[action] = self._spent.get(action, 0.0) + now - self._since
        self._since = now


class Laps:
    """Adds up seconds by part where one follows another."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, part: str) -> None:
        """Gives a part the time since the last one ended."""
        now = time.perf_counter()
        self._spent[part] = self._spent.get(part, 0.0) + now - self._since
        self._since = now

    def seconds(self) -> dict[str, float]:
        """Gives seconds by part, largest first."""
        return _largest_first(self._spent)


def _largest_first(parts: dict[str, float]) -> dict[str, float]:
    return {part: round(spent, 3) for part, spent in sorted(parts.items(), key=lambda pair: -pair[1])}


__all__ = ["FitClock", "Laps"]
