"""Where a fit's seconds go. In: Lightning's own marks of what it does. Out: seconds by part, which add up to the whole.

Nested marks are told apart: a part has the time in which none inside it ran. On a GPU work is only begun within its mark and waited for
later, mostly where the loss is read, so that there the parts say less than the sum.
"""

from __future__ import annotations

import time

from pytorch_lightning.profilers import Profiler

REST = "Lightning and the rest"
PARTS = {  # an action belongs to the first part of which it holds a word
    "loading batches": ("dataloader_next", "val_next", "batch_to_device"),
    "validation": ("validation_step", "on_validation", "run_validation", "evaluation"),
    "checkpoints": ("Checkpoints", "checkpoint"),
    "tracking and progress": ("TrackerCallback", "Progress", "EarlyStop"),
    "forward and loss": ("training_step",),
    "backward": ("backward",),
    "optimizer": ("optimizer_step", "optimizer_zero_grad", "gradient_clipping", "lr_scheduler"),
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
        return {part: round(spent, 3) for part, spent in sorted(parts.items(), key=lambda pair: -pair[1])}

    def _count(self) -> None:
        now = time.perf_counter()
        if self._inside:
            action = self._inside[-1]
            self._spent[action] = self._spent.get(action, 0.0) + now - self._since
        self._since = now


__all__ = ["FitClock"]
