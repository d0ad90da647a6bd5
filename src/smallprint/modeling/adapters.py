"""What of a backbone is trained: all of it, low-rank adapters inside it (PEFT), or nothing.

In: an encoder. Out: the encoder with `requires_grad` set. The head is never wrapped, so it cannot be lost on saving.
"""

from __future__ import annotations

from torch import nn

from smallprint.core.config import ModelConfig
from smallprint.core.errors import ConfigError
from smallprint.modeling.upper_layers import freeze_lower


def add_adapter(backbone: nn.Module, config: ModelConfig) -> nn.Module:
    """Gives the backbone prepared for `config.adapter`.

    Raises:
        ConfigError: LoRA finds none of `lora.target_modules`.
    """
    # a pooler that its own library trained for next-sentence prediction takes no part here
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(config.adapter == "full" and not name.startswith("pooler."))
    if config.train_layers is not None:
        freeze_lower(backbone, config.train_layers)
    if config.adapter != "lora":
        return backbone
    from peft import LoraConfig, get_peft_model

    lora = config.lora
    try:
        wrapped: nn.Module = get_peft_model(
            backbone,
            LoraConfig(
                r=lora.r,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=lora.target_modules,
                exclude_modules=r".*pooler.*",
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


def merge_adapter(backbone: nn.Module) -> nn.Module:
    """Gives the plain backbone with its adapters' weights added in; any other backbone as it is.

    What is evaluated, saved and served is the merged model: one forward pass costs what it cost before.
    """
    from peft import PeftModel

    if not isinstance(backbone, PeftModel):
        return backbone
    merged: nn.Module = backbone.merge_and_unload()
    return merged
