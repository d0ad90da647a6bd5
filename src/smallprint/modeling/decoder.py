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


def further_arguments(backbone: nn.Module) -> frozenset[str]:
    """Gives which arguments beside ids and mask a backbone is called with: of decoders `position_ids` and `use_cache`.

    A Longformer, as its own classifier does, gets a mask by which its first token sees all others and is seen by them.
    """
    plain: Any = getattr(backbone, "get_base_model", lambda: backbone)()
    if getattr(getattr(plain, "config", None), "model_type", None) == "longformer":
        return frozenset({"global_attention_mask"})
    if not is_decoder(plain):
        return frozenset()
    taken = inspect.signature(plain.forward).parameters
    return frozenset(name for name in ("position_ids", "use_cache") if name in taken)


def more_arguments(names: frozenset[str], attention_mask: Tensor) -> dict[str, Any]:
    """Gives a backbone's arguments beside ids and mask.

    Positions of a decoder count real tokens alone, so that padding on the left changes nothing; no cache of keys is kept, as nothing
    is generated.

    Args:
        names: As `further_arguments` gives them.
        attention_mask: int64 `[n, length]`.
    """
    more: dict[str, Any] = {}
    if "position_ids" in names:
        more["position_ids"] = (attention_mask.cumsum(dim=1) - 1).clamp(min=0)
    if "use_cache" in names:
        more["use_cache"] = False
    if "global_attention_mask" in names:
        more["global_attention_mask"] = torch.zeros_like(attention_mask)
        more["global_attention_mask"][:, 0] = 1
    return more


def last_tokens(tokens: Tensor, mask: Tensor) -> Tensor:
    """Gives the last real token's vector of each text, `[n, width]`, wherever the padding is.

    Args:
        tokens: `[n, length, width]`.
        mask: `[n, length]`, with at least one 1 a row.
    """
    places = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
    return tokens[torch.arange(len(tokens), device=tokens.device), places]


__all__ = ["further_arguments", "is_decoder", "last_tokens", "more_arguments", "refuse_encoder_decoder"]
