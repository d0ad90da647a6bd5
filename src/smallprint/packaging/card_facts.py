"""What a model card and a data sheet are made of. Plain values; nothing is read or written here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smallprint.core.config import Config
from smallprint.core.results import LabelMetrics
from smallprint.evaluation.intervals import Interval

EMBEDDED_CHECKPOINT = "sentence-transformers/all-MiniLM-L6-v2"  # what the package of the embedded encoder holds


@dataclass(frozen=True)
class CardFacts:
    """What a card is made of; what a bundle alone does not know may be missing.

    Attributes:
        name: Of the model.
        manifest: Of the bundle.
        config: Settings of the training.
        data_name: As the data was named, without its folder; empty where it is not known.
        labels: Test metrics of each label.
        intervals: By name of the measure, and `label:NAME`.
        leaked: Test examples whose text was learned from too; None where it is not known.
        baseline: Test score of the linear baseline by the leading measure, or None.
        findings: What `check` found, gravest first: severity and words; None where it is not known.
        seconds: Of the whole training.
        epochs: That were trained.
        versions: Of the packages.
        commit: Of the folder that the training was started in.
        repository: On the Hub, once it has one.
    """

    name: str
    manifest: Mapping[str, Any]
    config: Config
    data_name: str = ""
    labels: list[LabelMetrics] = field(default_factory=list)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    leaked: int | None = None
    baseline: float | None = None
    findings: list[tuple[str, str]] | None = None
    seconds: float | None = None
    epochs: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    repository: str | None = None

    @property
    def task(self) -> str:
        """binary, multiclass or multilabel."""
        return str(self.manifest["task"])

    @property
    def values(self) -> dict[str, float]:
        """Scores of test."""
        return dict(self.manifest["metrics"].get("test", {}))


def is_hub_name(backbone: str) -> bool:
    """Whether a backbone's name could be one of the Hub's, OWNER/NAME."""
    return bool(re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", backbone)) and not backbone.endswith(".gguf")


__all__ = ["EMBEDDED_CHECKPOINT", "CardFacts", "is_hub_name"]
