"""Attention for training on a processor: plain matrix products, and dropout that costs little. In: a backbone. Out: it, switched.

The backward pass of fused attention is the slower one for short texts there, and torch draws a random number for each weight of
attention on one core. What is not of a kind in `ALIKE` trains with its own plain attention, dropout included.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from smallprint.modeling.backbone import kind_of, use_attention
from smallprint.modeling.dropout import cut_of, drop

ALIKE = frozenset(
    {"bert", "camembert", "electra", "roberta", "xlm-roberta"}
)  # kinds whose plain attention is the one below
NAME = "smallprint_training"


def use_training_attention(backbone: nn.Module) -> None:
    """Switches a backbone to plain attention where it has that choice, with dropout from bytes where its kind is known."""
    use_attention(backbone, "eager")
    if kind_of(backbone) in ALIKE:
        _register()
        use_attention(backbone, NAME)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **more: Any,
) -> tuple[Tensor, Tensor]:
    """Gives what each token takes from the others, `[n, length, heads, width]`, and the weights, `[n, heads, length, length]`.

    Args:
        module: The layer that asks.
        query: `[n, heads, length, width]`, as `key` and `value`.
        key: What it is compared with.
        value: What is taken.
        attention_mask: Added to the logits; None where all may see all.
        scaling: Of the logits; the root of the width when left out.
        dropout: Share of the weights that are zeroed while training.
        more: What other kinds of attention want to know.
    """
    logits = query @ key.transpose(2, 3) * (query.size(-1) ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        logits = logits + attention_mask
    weights = logits.softmax(dim=-1).to(value.dtype)
    if module.training and (cut := cut_of(dropout)):
        weights = drop(weights, cut)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, eager_mask)


__all__ = ["ALIKE", "attend", "use_training_attention"]
