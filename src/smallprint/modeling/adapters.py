"""What of a backbone is trained: all of it, low-rank adapters inside it (PEFT), or nothing.

In: a backbone. Out: the backbone with `requires_grad` set. The head is never wrapped, so it cannot be lost on saving.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from smallprint.core.config import LoraConfig, ModelConfig
from smallprint.core.errors import ConfigError
from smallprint.modeling.upper_layers import freeze_lower, upper_names

LORA = ("lora", "qlora")


def add_adapter(backbone: nn.Module, config: ModelConfig) -> nn.Module:
    """Gives the backbone prepared for `config.adapter`.

    Raises:
        ConfigError: LoRA finds none of `lora.target_modules`.
    """
    # a pooler that its own library trained for next-sentence prediction takes no part here
    for name, parameter in backbone.named_parameters():
        trained = config.adapter == "full" and not name.startswith("pooler.")
        parameter.requires_grad_(trained and parameter.is_floating_point())
    if config.adapter in LORA:
        return add_lora(backbone, config.lora, config.train_layers)
    if config.train_layers is not None:
        freeze_lower(backbone, config.train_layers)
    return backbone


def add_lora(backbone: nn.Module, lora: LoraConfig, n_trained: int | None = None) -> nn.Module:
    """Gives the backbone with untrained low-rank adapters inside.

    Args:
        backbone: A plain one.
        lora: Settings of the adapters.
        n_trained: How many layers, from the top, get adapters; all, and what stands outside of them, when left out.

    Raises:
        ConfigError: It has none of `lora.target_modules`, or no more than `n_trained` layers.
    """
    import peft

    # peft asks transformers by a name that is on its way out
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
    try:
        wrapped: nn.Module = peft.get_peft_model(
            backbone,
            peft.LoraConfig(
                r=lora.r,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=lora.target_modules,
                exclude_modules=_excluded(backbone, n_trained),
                use_rslora=lora.rslora,
                use_dora=lora.dora,
            ),
        )
    except ValueError as error:
        linear = sorted({n.rsplit(".", 1)[-1] for n, m in backbone.named_modules() if isinstance(m, nn.Linear)})
        raise ConfigError(
            f"LoRA cannot be placed on {lora.target_modules!r}: {str(error).splitlines()[0][:160]}",
            f"names among this backbone's linear layers: {', '.join(linear)}",
            "Set model.lora.target_modules=all-linear.",
        ) from None
    return wrapped


def _excluded(backbone: nn.Module, n_trained: int | None) -> str | None:
    """Gives the pattern of the modules that get no adapter: poolers, which take no part, and layers that are not trained."""
    if n_trained is not None:
        name, upper = upper_names(backbone, n_trained)
        return rf"(?!(.*\.)?{re.escape(name)}\.({'|'.join(upper)})\.).*"
    poolers = any("pooler" in name for name, _ in backbone.named_modules())
    return r".*pooler.*" if poolers else None


def merge_adapter(backbone: nn.Module) -> nn.Module:
    """Gives the plain backbone with its adapters' weights added in; any other backbone as it is.

    A merged model's forward pass costs what it cost before.
    """
    if not has_adapter(backbone):
        return backbone
    merging: Any = backbone
    merged: nn.Module = merging.merge_and_unload()
    return merged


def has_adapter(backbone: nn.Module) -> bool:
    """Gives whether low-rank adapters stand inside the backbone, unmerged."""
    return hasattr(backbone, "merge_and_unload")


def adapter_names(module: nn.Module) -> set[str]:
    """Gives the names of the adapters' own weights in a module's `state_dict`."""
    return {name for name in module.state_dict() if ".lora_" in name}


def base_weights(backbone: nn.Module) -> dict[str, Tensor]:
    """Gives the weights below the adapters by the names that they have without them.

    What merging would change is not copied: they are the backbone's own tensors.
    """
    prefix = "base_model.model."
    return {
        name.removeprefix(prefix).replace(".base_layer.", "."): tensor
        for name, tensor in backbone.state_dict().items()
        if ".lora_" not in name
    }


def share_base(base: nn.Module, lora: LoraConfig, n_trained: int | None = None) -> nn.Module:
    """Gives untrained adapters over a base whose weights they share with any others over it.

    Args:
        base: A plain backbone; it stays as it is, and holds the only copy of its weights.
        lora: Settings of the adapters.
        n_trained: As `add_lora` has it.
    """
    tensors = (*base.parameters(), *base.buffers())
    twin = copy.deepcopy(base, {id(tensor): tensor for tensor in tensors})  # modules are copied, tensors are not
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    return add_lora(twin, lora, n_trained)


def to_full_precision(
    backbone: nn.Module, load: Callable[[], nn.Module], lora: LoraConfig, n_trained: int | None = None
) -> nn.Module:
    """Gives adapters that were trained over four-bit weights, over the weights that these were rounded from.

    Args:
        backbone: With its adapters.
        load: Gives the backbone in full precision.
        lora: Settings of the adapters.
        n_trained: As `add_lora` has it.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    learned = {name: tensor.detach().float().cpu() for name, tensor in get_peft_model_state_dict(backbone).items()}
    whole = add_lora(load(), lora, n_trained)
    set_peft_model_state_dict(whole, learned)
    return whole


__all__ = [
    "LORA",
    "adapter_names",
    "add_adapter",
    "add_lora",
    "base_weights",
    "has_adapter",
    "merge_adapter",
    "share_base",
    "to_full_precision",
]
