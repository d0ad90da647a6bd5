"""Names in, backbones out; where a name leads, `sources.py` knows.

Weights are read from safetensors or GGUF only, and no code that comes with a checkpoint is ever run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from smallprint.core.errors import ConfigError, TrainingError
from smallprint.modeling.decoder import refuse_encoder_decoder
from smallprint.modeling.sources import find_place, quiet, reachable, refuse_own_code


def load_tokenizer(name: str, revision: str | None = None) -> Any:
    """Gives the fast tokenizer of a backbone.

    Raises:
        TrainingError: It cannot be reached, or it has none.
    """
    from transformers import AutoTokenizer

    with quiet(), reachable(name, revision):
        place = find_place(name, revision)
        return AutoTokenizer.from_pretrained(
            place.path, revision=place.revision, use_fast=True, trust_remote_code=False, **place.more
        )


def check_backbone(name: str, revision: str | None = None) -> None:
    """Checks that a backbone is there, by its settings alone: no weights are read.

    Raises:
        TrainingError: It cannot be reached, or needs code of its own.
        MissingExtraError: The package that reads a GGUF file is not installed.
    """
    with quiet(), reachable(name, revision):
        refuse_own_code(name, revision)


def load_backbone(name: str, revision: str | None = None, how: Mapping[str, Any] | None = None) -> nn.Module:
    """Gives a backbone with its pretrained weights in fp32, called with `input_ids` and `attention_mask`.

    Args:
        name: A preset's, such as 'minilm'; a folder, a .gguf file, or a Hub name.
        revision: Commit or tag on the Hub.
        how: More for `from_pretrained`, such as weights of four bits.

    Raises:
        TrainingError: It cannot be reached, needs code of its own, or has no safetensors.
    """
    import torch
    from transformers import AutoModel

    with quiet(), reachable(name, revision):
        refuse_own_code(name, revision)
        model: nn.Module
        place = find_place(name, revision)
        model, loading = AutoModel.from_pretrained(
            place.path,
            output_loading_info=True,
            revision=place.revision,
            trust_remote_code=False,
            dtype=torch.float32,
            use_safetensors=None if place.more else True,
            **place.more,
            **(how or {}),
        )
    config: Any = model.config
    if place.more:  # forget how the file held the weights: they are fp32 now
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


def kind_of(backbone: Any) -> str | None:
    """Gives a backbone's architecture in transformers' word, such as 'bert', also where it is seen from its upper layers; or None."""
    kind = getattr(getattr(getattr(backbone, "view", backbone), "config", None), "model_type", None)
    return kind if isinstance(kind, str) else None


def use_attention(backbone: nn.Module, implementation: str) -> None:
    """Switches an encoder to 'eager' or 'sdpa' attention where it has that choice.

    On a processor the backward pass of fused attention is the slower one for short texts (2.5 times for 40 tokens),
    the forward pass the faster one: train with 'eager', predict with 'sdpa'.
    """
    switch: Any = getattr(backbone, "set_attn_implementation", None)
    with contextlib.suppress(AttributeError, ValueError, ImportError), quiet():
        if switch is not None:
            switch(implementation)


def use_gradient_checkpointing(backbone: nn.Module) -> None:
    """Makes a backbone compute its layers again in the backward pass, instead of keeping what they gave.

    Raises:
        ConfigError: It cannot.
    """
    switch: Any = getattr(backbone, "gradient_checkpointing_enable", None)
    try:
        if switch is None:
            raise ValueError
        switch(gradient_checkpointing_kwargs={"use_reentrant": False})
    except ValueError:  # what the library raises for an architecture that is not made for it
        raise ConfigError(
            "training.gradient_checkpointing cannot go with this backbone.",
            "one whose layers can be computed again",
            "Leave it out; lower training.batch_tokens and set training.accumulate instead.",
        ) from None


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
