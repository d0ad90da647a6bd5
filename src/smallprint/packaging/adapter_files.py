"""Bundles of adapters alone: which backbone they stand on, and one copy of it for all of them in a process.

In: a classifier, or a manifest. Out: what the manifest says of the base; the base, checked, with new adapters on it. It
writes no file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from smallprint.core.config import Config
from smallprint.core.errors import BundleError, SmallprintError
from smallprint.core.parts import Parts
from smallprint.modeling.adapters import LORA, base_weights, has_adapter, share_base
from smallprint.modeling.backbone import load_backbone
from smallprint.modeling.classifier import TextClassifier
from smallprint.packaging.manifest import BaseEntry

# by name and hash; a base leaves the memory with the last model that stands on it
_bases: WeakValueDictionary[tuple[str, str], nn.Module] = WeakValueDictionary()


def keeps_adapters(classifier: TextClassifier, config: Config) -> bool:
    """Gives whether a bundle holds the adapters beside the backbone that they stand on, and not merged into it."""
    model = config.model
    return model.adapter in LORA and not model.lora.merge and has_adapter(classifier.backbone)


def base_entry(classifier: TextClassifier, config: Config) -> dict[str, Any]:
    """Gives what the manifest says of the backbone below the adapters: name, revision and hash of its weights."""
    return {
        "name": config.model.backbone,
        "revision": config.model.revision,
        "sha256": hash_weights(base_weights(classifier.backbone)),
    }


def adapted_backbone(entry: BaseEntry, config: Config, parts: Parts, folder: Path) -> nn.Module:
    """Gives the backbone of an adapter bundle with its adapters untrained on it, its weights shared with other bundles'.

    Args:
        entry: What the manifest says of the base.
        config: Settings of the training.
        parts: Own backbone, where the base is one, or lies elsewhere on this machine.
        folder: Of the bundle, for messages.

    Raises:
        BundleError: The base cannot be reached, or is another than the adapters were trained on.
    """
    key = (entry.name, entry.sha256)
    base: nn.Module | None = parts.backbone if parts.backbone is not None else _bases.get(key)
    if base is None:
        try:
            base = load_backbone(entry.name, entry.revision)
        except SmallprintError as error:
            raise BundleError(
                f"{folder} holds adapters for the backbone '{entry.name}', which is not at hand: {error.found}",
                "the backbone that they were trained on",
                "Give it with parts=Parts(backbone=...), or train with model.lora.merge=true.",
            ) from None
    if _bases.get(key) is not base:
        if (found := hash_weights(base.state_dict())) != entry.sha256:
            raise BundleError(
                f"The adapters in {folder} were trained on other weights of '{entry.name}': {entry.sha256[:12]}, "
                f"and these are {found[:12]}.",
                "the same weights",
                "Name the revision that they were trained on, or train anew.",
            )
        _bases[key] = base
    backbone = share_base(base, config.model.lora, config.model.train_layers)
    object.__setattr__(backbone, "shared_base", base)  # alive as long as one model stands on it; no part of the model
    return backbone


def hash_weights(weights: dict[str, Tensor]) -> str:
    """Gives the SHA-256 (hex) of weights: names, types, shapes and bytes, by name."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


__all__ = ["adapted_backbone", "base_entry", "hash_weights", "keeps_adapters"]
