"""When memory runs out: the same training once more, with half the batch and twice as many of them a step.

In: a function that fits, and what it starts from. Out: what it gives. The starting weights wait on disk until the training is done, so
that a second try begins where the first did; the smaller batch is remembered there too, for a resume.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from smallprint.core.errors import TrainingError
from smallprint.core.files import atomic_path, write_json
from smallprint.core.progress import Say
from smallprint.core.results import FitResult
from smallprint.training import processes
from smallprint.training.datamodule import TextDataModule

START, BUDGET = "start.safetensors", "batch.json"
TRIES, LEAST_TOKENS = 4, 16
Fit = Callable[[TextDataModule, int], FitResult]


class OutOfMemoryError(Exception):
    """Memory ran out while training."""


def with_smaller_batches(
    fit: Fit, model: nn.Module, data: TextDataModule, accumulate: int, folder: Path, stale: tuple[str, ...], say: Say
) -> FitResult:
    """Gives what `fit(data, accumulate)` gives, with batches halved as often as memory runs out, three times at most.

    Args:
        fit: Trains `model`; raises `OutOfMemoryError`.
        model: Put back to where it started before each further try.
        data: Train and validation batches.
        accumulate: Batches a step.
        folder: Of the checkpoints.
        stale: Names of checkpoints in it that a further try must not go on from.
        say: Takes lines for a person.

    Raises:
        TrainingError: Memory ran out every time, or in one of several processes.
    """
    for _ in range(_halvings(folder)):
        data, accumulate = data.halved(), accumulate * 2
    if processes.is_first() and not (folder / START).exists() and not any((folder / name).exists() for name in stale):
        _store(model, folder / START)
    for tried in range(1, TRIES + 1):
        try:
            result = fit(data, accumulate)
        except OutOfMemoryError:
            possible = (
                processes.world_size() == 1 and (folder / START).exists() and data.batch_tokens // 2 >= LEAST_TOKENS
            )
            if tried == TRIES or not possible:
                break
            data, accumulate = data.halved(), accumulate * 2
            say(
                f"Memory ran out. Once more from the start, with {data.batch_tokens:,} tokens a batch and {accumulate} batches a step."
            )
            write_json(folder / BUDGET, {"halvings": _halvings(folder) + 1})
            for name in stale:
                (folder / name).unlink(missing_ok=True)
        else:
            if processes.is_first():
                (folder / START).unlink(missing_ok=True)
            return result
        gc.collect()  # outside of the handler: its error holds the tensors of the failed step
        torch.cuda.empty_cache()
        _restore(model, folder / START)
    raise TrainingError(
        "Memory ran out while training.",
        "a batch that fits",
        "Lower training.batch_tokens or model.max_length, set training.gradient_checkpointing=true, or take model.adapter=lora.",
    )


def _halvings(folder: Path) -> int:
    path = folder / BUDGET
    return int(json.loads(path.read_text(encoding="utf-8"))["halvings"]) if path.exists() else 0


def _store(model: nn.Module, path: Path) -> None:
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: part.detach().cpu().contiguous() for name, part in model.named_parameters() if part.requires_grad}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors))


def _restore(model: nn.Module, path: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(path)
    with torch.no_grad():
        for name, part in model.named_parameters():
            if name in tensors:
                part.grad = None
                part.copy_(tensors[name])


__all__ = ["OutOfMemoryError", "with_smaller_batches"]
