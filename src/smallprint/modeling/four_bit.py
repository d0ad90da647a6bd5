"""QLoRA's base (Dettmers et al. 2023): weights of four bits on a GPU. In: a name. Out: a backbone to put adapters on.

Only training goes over them; what is judged and shipped are the adapters over the weights in full precision.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from smallprint.core.errors import ConfigError, MissingExtraError


def four_bit_settings(backbone: str) -> dict[str, Any]:
    """Gives what `from_pretrained` needs to load weights as 4-bit normal floats, doubly quantised.

    Args:
        backbone: Its name.

    Raises:
        ConfigError: There is no GPU, or the backbone is a GGUF file, which the library rounds no second time.
        MissingExtraError: bitsandbytes is not installed.
    """
    if backbone.endswith(".gguf"):
        raise ConfigError(
            f"model.adapter=qlora cannot round the weights of {backbone}: a GGUF file is rounded already.",
            "a checkpoint of safetensors",
            "Set model.adapter=lora, or name a folder or a Hub name that holds safetensors.",
        )
    if not torch.cuda.is_available():
        raise ConfigError(
            "model.adapter=qlora needs a GPU, and this machine has none.",
            "a GPU: a processor multiplies no weights of four bits",
            "Set model.adapter=lora: the same adapters over weights in full precision.",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError(
            "model.adapter=qlora needs the package 'bitsandbytes', which is not installed.",
            "the extra 'qlora'",
            "pip install 'smallprint[qlora]', or set model.adapter=lora.",
        )
    from transformers import BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": settings, "device_map": {"": 0}}
