"""An encoder's part of a bundle: its weights, architecture and tokenizer. In: a scorer or files. Out: files or a scorer.

It checks no hashes: `bundle.py` has done that. No code that a file names is ever imported.

    model.safetensors   the classifier's weights, adapters merged; where the manifest names a `base`, adapters and head alone;
                        with `weights` int8 in the manifest large matrices are int8, each with NAME.scale beside it, fp32 [rows]
    backbone/           config.json of the encoder
    tokenizer/          as `save_pretrained` writes it
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from smallprint.core.config import SVM, Config
from smallprint.core.errors import BundleError, ConfigError
from smallprint.core.parts import Parts
from smallprint.data.labels import LabelSet
from smallprint.modeling.adapters import adapter_names
from smallprint.modeling.backbone import build_backbone, width_of
from smallprint.modeling.classifier import TextClassifier, check_layers
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.heads import BUILT_IN
from smallprint.modeling.int8 import dequantise, int8_names, quantise
from smallprint.modeling.kernel_head import KernelHead
from smallprint.modeling.sources import quiet
from smallprint.packaging.adapter_files import adapted_backbone, base_entry, keeps_adapters
from smallprint.packaging.manifest import AGAIN, WEIGHTS, EncoderManifest, unreadable

BACKBONE, TOKENIZER = "backbone", "tokenizer"
SCALE = ".scale"  # no weight's own name can end so after another's: a name within a module holds no dot


def save_encoder(folder: Path, scorer: EncoderScorer, config: Config, head_is_own: bool) -> dict[str, Any]:
    """Writes the encoder's files into `folder` and gives what the manifest says of it.

    Args:
        folder: Of the bundle.
        scorer: The adapters of its classifier are merged first, for good, unless `model.lora.merge` is off.
        config: Settings of the training; with `model.weights` int8, scores are those of the bundle if `round_weights` has
            gone over the classifier before.
        head_is_own: The head is an object of your own, whatever the settings name.

    Raises:
        TrainingError: A matrix that int8 shall hold is not finite.
    """
    from safetensors.torch import save

    classifier, tokenizer = scorer.classifier, scorer.tokenizer
    kept = keeps_adapters(classifier, config)
    if not kept:
        classifier.finish()
    backbone_config = getattr(classifier.backbone, "config", None)
    own_backbone = not hasattr(backbone_config, "save_pretrained")
    tensors, shared = _tensors_of(classifier, _own_names(classifier) if kept else None)
    if config.model.weights == "int8":
        tensors = _as_int8(tensors, int8_names(classifier))
    with quiet():
        # one key alone: safetensors writes several in random order, and equal weights shall be equal bytes
        (folder / WEIGHTS).write_bytes(save(tensors, metadata={"shared": json.dumps(shared)}))
        if not own_backbone:
            backbone_config.save_pretrained(folder / BACKBONE)  # type: ignore[union-attr]
        if fast := getattr(tokenizer, "backend_tokenizer", None):
            fast.no_truncation()  # how the last call cut and padded is no property of the tokenizer
            fast.no_padding()
        tokenizer.save_pretrained(folder / TOKENIZER)
    return {
        "family": "encoder",
        "max_length": scorer.max_length,
        "pooling": classifier.pooling,
        "long_text": "windows" if scorer.windows else "cut",
        "layers": None if classifier.layers is None else list(classifier.layers),
        "head": config.model.head,
        "head_is_own": head_is_own or config.model.head not in (*BUILT_IN, SVM),
        "n_support": len(classifier.head.support) if isinstance(classifier.head, KernelHead) else None,
        "backbone_is_own": own_backbone,
        "weights": config.model.weights,
        "base": base_entry(classifier, config) if kept else None,
        "versions": {"torch": str(torch.__version__), "transformers": transformers.__version__},
    }


def load_encoder(
    folder: Path, manifest: EncoderManifest, labels: LabelSet, config: Config, parts: Parts
) -> EncoderScorer:
    """Gives the encoder of a bundle's folder, in evaluation mode, fp32.

    Args:
        folder: Of the bundle.
        manifest: Its manifest.
        labels: Task and label names.
        config: Settings of the training.
        parts: Own head, backbone or tokenizer.

    Raises:
        BundleError: A file cannot be read or does not fit the rest, or a part of its own is not given.
    """
    with torch.random.fork_rng(devices=[]), quiet():  # loading must not move the caller's random numbers
        head_factory = parts.head or _built_in_head(manifest, labels, folder)
        backbone = _find_backbone(manifest, config, parts, folder)
        _check_sizes(manifest, backbone, folder)
        head = head_factory(width_of(backbone) * len(manifest.layers or [0]), labels.n_outputs)
        frozen = config.model.adapter == "frozen"
        classifier = TextClassifier(
            backbone, head, manifest.pooling, config.model.dropout, frozen=frozen, layers=manifest.layers
        ).float()
        tokenizer = parts.tokenizer if parts.tokenizer is not None else _load_tokenizer(folder / TOKENIZER)
    names = None if manifest.base is None else _own_names(classifier)
    _load_weights(classifier, folder / WEIGHTS, labels, manifest.weights == "int8", names)
    windows = manifest.long_text == "windows"
    return EncoderScorer(
        classifier, tokenizer, labels.task, labels.n_outputs, max_length=manifest.max_length, windows=windows
    )


def _own_names(classifier: TextClassifier) -> set[str]:
    """Gives the names of what is stored where the backbone is not: adapters and head."""
    return adapter_names(classifier) | {name for name in classifier.state_dict() if name.startswith("head.")}


def _tensors_of(classifier: nn.Module, names: set[str] | None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Gives the weights of `names`, or all, each stored once, and for every further name of one the name that it is stored under."""
    tensors: dict[str, Tensor] = {}
    shared: dict[str, str] = {}
    seen: dict[Any, str] = {}
    for name, tensor in classifier.state_dict().items():
        if names is not None and name not in names:
            continue
        storage = tensor.untyped_storage().data_ptr()
        key = (storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype) if storage else name
        if key in seen:
            shared[name] = seen[key]
        else:
            seen[key] = name
            tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return tensors, shared


