"""Own parts: five named slots for objects of your own. In: objects, or "package.module:Name". Out: the object.

No registry: what stands in a setting is either a built-in's name, which its own module knows, or an import path.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smallprint.core.errors import ConfigError


@dataclass(frozen=True)
class Parts:
    """Objects that stand in for built-in parts; None keeps the one that the settings name.

    Attributes:
        reader: `reader(data) -> Source`, instead of `smallprint.data.read.open_source`.
        tokenizer: `tokenizer(texts, max_length) -> list of id arrays` with `save_pretrained` (a Hugging Face fast tokenizer).
        backbone: A `torch.nn.Module` called with `input_ids`, `attention_mask`, giving token vectors `[n, length, width]`.
        head: `head(width, n_outputs) -> torch.nn.Module` from `[n, width]` to logits `[n, n_outputs]`.
        loss: `loss(logits, targets) -> scalar tensor`.
    """

    reader: Callable[..., Any] | None = None
    tokenizer: Any | None = None
    backbone: Any | None = None
    head: Callable[[int, int], Any] | None = None
    loss: Callable[[Any, Any], Any] | None = None


def import_part(path: str, slot: str) -> Any:
    """Gives the object at "package.module:Name".

    Raises:
        ConfigError: The path has another form, or there is no such module or name.
    """
    module_name, sign, name = path.partition(":")
    if not sign:
        raise ConfigError(
            f"'{path}' is not a {slot}.", "a built-in's name or 'package.module:Name'", "Check the setting."
        )
    try:
        return getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The {slot} '{path}' cannot be imported: there is no module '{error.name}'.",
            "a module that Python can import",
            "Install it, or put its folder on PYTHONPATH.",
        ) from None
    except AttributeError:
        raise ConfigError(
            f"The module '{module_name}' has no '{name}'.", f"a {slot} of that name", "Check the spelling."
        ) from None
