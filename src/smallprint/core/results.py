"""Results that cross a border between packages: plain frozen values, no behaviour beyond turning into a dict.

Arrays inside are NumPy; nothing here imports torch or polars.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class LabelMetrics:
    """One label's row: counts are numbers of examples, the rest is in [0, 1]."""

    label: str
    support: int
    predicted: int
    precision: float
    recall: float
    f1: float
    average_precision: float
    threshold: float


@dataclass(frozen=True)
class Metrics:
    """All metrics of one split, computed once over the whole of it.

    `values` maps a field-standard name (`f1_macro`, `average_precision_macro`, `lexglue_f1_macro`...) to a number;
    names ending in `_at_0.5` use threshold 0.5 for every label, the others the tuned thresholds. `leaked` examples have a text
    that the model was trained on, but for case, spaces and punctuation; `without_leaked` are the values of the others, where
    there are both.
    """

    split: str
    task: str
    n_examples: int
    values: dict[str, float]
    per_label: list[LabelMetrics]
    leaked: int = 0
    without_leaked: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True)
class ScoredSplit:
    """What a model said of one split, beside the truth: enough to compute any metric again.

    Shapes: `targets` int64 `[n]` (multiclass) or 0/1 int8 `[n, n_labels]` (binary has one column, multilabel all);
    `scores` float32 `[n, n_labels]` in [0, 1].
    """

    split: str
    task: str
    label_names: list[str]
    texts: list[str]
    targets: Array
    scores: Array


@dataclass(frozen=True)
class FitResult:
    """What training left behind.

    `history` has one dict an epoch: `epoch`, `train/loss`, `validation/...`; `best_epoch` counts from 0; `parts` has the seconds
    of the fit by what they went to, where Lightning fitted.
    """

    history: list[dict[str, float]]
    best_epoch: int
    steps: int
    stopped_early: bool
    timing: dict[str, float] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainResult:
    """Where a finished run put its things, and its metrics."""

    run: Path
    bundle: Path
    report: Path
    metrics_file: Path
    task: str
    label_names: list[str]
    validation: Metrics
    test: Metrics
    tracking_uri: str | None


@dataclass(frozen=True)
class Prediction:
    """Scores and decisions for a list of texts.

    Shapes: `scores` float32 `[n, n_labels]`; `labels` one list of label names per text (one name for binary and multiclass);
    `decisions` one of 'cleared', 'flagged' and 'person' per text, or None where the model has no policy.
    """

    label_names: list[str]
    scores: Array
    labels: list[list[str]]
    decisions: list[str] | None = None


__all__ = ["Array", "FitResult", "LabelMetrics", "Metrics", "Prediction", "ScoredSplit", "TrainResult"]