def _as_int8(tensors: dict[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """Gives the weights with those of `names` as int8, their scales beside them."""
    stored = dict(tensors)
    for name in sorted(names & tensors.keys()):
        stored[name], stored[name + SCALE] = quantise(tensors[name], name)
    return stored


def _check_sizes(manifest: EncoderManifest, backbone: nn.Module, folder: Path) -> None:
    """Compares what the manifest says with the backbone and the weights, before anything is made of that size."""
    try:
        check_layers(backbone, manifest.layers)
    except ConfigError as error:
        raise BundleError(f"{folder}: {error.found}", error.expected, AGAIN) from None
    if manifest.n_support is None:
        return
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(folder / WEIGHTS), framework="pt") as file:
            stored = file.get_slice("head.support").get_shape()
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise unreadable(folder / WEIGHTS, f"{type(error).__name__}.") from None
    if stored[:1] != [manifest.n_support]:
        raise BundleError(
            f"{folder / WEIGHTS} holds support vectors of shape {stored}.", f"{manifest.n_support:,} of them", AGAIN
        )


def _built_in_head(manifest: EncoderManifest, labels: LabelSet, folder: Path) -> Any:
    if manifest.n_support is not None and not manifest.head_is_own:
        blocks, exclusive = len(manifest.layers or [0]), labels.task == "multiclass"
        return partial(KernelHead, n_support=manifest.n_support, blocks=blocks, exclusive=exclusive)
    if manifest.head_is_own or manifest.head not in BUILT_IN:
        raise BundleError(
            f"The head of {folder} is somebody's own ('{manifest.head}'), and code that a file names is never run.",
            f"the head as an object, or a built-in one ({', '.join(BUILT_IN)})",
            "If you trust it, import it yourself and load with parts=Parts(head=YOUR_HEAD).",
        )
    return BUILT_IN[manifest.head]


def _find_backbone(manifest: EncoderManifest, config: Config, parts: Parts, folder: Path) -> nn.Module:
    if manifest.base is not None:
        return adapted_backbone(manifest.base, config, parts, folder)
    if parts.backbone is not None:
        own: nn.Module = parts.backbone
        return own
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


def _load_weights(
    classifier: TextClassifier, path: Path, labels: LabelSet, as_int8: bool, names: set[str] | None
) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            shared = json.loads((file.metadata() or {}).get("shared", "{}"))
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if shared.keys() & tensors.keys():
            raise ValueError("a weight is stored and shared")
        tensors |= {name: tensors[kept] for name, kept in shared.items()}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(path, f"{type(error).__name__}.") from None
    wanted = {name: tensor for name, tensor in classifier.state_dict().items() if names is None or name in names}
    matrices = int8_names(classifier) & wanted.keys() if as_int8 else set()
    forms = {name: (list(tensor.shape), tensor.dtype) for name, tensor in wanted.items()}
    forms |= {name: (forms[name][0], torch.int8) for name in matrices}
    forms |= {name + SCALE: (forms[name][0][:1], torch.float32) for name in matrices - shared.keys()}
    _check_forms(tensors, forms, path, labels)
    for name in sorted(matrices - shared.keys()):
        scale = tensors[name + SCALE]
        if not bool((scale.isfinite() & (scale > 0)).all()):
            raise BundleError(f"{path}: '{name + SCALE}' holds what is no scale.", "finite numbers above 0", AGAIN)
    classifier.load_state_dict(
        {
            name: dequantise(tensors[name], tensors[shared.get(name, name) + SCALE])
            if name in matrices
            else tensors[name]
            for name in wanted
        },
        strict=names is None,
    )


def _check_forms(
    tensors: dict[str, Tensor], forms: dict[str, tuple[list[int], torch.dtype]], path: Path, labels: LabelSet
) -> None:
    """Compares all tensors of a file with the shapes and types that the model's settings ask for."""
    for name in sorted(forms.keys() & tensors.keys()):
        have, (want, kind) = list(tensors[name].shape), forms[name]
        if have != want and name.startswith("head.") and want[:1] == [labels.n_outputs] and have[1:] == want[1:]:
            raise BundleError(
                f"The weights in {path} have {have[0]} outputs, but the manifest names {len(labels.names)} labels.",
                f"{labels.n_outputs} outputs for a {labels.task} task",
                AGAIN,
            )
        if have != want:
            raise BundleError(f"{path}: '{name}' has shape {have}.", f"{want}, by the model's settings", AGAIN)
        if tensors[name].dtype != kind:
            raise BundleError(
                f"{path}: '{name}' has type {str(tensors[name].dtype).removeprefix('torch.')}.",
                f"{str(kind).removeprefix('torch.')}, by 'weights' in the manifest and the model's settings",
                AGAIN,
            )
    if odd := sorted(forms.keys() ^ tensors.keys()):
        what = "lacks" if odd[0] in forms else "has an unknown"
        raise BundleError(
            f"{path} {what} weight '{odd[0]}' ({len(odd)} do not fit).", "the weights of this model", AGAIN
        )


__all__ = ["load_encoder", "save_encoder"]
