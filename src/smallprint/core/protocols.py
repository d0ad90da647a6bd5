"""Protocols: how somebody else trained, as settings. In: a name. Out: `section.key=value`, to stand below one's own settings.

What a protocol cannot say in settings stands in docs/lexglue-protocol.md.
"""

from __future__ import annotations

from smallprint.core.errors import ConfigError

# LexGLUE (Chalkidis et al. 2022), section 4.2 and its published script for UNFAIR-ToS
LEXGLUE = (
    "model.pooling=cls",
    "model.head=dense",
    "model.dropout=0.1",
    "model.max_length=128",
    "training.epochs=20",
    "training.patience=3",
    "training.monitor=lexglue_f1_micro",
    "training.learning_rate=3e-5",
    "training.head_learning_rate=3e-5",
    "training.weight_decay=0",
    "training.warmup_ratio=0",
    "training.gradient_clip=1.0",
    "training.averaging=0",
    "training.batch_size=8",
    "training.batch_tokens=1024",
    "evaluation.threshold=fixed",
)
PROTOCOLS = {"lexglue": LEXGLUE}


def find_protocol(name: str) -> tuple[str, ...]:
    """Gives a protocol's settings.

    Raises:
        ConfigError: There is no such protocol.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"There is no protocol '{name}'.", ", ".join(PROTOCOLS), "Name one of these.")
    return PROTOCOLS[name]


__all__ = ["PROTOCOLS", "find_protocol"]
