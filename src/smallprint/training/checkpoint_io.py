"""Resumable checkpoints without pickle: tensors as safetensors, everything else as JSON in the same file's header.

In: Lightning's checkpoint dict. Out: one file, written whole or not at all, and the same dict again, bit for bit.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.plugins.io import CheckpointIO

from smallprint.core.errors import TrainingError
from smallprint.core.files import atomic_path

KEY, CHECK = "smallprint_checkpoint", "crc32"


class SafetensorsIO(CheckpointIO):
    """Lightning's door to the disk, for `Trainer(plugins=[SafetensorsIO()])`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Writes the checkpoint.

        Raises:
            SmallprintError: The disk is full or may not be written.
            TypeError: The checkpoint holds an object that is neither a tensor nor plain data.
        """
        from safetensors.torch import save

        tensors: dict[str, torch.Tensor] = {}
        tree = json.dumps(_encode(checkpoint, tensors))
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(tensors, metadata={KEY: tree, CHECK: _checksum(tree, tensors)}))

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads the checkpoint.

        Raises:
            TrainingError: The file is damaged or of another kind.
        """
        tensors, tree = read_checkpoint(path)
        decoded = _decode(tree, tensors)
        assert isinstance(decoded, dict)
        return decoded

    def remove_checkpoint(self, path: Any) -> None:
        """Removes the file, if it is there."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: str | Path) -> tuple[dict[str, torch.Tensor], Any]:
    """Gives a checkpoint file's tensors and its JSON tree.

    Raises:
        TrainingError: The file is damaged or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata[CHECK] != _checksum(metadata[KEY], tensors):
            raise ValueError("another checksum")
        return tensors, json.loads(metadata[KEY])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}).",
            "a checkpoint that smallprint wrote",
            "Remove the file to train from the beginning of this run.",
        ) from None


def _checksum(tree: str, tensors: dict[str, torch.Tensor]) -> str:
    """Gives the crc32 of the tree and of all tensors' bytes: a disk's bad block shows before it trains."""
    check = zlib.crc32(tree.encode())
    for name in sorted(tensors):
        check = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, check)
    return f"{check:08x}"


def _encode(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"#tensor": name}
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("#") for key in value):
            return {key: _encode(item, tensors) for key, item in value.items()}
        return {"#dict": [[_encode(key, tensors), _encode(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"#tuple": [_encode(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_encode(item, tensors) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _decode(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if isinstance(value, dict):
        if "#tensor" in value:
            return tensors[value["#tensor"]]
        if "#tuple" in value:
            return tuple(_decode(item, tensors) for item in value["#tuple"])
        if "#dict" in value:
            return {_decode(key, tensors): _decode(item, tensors) for key, item in value["#dict"]}
        return {key: _decode(item, tensors) for key, item in value.items()}
    return value
