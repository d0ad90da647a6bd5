"""Several processes that train one model: which of them this is, and what they tell each other. In: the environment.

Processes are started from outside: by `smallprint train --devices N` (see `launch.py`), torchrun or SLURM. All of them run the whole of
`api.train` on the same data; the first alone writes, tracks and speaks. It knows nothing of models.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from smallprint.core.errors import TrainingError
from smallprint.core.run import Run, open_run

PATIENCE = timedelta(hours=2)  # the first packages while the others wait; a process that died is noticed at once
LOST = (
    "connection closed",
    "connection reset",
    "broken pipe",
    "timed out",
    "connection refused",
    "remote process",
    "gloo",
)


def world_size() -> int:
    """Gives how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Gives the number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def is_first() -> bool:
    """Gives whether this process is the one that writes and speaks."""
    return rank() == 0


def join() -> None:
    """Joins the processes that the environment tells of; does nothing where there is one, or they are joined already.

    Raises:
        TrainingError: The others cannot be reached.
    """
    size, number = _environment()
    if size < 2 or dist.is_initialized():
        return
    try:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, rank=number, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"Process {number + 1} of {size} cannot reach the others ({str(error).partition(chr(10))[0][:120]}).",
            "MASTER_ADDR and MASTER_PORT of the first, as torchrun and SLURM set them",
            "Start all processes by torchrun or srun.",
        ) from None


def same_run(make: Callable[[], Run]) -> Run:
    """Gives the run that `make` opens or creates in the first process, to all of them; only the first may write into it.

    Raises:
        TrainingError: The first process could not make it.
    """
    if world_size() == 1:
        return make()
    told: list[Any] = [None]
    try:
        run = make() if is_first() else None
        told = [None if run is None else str(run.folder.absolute())]
    finally:  # an error in the first must not leave the others waiting
        dist.broadcast_object_list(told, src=0)
    if run is not None:
        return run
    if told[0] is None:
        raise TrainingError("The first process could not open the run.", "a run", "See what the first process said.")
    opened = open_run(told[0], clear=False)
    return Run(opened.folder, opened.config, writes=False)


def wait() -> None:
    """Waits until all processes have come here."""
    if world_size() > 1:
        try:
            dist.barrier()
        except RuntimeError:
            raise TrainingError(
                "Another process has ended before all was done.", "all of them", "See what it said; go on by --resume."
            ) from None


def leave() -> None:
    """Leaves the others, where there are any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def add_up(values: torch.Tensor) -> torch.Tensor:
    """Gives the sum of a tensor over all processes; each element that one process alone has, and 0 elsewhere, comes out exact."""
    if world_size() > 1:
        place = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
        moved = values.to(place)
        dist.all_reduce(moved)
        return moved.to(values.device)
    return values


def first_says(value: bool) -> bool:
    """Gives the first process's answer to all: clocks differ, and all must do alike."""
    if world_size() == 1:
        return value
    return bool(add_up(torch.tensor([float(value and is_first())]))[0] > 0)


def lost(error: BaseException) -> bool:
    """Gives whether an error says that another process is gone."""
    text = str(error).lower()
    return world_size() > 1 and any(word in text for word in LOST)


def _environment() -> tuple[int, int]:
    """Gives the number of processes and this one's, as torchrun or SLURM tell; SLURM's is told in torchrun's words then."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    if SLURMEnvironment.detect() and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        slurm = SLURMEnvironment()
        os.environ |= {"MASTER_ADDR": slurm.main_address, "MASTER_PORT": str(slurm.main_port)}
        os.environ["LOCAL_RANK"] = str(slurm.local_rank())
        return slurm.world_size(), slurm.global_rank()
    return 1, 0


__all__ = ["add_up", "first_says", "is_first", "join", "leave", "lost", "rank", "same_run", "wait", "world_size"]
