"""The upper layers of an encoder alone: hidden states in, token vectors out, with weights that the whole encoder shares.

Where the layers below are not trained, each text passes them once; every epoch then costs the upper layers only.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from smallprint.core.errors import ConfigError


def find_layers(backbone: nn.Module) -> tuple[str, nn.ModuleList]:
    """Gives the name and the list of an encoder's layers, lowest first.

    Raises:
        ConfigError: There is no list of as many modules as its config has layers.
    """
    count = getattr(getattr(backbone, "config", None), "num_hidden_layers", None)
    for name, module in backbone.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    raise ConfigError(
        "The layers of this backbone cannot be told apart.",
        "one list of layers, as many as num_hidden_layers in its config",
        "Leave model.train_layers out.",
    )


def freeze_lower(backbone: nn.Module, n_trained: int) -> None:
    """Leaves a gradient to the uppermost `n_trained` layers alone.

    Raises:
        ConfigError: The backbone has no more layers than that, or they cannot be found.
    """
    _, upper = upper_names(backbone, n_trained)
    layers = find_layers(backbone)[1]
    backbone.requires_grad_(False)
    for index in upper:
        layers[int(index)].requires_grad_(True)


def upper_names(backbone: nn.Module, n_trained: int) -> tuple[str, list[str]]:
    """Gives the name of the list of layers, and the names in it of the uppermost `n_trained`.

    Raises:
        ConfigError: The backbone has no more layers than that, or they cannot be found.
    """
    name, layers = find_layers(backbone)
    if n_trained >= len(layers):
        raise ConfigError(
            f"model.train_layers is {n_trained}, and the backbone has {len(layers)} layers.",
            f"1 to {len(layers) - 1}",
            "Leave it out to train all of them.",
        )
    return name, [str(index) for index in range(len(layers) - n_trained, len(layers))]


class UpperLayers(nn.Module):
    """An encoder whose `input_ids` are the hidden states that its lower layers would give.

    Args:
        backbone: The whole encoder; the layers that are kept are its own modules, so training these trains it.
        n_kept: How many layers, from the top.
    """

    def __init__(self, backbone: nn.Module, n_kept: int) -> None:
        super().__init__()
        name, layers = find_layers(backbone)
        self._entry = _Entry(layers[0])
        self._whole = (backbone,)  # in a tuple: its weights shall not stand here a second time
        # a view of the encoder: copied along the way to its list of layers, everything else shared
        self.view = _copy_module(backbone)
        parent = self.view
        *path, last = name.split(".")
        for part in path:
            child = _copy_module(getattr(parent, part))
            setattr(parent, part, child)
            parent = child
        setattr(parent, last, nn.ModuleList([self._entry, *layers[len(layers) - n_kept :]]))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **more: Any) -> Tensor:
        """Gives token vectors `[n, length, width]` for hidden states `[n, length, width]`; `more` is the backbone's own."""
        self._entry.hidden = input_ids
        words = torch.zeros(input_ids.shape[:2], dtype=torch.long, device=input_ids.device)
        try:
            output = self.view(input_ids=words, attention_mask=attention_mask, **more)
        finally:
            self._entry.hidden = None
        tokens: Tensor = getattr(output, "last_hidden_state", output)
        return tokens

    def set_attn_implementation(self, implementation: str) -> None:
        """Switches the whole encoder's attention, where it has that choice; see `use_attention`."""
        getattr(self._whole[0], "set_attn_implementation")(implementation)  # noqa: B009 - not every module has it

    def take_form(self, as_tuple: bool) -> None:
        """Says whether the encoder's layers give a tuple: the entry has to do as they do."""
        self._entry.as_tuple = as_tuple


class LowerLayers:
    """Reads texts up to a layer, and no further.

    Args:
        backbone: The whole encoder, in evaluation mode.
        n_read: How many layers, from the bottom.
    """

    def __init__(self, backbone: nn.Module, n_read: int) -> None:
        self.backbone, self.last = backbone, find_layers(backbone)[1][n_read - 1]
        self.as_tuple = False

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, **more: Any) -> Tensor:
        """Gives hidden states `[n, length, width]` of token ids and their mask, int64 `[n, length]`; `more` is the backbone's own."""
        kept: list[Tensor] = []

        def stop(module: nn.Module, given: Any, output: Any) -> None:
            self.as_tuple = isinstance(output, tuple)
            kept.append(output[0] if self.as_tuple else output)
            raise _ReadError

        hook = self.last.register_forward_hook(stop)
        try:
            self.backbone(input_ids=input_ids, attention_mask=attention_mask, **more)
        except _ReadError:
            pass
        finally:
            hook.remove()
        return kept[0]


class _ReadError(Exception):
    """Ends a pass at the layer that was asked for."""


class _Entry(nn.Module):
    """Stands for the lower layers: gives what it was told, whatever comes in."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.hidden: Tensor | None = None
        self.as_tuple = False
        self._layer = (layer,)  # in a tuple: no weights of its own

    def __getattr__(self, name: str) -> Any:
        """Gives what encoders ask of their layers, such as the kind of attention, as a layer would."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_layer"][0], name)

    def forward(self, *given: Any, **named: Any) -> Any:
        """Gives the hidden states, in the form that the encoder's layers have."""
        return (self.hidden,) if self.as_tuple else self.hidden


def _copy_module(module: nn.Module) -> nn.Module:
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin


__all__ = ["LowerLayers", "UpperLayers", "find_layers", "freeze_lower", "upper_names"]
