"""The folder that is shipped: weights, settings, tokenizer, thresholds and a manifest with the hash of every file.

In: a trained classifier and what belongs to it. Out: the folder, or the same classifier again, checked file by file. It
holds no pickle and no code, and no code that it names is ever run.

    manifest.json       task, label names, thresholds, versions, data, metrics, sha256 of all other files
    config.yaml         the settings, without tracking
    model.safetensors   the classifier's weights, adapters merged
    backbone/           config.json of the encoder
    tokenizer/          as `save_pretrained` writes it
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn

from smallprint.core.config import Config, TrackingConfig
from smallprint.core.errors import BundleError, SmallprintError
from smallprint.core.files import atomic_folder, sha256_file, write_json, write_text
from smallprint.core.parts import Parts
from smallprint.core.settings import load_config, render_config
from smallprint.data.labels import LabelSet
from smallprint.modeling.backbone import build_backbone, quiet, width_of
from smallprint.modeling.classifier import TextClassifier
from smallprint.modeling.heads import BUILT_IN
from smallprint.packaging.manifest import (
    AGAIN,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    SETTINGS,
    WEIGHTS,
    Manifest,
    check_files,
    check_manifest,
    files_in,
    read_manifest,
    unreadable,
)

BACKBONE, TOKENIZER = "backbone", "tokenizer"


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory.

    Attributes:
        folder: Where it lies.
        classifier: In evaluation mode, fp32.
        tokenizer: A Hugging Face tokenizer.
        labels: Task and label names.
        thresholds: float64 `[n_outputs]`.
        config: Settings of the training; tracking stands at its defaults.
        manifest: All of manifest.json.
    """

    folder: Path
    classifier: TextClassifier
    tokenizer: Any
    labels: LabelSet
    thresholds: NDArray[np.float64]
    config: Config
    manifest: dict[str, Any]


def save_bundle(
    folder: str | Path,
    *,
    classifier: TextClassifier,
    tokenizer: Any,
    labels: LabelSet,
    thresholds: NDArray[Any],
    config: Config,
    data: Mapping[str, Any],
    metrics: Mapping[str, Any],
    head_is_own: bool = False,
) -> Path:
    """Writes a bundle, whole or not at all, and gives its folder; a bundle that is already there is replaced.

    Args:
        folder: The new folder.
        classifier: Its adapters are merged first, for good.
        tokenizer: A Hugging Face tokenizer.
        labels: Task and label names.
        thresholds: `[n_outputs]`.
        config: Settings of the training. Those of tracking (paths, addresses) are left out.
        data: Summary of the data, JSON-ready.
        metrics: JSON-ready.
        head_is_own: The head is an object of your own, whatever the settings name.

    Raises:
        BundleError: The folder holds something else.
        SmallprintError: The disk is full or may not be written.
    """
    from safetensors.torch import save

    folder = Path(folder)
    _check_replaceable(folder)
    classifier.merge()
    backbone_config = getattr(classifier.backbone, "config", None)
    own_backbone = not hasattr(backbone_config, "save_pretrained")
    tensors, shared = _tensors_of(classifier)
    untracked = TrackingConfig.model_validate({})
    with atomic_folder(folder) as temporary, quiet():
        # one key alone: safetensors writes several in random order, and equal weights shall be equal bytes
        (temporary / WEIGHTS).write_bytes(save(tensors, metadata={"shared": json.dumps(shared)}))
        write_text(temporary / SETTINGS, render_config(config.model_copy(update={"tracking": untracked})))
        if not own_backbone:
            backbone_config.save_pretrained(temporary / BACKBONE)  # type: ignore[union-attr]
        if fast := getattr(tokenizer, "backend_tokenizer", None):
            fast.no_truncation()  # how the last call cut and padded is no property of the tokenizer
            fast.no_padding()
        tokenizer.save_pretrained(temporary / TOKENIZER)
        manifest = Manifest(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            task=labels.task,
            label_names=list(labels.names),
            thresholds=[float(value) for value in thresholds],
            max_length=config.model.max_length,
            pooling=classifier.pooling,
            head=config.model.head,
            head_is_own=head_is_own or config.model.head not in BUILT_IN,
            backbone_is_own=own_backbone,
            versions={
                "python": platform.python_version(),
                "torch": str(torch.__version__),
                "transformers": transformers.__version__,
                "smallprint": version("smallprint"),
            },
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            data=dict(data),
            metrics=dict(metrics),
            files={name: sha256_file(temporary / name) for name in files_in(temporary)},
        )
        write_json(temporary / MANIFEST, manifest.model_dump())
    return folder


def find_bundle(path: str | Path) -> Path:
    """Gives the bundle's folder for that folder itself or for the run that made it.

    Raises:
        BundleError: There is none.
    """
    path = Path(path).expanduser()
    for folder in (path, path / "bundle"):
        if (folder / MANIFEST).is_file():
            return folder
    expected = f"a bundle (a folder with {MANIFEST}), or a run that was trained to its end"
    if (path / "run.json").is_file():
        raise BundleError(
            f"The run {path} has no bundle yet.", expected, f"Go on with: smallprint train --resume {path}"
        )
    found = "holds no bundle" if path.is_dir() else "is a file" if path.exists() else "does not exist"
    raise BundleError(f"{path} {found}.", expected, "Check the path; `smallprint train` prints where the bundle is.")


