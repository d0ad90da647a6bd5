"""How far scores are shares, and how to make them so. In: targets and scores. Out: errors, or a `Calibration`.

A calibrated score of 0.8 is right four times in five. A `Calibration` is fitted on scores of examples that the model was
not trained on (validation, or out of fold) and never changes which of two scores of one label is the higher. It tunes no
thresholds: those belong to the scores that they were tuned on, so tune them after applying it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from smallprint.core.errors import ConfigError, DataError
from smallprint.core.results import Array
from smallprint.evaluation.checks import check_arrays, check_scores

CLIP = 1e-7
"""Scores are kept this far from 0 and 1 before a logarithm: float32 cannot tell 1 from less than that apart."""
SHRINKAGE = 4.0
"""Strength of the pull on slope and intercept, as of a normal prior with standard deviation 1 / sqrt(4) = 0.5."""
SLOPES = (0.05, 20.0)
"""Lowest and highest slope that is fitted; above 0, so that no ranking turns round."""


class ReliabilityBin(NamedTuple):
    """One point of a reliability plot: mean score and share of true targets, both in [0, 1], of `entries` (example, label) pairs."""

    mean_score: float
    share_true: float
    entries: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """Turns scores into calibrated ones: slope x logit + intercept of each label (softmax for multiclass).

    `slope` and `intercept` are float64 `[n_outputs]`. Multiclass has one temperature T: every slope is 1 / T, on the
    logarithms of the scores, and every intercept 0.

    Raises:
        DataError: Unknown task, lengths that do not fit, numbers that are not finite, slopes that are not above 0,
            several temperatures.
    """

    task: str
    slope: Array
    intercept: Array

    def __post_init__(self) -> None:
        try:
            slope, intercept = (np.array(part, dtype=np.float64) for part in (self.slope, self.intercept))
        except (TypeError, ValueError):
            raise _unusable("holds something else than numbers") from None
        if self.task not in ("binary", "multiclass", "multilabel"):
            raise _unusable(f"is for the task {self.task!r}")
        fits = slope.ndim == 1 and slope.shape == intercept.shape and slope.size > 0
        if not fits or (self.task == "binary" and slope.size != 1):
            raise _unusable(f"has slopes {list(slope.shape)}, intercepts {list(intercept.shape)} for {self.task}")
        if not (np.isfinite(slope).all() and np.isfinite(intercept).all() and (slope > 0).all()):
            raise _unusable(f"has slopes {slope.tolist()} and intercepts {intercept.tolist()}")
        if self.task == "multiclass" and ((slope != slope[0]).any() or intercept.any()):
            raise _unusable("has several slopes, or intercepts, for a multiclass task")
        object.__setattr__(self, "slope", slope)
        object.__setattr__(self, "intercept", intercept)

    @classmethod
    def identity(cls, task: str, n_outputs: int) -> Calibration:
        """The calibration that leaves scores as they are."""
        return cls(task, np.ones(n_outputs), np.zeros(n_outputs))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """The calibration that `to_dict` wrote; a `DataError` where a part is missing or cannot be used (see the class)."""
        missing = [name for name in ("task", "slope", "intercept") if name not in values]
        if missing:
            raise _unusable(f"has no {', '.join(missing)}")
        return cls(values["task"], values["slope"], values["intercept"])

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {"task": self.task, "slope": self.slope.tolist(), "intercept": self.intercept.tolist()}

    def apply(self, scores: Array) -> Array:
        """Calibrated scores, float32 `[n, n_outputs]` in [0, 1]; float32 may make near scores equal, never swap them.

        Args:
            scores: `[n, n_outputs]` in [0, 1].

        Raises:
            DataError: Another number of columns, scores that are not finite or outside [0, 1].
        """
        scores = np.asarray(scores)
        if scores.ndim != 2 or scores.shape[1] != self.slope.size:
            found = f"Scores have shape {list(scores.shape)}."
            raise DataError(found, f"shape [n, {self.slope.size}]", "Use the calibration of these labels.")
        if scores.size:
            check_scores(scores)
        given = np.clip(scores.astype(np.float64), 0.0, 1.0)
        if self.task == "multiclass":
            logits = np.log(np.maximum(given, CLIP)) * self.slope
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            calibrated = powers / powers.sum(axis=1, keepdims=True)
        else:
            calibrated = sigmoid(logits_of(given) * self.slope + self.intercept)
        # Where nothing changes, the way there and back must not move a score across a threshold.
        unchanged = (self.slope == 1) & (self.intercept == 0)
        return np.where(unchanged, given, calibrated).astype(np.float32)


def choose_calibration(
    targets: Array, scores: Array, task: str, method: Literal["none", "platt"]
) -> Calibration | None:
    """A calibration by the method that `evaluation.calibration` names; see `fit_calibration`.

    None for "none", and where positives are too few for any.
    """
    if method == "none":
        return None
    fitted = fit_calibration(targets, scores, task)
    return None if (fitted.slope == 1).all() and (fitted.intercept == 0).all() else fitted


def fit_calibration(targets: Array, scores: Array, task: str, minimum_positives: int = 20) -> Calibration:
    """A calibration fitted on these examples: Platt scaling of each label, or one temperature (multiclass).

    Platt (1999): logistic regression on the logit of the score, with targets smoothed to (N+ + 1) / (N+ + 2) and
    1 / (N- + 2). Slope and intercept of a label are pulled (L2) towards those fitted on all labels together, which are
    themselves pulled towards slope 1 and intercept 0. A label with few positives takes those of all together; where
    even all together have few, scores stay as they are. Temperature scaling (Guo et al. 2017, ICML) minimises the
    negative log-likelihood. The trap: on examples that the model was trained on it makes scores overconfident.

    Args:
        targets: Ids `[n]` (multiclass) or 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]` in [0, 1]; exactly 0 and 1 are allowed.
        task: "binary", "multiclass" or "multilabel".
        minimum_positives: Fewest positives from which a label is fitted on its own; unused for multiclass.

    Raises:
        DataError: Arrays that do not fit (see `check_arrays`).
    """
    targets, scores = np.asarray(targets), np.asarray(scores)
    check_arrays(targets, scores, task)
    n_outputs = scores.shape[1]
    if task == "multiclass":
        return Calibration(task, np.full(n_outputs, _inverse_temperature(targets, scores)), np.zeros(n_outputs))
    positives = np.count_nonzero(targets, axis=0)
    if positives.sum() < minimum_positives:
        return Calibration.identity(task, n_outputs)
    logits = logits_of(scores)
    together = _platt(targets.ravel(), logits.ravel(), np.array([1.0, 0.0]))
    fitted = np.tile(together, (n_outputs, 1))
    if n_outputs > 1:  # one label is all labels together
        for k in np.flatnonzero(positives >= minimum_positives):
            fitted[k] = _platt(targets[:, k], logits[:, k], together)
    return Calibration(task, fitted[:, 0], fitted[:, 1])


def reliability(targets: Array, scores: Array, bins: int = 15) -> list[ReliabilityBin]:
    """Bins with about equally many entries, from low scores to high; empty ones are left out.

    Equal scores share a bin, the one that the middle of their ranks falls into, so the order of rows changes nothing.

    Args:
        targets: 0/1 `[n]` or `[n, n_labels]`; columns are taken together.
        scores: In [0, 1], of the same shape.
        bins: How many bins, at most.

    Raises:
        ConfigError: Fewer than one bin.
        DataError: Arrays that do not fit (see `check_arrays`).
    """
    if bins < 1:
        raise ConfigError(f"There are {bins} bins.", "at least 1", "Pass a larger number of bins.")
    targets, scores = _flat(targets, scores)
    values, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    positives = np.bincount(places, weights=targets)
    twice_middle = 2 * np.cumsum(counts) - counts  # in whole numbers: a rank on an edge is rounded alike everywhere
    which = bins * twice_middle // (2 * scores.size)
    total, score_sum, true = (np.bincount(which, weights=part) for part in (counts, counts * values, positives))
    full = np.flatnonzero(total)
    return [ReliabilityBin(float(score_sum[b] / total[b]), float(true[b] / total[b]), int(total[b])) for b in full]


def adaptive_ece(targets: Array, scores: Array, bins: int = 15) -> float:
    """Expected calibration error over bins of equal mass, in [0, 1]: mean |share true - mean score| over all entries.

    Bins of equal mass are from Nguyen & O'Connor (2015, EMNLP), the absolute difference is that of Nixon et al. (2019,
    CVPR workshops); columns are flattened into one. Even perfect scores have an error above 0, of the size of chance
    in a bin. Arguments and errors are those of `reliability`.

    >>> adaptive_ece(np.array([0, 1, 1, 1]), np.array([0.25, 0.25, 0.75, 0.75]), bins=2)
    0.25
    """
    found = reliability(targets, scores, bins)
    return sum(b.entries * abs(b.share_true - b.mean_score) for b in found) / sum(b.entries for b in found)


def brier(targets: Array, scores: Array) -> float:
    """Mean squared difference of score and 0/1 target over all entries, in [0, 1] (Brier 1950); arrays as above."""
    targets, scores = _flat(targets, scores)
    return float(((scores - targets) ** 2).mean())


def logits_of(scores: Array) -> Array:
    """Logits log(s / (1 - s)), float64, of scores kept `CLIP` away from 0 and 1."""
    kept = np.clip(scores.astype(np.float64), CLIP, 1 - CLIP)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def sigmoid(logits: Array) -> Array:
    """Scores 1 / (1 + exp(-logit)), float64, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))


def _platt(targets: Array, logits: Array, towards: Array) -> Array:
    """Slope and intercept, float64 `[2]`, for targets and logits `[n]`; a convex problem, so its start is no matter."""
    from scipy.optimize import minimize

    positive = targets.astype(bool)
    hits = np.count_nonzero(positive)
    smoothed = np.where(positive, (hits + 1) / (hits + 2), 1 / (positive.size - hits + 2))

    def loss(at: Array) -> tuple[float, Array]:
        raw, off = at[0] * logits + at[1], at - towards
        wrong = sigmoid(raw) - smoothed
        value = (np.logaddexp(0.0, raw) - smoothed * raw).sum() + SHRINKAGE / 2 * (off**2).sum()
        gradient = np.array([wrong @ logits, wrong.sum()]) + SHRINKAGE * off
        return value / positive.size, gradient / positive.size

    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000}
    found = minimize(loss, towards, jac=True, method="L-BFGS-B", bounds=[SLOPES, (None, None)], options=options)
    return np.asarray(found.x)


def _inverse_temperature(targets: Array, scores: Array) -> float:
    """The factor of log-scores `[n, n_labels]` with the least negative log-likelihood of ids `[n]`."""
    from scipy.optimize import minimize_scalar

    logs = np.log(np.clip(scores.astype(np.float64), CLIP, 1.0))
    # Relative to the true label's: the likelihood of all is then the sum of -log sum exp, with no number cancelled out.
    apart = logs - logs[np.arange(logs.shape[0]), targets.astype(np.int64)][:, None]

    def loss(log_slope: float) -> float:
        return float(np.logaddexp.reduce(np.exp(log_slope) * apart, axis=1).mean())

    found = minimize_scalar(loss, bounds=np.log(SLOPES), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x)) if loss(found.x) < loss(0.0) else 1.0  # where nothing is gained, nothing changes


def _flat(targets: Array, scores: Array) -> tuple[Array, Array]:
    targets, scores = np.asarray(targets), np.asarray(scores)
    if targets.ndim == scores.ndim == 1:
        targets, scores = targets[:, None], scores[:, None]
    check_arrays(targets, scores, "multilabel")
    return targets.ravel(), scores.ravel().astype(np.float64)


def _unusable(found: str) -> DataError:
    wanted = "one finite slope above 0 and one finite intercept a score column"
    return DataError(f"The calibration {found}.", wanted, "Fit it again, or write it with to_dict.")
