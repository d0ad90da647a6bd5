"""Backbone + pooling + head = one `nn.Module` from token ids to logits. It knows nothing of texts, training or files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smallprint.core.config import SVM, ModelConfig
from smallprint.core.errors import ConfigError
from smallprint.core.parts import Parts
from smallprint.modeling.adapters import add_adapter, merge_adapter, to_full_precision
from smallprint.modeling.backbone import load_backbone, width_of
from smallprint.modeling.decoder import further_arguments, is_decoder, last_tokens, more_arguments
from smallprint.modeling.four_bit import four_bit_settings
from smallprint.modeling.heads import check_head, find_head, set_base_rates, start_from_pooler
from smallprint.modeling.upper_layers import find_layers

Pooling = Literal["mean", "cls", "max", "last"]


class TextClassifier(nn.Module):
    """An encoder, its token vectors pooled to one, and a head.

    Args:
        backbone: Called with `input_ids` and `attention_mask`; gives token vectors `[n, length, width]`, as they are or
            as `.last_hidden_state`.
        head: From `[n, width]` to logits `[n, n_outputs]`.
        pooling: How token vectors become one vector; padding never counts.
        dropout: Before the head.
        frozen: The backbone takes no gradient and stays in evaluation mode.
        layers: Layers whose pooled vectors stand side by side, 1 is the lowest and 0 the word vectors; the last if left out.
            The backbone then is one that gives `.hidden_states` when asked.
        whole: The backbone of which `backbone` is a part: it tells what both are called with.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        pooling: Pooling = "mean",
        dropout: float = 0.1,
        frozen: bool = False,
        layers: Sequence[int] | None = None,
        whole: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.pooling, self.frozen = backbone, head, pooling, frozen
        self.layers = None if layers is None else tuple(layers)
        self._more = further_arguments(backbone if whole is None else whole)
        self._restore: Callable[[nn.Module], nn.Module] | None = None
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Gives logits `[n, n_outputs]` in fp32 for ids and mask, int64 `[n, length]`."""
        vectors = self.dropout(self.embed(input_ids, attention_mask))
        # bf16 knows three digits: enough for an encoder's sums, too few for a rare label's logit near -7
        with torch.autocast(vectors.device.type, enabled=False):
            logits: Tensor = self.head(vectors)
        return logits

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Gives one vector per text, fp32 `[n, width]`, or of several layers `[n, n_layers * width]`."""
        more = self.more_arguments(attention_mask)
        if self.layers is not None:
            more["output_hidden_states"] = True
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            tokens = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **more)
        if self.layers is not None:
            chosen = [tokens.hidden_states[layer] for layer in self.layers]
            return torch.cat([pool(part.float(), attention_mask, self.pooling) for part in chosen], dim=1)
        tokens = getattr(tokens, "last_hidden_state", tokens)
        return pool(tokens.float(), attention_mask, self.pooling)

    def more_arguments(self, attention_mask: Tensor) -> dict[str, Any]:
        """Gives what the backbone is called with beside ids and mask, int64 `[n, length]`."""
        return more_arguments(self._more, attention_mask)

    def train(self, mode: bool = True) -> TextClassifier:
        """Switches to training mode; a frozen backbone stays as in evaluation."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def finish(self, merge: bool = True) -> None:
        """Ends the training of low-rank adapters: over weights in full precision, and added into them, for good.

        Args:
            merge: Leave this out, and the adapters stay beside the weights.
        """
        if self._restore is not None:
            self.backbone, self._restore = self._restore(self.backbone), None
        if merge:
            self.backbone = merge_adapter(self.backbone)


def pool(tokens: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Gives `[n, width]` from token vectors `[n, length, width]` and their mask `[n, length]`."""
    if pooling == "cls":
        return tokens[:, 0]
    if pooling == "last":
        return last_tokens(tokens, mask)
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    if pooling == "max":
        return tokens.masked_fill(weights == 0, torch.finfo(tokens.dtype).min).amax(dim=1)
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def build_classifier(
    config: ModelConfig, n_outputs: int, base_rates: NDArray[np.float64], task: str, parts: Parts | None = None
) -> TextClassifier:
    """Gives a classifier with pretrained backbone and a new head whose bias starts at the labels' base rates.

    Args:
        config: Which backbone, adapter, head and pooling.
        n_outputs: Number of logits.
        base_rates: Share of positives per output in the training split, `[n_outputs]`.
        task: binary, multiclass or multilabel.
        parts: Own backbone or head, instead of those that the settings name.

    Raises:
        TrainingError: The backbone cannot be loaded.
        ConfigError: A part cannot be found.
    """
    parts = parts or Parts()
    rounded = config.adapter == "qlora" and parts.backbone is None
    how = four_bit_settings(config.backbone) if rounded else None
    backbone = parts.backbone if parts.backbone is not None else load_backbone(config.backbone, config.revision, how)
    check_layers(backbone, config.layers)
    width = width_of(backbone) * len(config.layers or [0])
    head: nn.Module = nn.Identity()  # an SVM is fitted later, on stored vectors
    if config.head != SVM or parts.head is not None:
        head = find_head(parts.head or config.head)(width, n_outputs)
        check_head(head, width, n_outputs)
        start_from_pooler(head, backbone)
        set_base_rates(head, base_rates, task)
    frozen = config.adapter == "frozen"
    pooling = choose_pooling(config.pooling, backbone)
    classifier = TextClassifier(
        add_adapter(backbone, config), head, pooling, config.dropout, frozen=frozen, layers=config.layers
    )
    if rounded:
        load = partial(load_backbone, config.backbone, config.revision)
        classifier._restore = partial(to_full_precision, load=load, lora=config.lora, n_trained=config.train_layers)
    return classifier


def choose_pooling(wanted: str, backbone: nn.Module) -> Pooling:
    """Gives how token vectors become one: 'auto' is the mean, and for a decoder, whose tokens see no further, the last.

    Raises:
        ConfigError: A decoder's first token, which has read nothing, shall stand for the text.
    """
    decoder = is_decoder(backbone)
    if decoder and wanted == "cls":
        raise ConfigError(
            "model.pooling=cls cannot go with a decoder: its first token has read nothing of the text.",
            "last, mean or max",
            "Leave model.pooling out.",
        )
    if wanted == "auto":
        return "last" if decoder else "mean"
    return cast(Pooling, wanted)


def check_layers(backbone: nn.Module, layers: Sequence[int] | None) -> None:
    """Checks that the backbone has the layers that shall be pooled.

    Raises:
        ConfigError: It has not.
    """
    if layers is None:
        return
    _, found = find_layers(backbone)
    if odd := [layer for layer in layers if not 0 <= layer <= len(found)]:
        raise ConfigError(
            f"model.layers names layer {odd[0]}, and the backbone has {len(found)}.",
            f"0 (word vectors) to {len(found)}",
            "Name layers that it has.",
        )
    if len(set(layers)) != len(layers):
        raise ConfigError("model.layers names a layer twice.", "each layer once", "Take it out.")