def load_bundle(folder: str | Path, parts: Parts | None = None) -> Bundle:
    """Gives a bundle after checking every file against its hash.

    Args:
        folder: The bundle's folder.
        parts: Own head, backbone or tokenizer. A head of your own must be given here: it is never imported because a
            file names it. Weights are loaded into a backbone that is given.

    Raises:
        BundleError: Anything in it is missing, changed, added, too new, or does not fit the rest.
    """
    folder, parts = Path(folder), parts or Parts()
    tree = read_manifest(folder)
    manifest = check_manifest(tree, folder)
    check_files(folder, manifest.files)
    labels, thresholds = _labels_of(manifest, folder)
    try:
        config = load_config(folder / SETTINGS)
    except SmallprintError as error:
        raise unreadable(folder / SETTINGS, error.found) from None
    with torch.random.fork_rng(devices=[]), quiet():  # loading must not move the caller's random numbers
        head_factory = parts.head or _built_in_head(manifest, folder)
        backbone = parts.backbone if parts.backbone is not None else _build_backbone(manifest, folder)
        head = head_factory(width_of(backbone), labels.n_outputs)
        frozen = config.model.adapter == "frozen"
        classifier = TextClassifier(backbone, head, manifest.pooling, config.model.dropout, frozen=frozen).float()
        tokenizer = parts.tokenizer if parts.tokenizer is not None else _load_tokenizer(folder / TOKENIZER)
    _load_weights(classifier, folder / WEIGHTS, labels)
    classifier.eval()
    return Bundle(folder, classifier, tokenizer, labels, thresholds, config, tree)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        ours = read_manifest(folder).get("format") == FORMAT
    except BundleError:
        ours = False
    if not ours:
        raise BundleError(
            f"{folder} holds other files.", "a new folder, or a bundle to replace", "Name another folder."
        )


def _tensors_of(classifier: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Gives the weights, each stored once, and for every further name of one the name that it is stored under."""
    tensors: dict[str, Tensor] = {}
    shared: dict[str, str] = {}
    seen: dict[Any, str] = {}
    for name, tensor in classifier.state_dict().items():
        storage = tensor.untyped_storage().data_ptr()
        key = (storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype) if storage else name
        if key in seen:
            shared[name] = seen[key]
        else:
            seen[key] = name
            tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return tensors, shared


def _labels_of(manifest: Manifest, folder: Path) -> tuple[LabelSet, NDArray[np.float64]]:
    try:
        labels = LabelSet(manifest.task, list(manifest.label_names))
    except SmallprintError as error:
        raise BundleError(f"{folder / MANIFEST}: {error.found}", error.expected, AGAIN) from None
    if len(manifest.thresholds) != labels.n_outputs:
        raise BundleError(
            f"{folder / MANIFEST} has {len(manifest.thresholds)} thresholds for {len(labels.names)} labels.",
            f"{labels.n_outputs}, one per output",
            AGAIN,
        )
    return labels, np.array(manifest.thresholds, dtype=np.float64)


def _built_in_head(manifest: Manifest, folder: Path) -> Any:
    if manifest.head_is_own or manifest.head not in BUILT_IN:
        raise BundleError(
            f"The head of {folder} is somebody's own ('{manifest.head}'), and code that a file names is never run.",
            f"the head as an object, or a built-in one ({', '.join(BUILT_IN)})",
            "If you trust it, import it yourself and load with parts=Parts(head=YOUR_HEAD).",
        )
    return BUILT_IN[manifest.head]


def _build_backbone(manifest: Manifest, folder: Path) -> nn.Module:
    if manifest.backbone_is_own:
        raise BundleError(
            f"The backbone of {folder} is somebody's own, which a bundle cannot rebuild.",
            "the backbone as an object",
            "Load with parts=Parts(backbone=YOUR_BACKBONE).",
        )
    try:
        return build_backbone(folder / BACKBONE)
    except Exception as error:  # the library raises what it likes for a config that it does not know
        raise unreadable(folder / BACKBONE / "config.json", str(error).strip().partition("\n")[0][:200]) from None


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), use_fast=True, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # as above
        raise unreadable(folder, str(error).strip().partition("\n")[0][:200]) from None


def _load_weights(classifier: TextClassifier, path: Path, labels: LabelSet) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            shared = json.loads((file.metadata() or {}).get("shared", "{}"))
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        tensors |= {name: tensors[kept] for name, kept in shared.items()}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(path, f"{type(error).__name__}.") from None
    wanted = classifier.state_dict()
    for name in sorted(wanted.keys() & tensors.keys()):
        have, want = list(tensors[name].shape), list(wanted[name].shape)
        if have != want and name.startswith("head.") and want[:1] == [labels.n_outputs] and have[1:] == want[1:]:
            raise BundleError(
                f"The weights in {path} have {have[0]} outputs, but the manifest names {len(labels.names)} labels.",
                f"{labels.n_outputs} outputs for a {labels.task} task",
                AGAIN,
            )
        if have != want:
            raise BundleError(f"{path}: '{name}' has shape {have}.", f"{want}, by the model's settings", AGAIN)
    if odd := sorted(wanted.keys() ^ tensors.keys()):
        what = "lacks" if odd[0] in wanted else "has an unknown"
        raise BundleError(
            f"{path} {what} weight '{odd[0]}' ({len(odd)} do not fit).", "the weights of this model", AGAIN
        )
    classifier.load_state_dict(tensors)


__all__ = ["Bundle", "find_bundle", "load_bundle", "save_bundle"]
