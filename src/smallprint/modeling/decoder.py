"""What decoders (causal language models) need besides what encoders do. In: a backbone or masks. Out: answers and positions.

A token of a decoder has read what stands before it and nothing after, so the last real one stands for the text.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from smallprint.core.errors import TrainingError


def is_decoder(backbone: nn.Module) -> bool:
    """Gives whether a backbone is a causal language model: of a kind that predicts the next word and no masked one."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    kind = getattr(getattr(backbone, "config", None), "model_type", None)
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def refuse_encoder_decoder(backbone: nn.Module, name: str) -> None:
    """Refuses a backbone of two halves.

    Raises:
        TrainingError: It is one.
    """
    if getattr(getattr(backbone, "config", None), "is_encoder_decoder", False):
        raise TrainingError(
            f"The backbone '{name}' is an encoder with a decoder behind it.",
            "an encoder alone (BERT and its kin), or a decoder alone (Llama and its kin)",
            "Choose another backbone.",
        )


def decoder_arguments(backbone: nn.Module) -> frozenset[str]:
    """Gives which of `position_ids` and `use_cache` a decoder takes; none of an encoder."""
    plain: Any = getattr(backbone, "get_base_model", lambda: backbone)()
    if not is_decoder(plain):
        return frozenset()
    taken = inspect.signature(plain.forward).parameters
    return frozenset(name for name in ("position_ids", "use_cache") if name in taken)


def more_arguments(names: frozenset[str], attention_mask: Tensor) -> dict[str, Any]:
    """Gives a decoder's arguments beside ids and mask.

    Positions count real tokens alone, so that padding on the left changes nothing; no cache of keys is kept, as nothing
    is generated.

    Args:
        names: As `decoder_arguments` gives them.
        attention_mask: int64 `[n, length]`.
    """
    more: dict[str, Any] = {}
    if "position_ids" in names:
        more["position_ids"] = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
    if "use_cache" in names:
        more["use_cache"] = False
    return more


def last_tokens(tokens: Tensor, mask: Tensor) -> Tensor:
    """Gives the last real token's vector of each text, `[n, width]`, wherever the padding is.

    Args:
        tokens: `[n, length, width]`.
        mask: `[n, length]`, with at least one 1 a row.
    """
    places = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
    return tokens[torch.arange(len(tokens), device=tokens.device), places]


__all__ = ["decoder_arguments", "is_decoder", "last_tokens", "more_arguments", "refuse_encoder_decoder"]
