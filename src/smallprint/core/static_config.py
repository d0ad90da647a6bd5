"""Settings of a static model: tables of words and pairs of words. A section of `ModelConfig`; it builds nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from smallprint.core.section import Section


class StaticConfig(Section):
    """Tables of words and pairs of words, for very many texts."""

    encoder: str = Field(
        "minilm",
        min_length=1,
        description="What knows words that train does not have: a backbone, each word of whose vocabulary is read once in "
        "training, or 'none'.",
    )
    cost: float = Field(1.0, gt=0, description="Cost of an example on the wrong side of the SVM's margin (C).")
    class_weights: Literal["balanced", "none"] = Field("balanced", description="Weigh rare labels up.")
