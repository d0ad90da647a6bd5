"""Texts in, scores and labels out. In: a scorer with its labels and thresholds, or a bundle. Out: arrays, in order.

It reads no tables and writes nothing, and is the same for every family of models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smallprint.core.config import Config
from smallprint.core.errors import DataError
from smallprint.core.parts import Parts
from smallprint.core.results import Prediction
from smallprint.data.labels import LabelSet
from smallprint.evaluation.calibration import Calibration
from smallprint.evaluation.policy import Policy
from smallprint.modeling.scorer import Cuts, Scorer
from smallprint.packaging.bundle import find_bundle, load_bundle


class Asked(Protocol):
    """What reads documents asks of an engine, so that another may stand between."""

    labels: LabelSet

    @property
    def max_length(self) -> int | None:
        """As the engine's."""

    @property
    def n_truncated(self) -> int:
        """As the engine's."""

    @property
    def windows(self) -> bool:
        """As the engine's."""

    def predict(self, texts: Sequence[str], /) -> Prediction:
        """As the engine's."""

    def decide(self, scores: NDArray[np.float32], /) -> Prediction:
        """As the engine's."""

    def spans(self, text: str, /) -> list[tuple[int, int]]:
        """As the engine's."""

    def score(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """As the engine's."""


class Engine:
    """A model that answers: `score` gives numbers, `predict` gives labels too. May be called from several threads.

    Args:
        scorer: Gives the scores.
        labels: Task and label names.
        thresholds: `[n_outputs]`, for calibrated scores where there is a calibration.
        calibration: Applied to what the scorer gives; None leaves it as it is.
        config: Settings that it was trained with, where they are known.
        trained_on: Fingerprint of its training split, where it is known.
        policy: What the model may decide alone; None says nothing of that.
        known_texts: Hashes of the texts that it was trained on, where they are known.
        version: What tells its weights from others': the hash of the bundle's files.
    """

    def __init__(
        self,
        scorer: Scorer,
        labels: LabelSet,
        thresholds: NDArray[Any],
        *,
        calibration: Calibration | None = None,
        config: Config | None = None,
        trained_on: str | None = None,
        policy: Policy | None = None,
        known_texts: NDArray[np.uint64] | None = None,
        version: str = "",
    ) -> None:
        self.scorer, self.labels, self.thresholds = scorer, labels, np.asarray(thresholds, dtype=np.float64)
        self.calibration, self.config, self.trained_on, self.policy = calibration, config, trained_on, policy
        self.known_texts, self.version = known_texts, version

    @property
    def max_length(self) -> int | None:
        """Longest input in tokens; None where texts are read whole."""
        return self.scorer.max_length

    @property
    def n_truncated(self) -> int:
        """Texts that were cut so far."""
        return self.scorer.n_truncated

    @property
    def at_once(self) -> int:
        """Calls that are best made side by side."""
        return int(getattr(self.scorer, "at_once", 1))

    @property
    def windows(self) -> bool:
        """Whether long texts are read whole by `score` too, in windows."""
        return bool(getattr(self.scorer, "windows", True))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Gives the windows in which a text can be read whole, half-open, in characters; one where it is short enough."""
        return self.scorer.spans(text) if isinstance(self.scorer, Cuts) else [(0, len(text))]

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`; columns are `labels.score_names`.

        They are calibrated where the engine has a calibration; `scorer.score` gives them as the model does.

        Raises:
            DataError: Something that is not a text; where there is a calibration, also scores that are not finite.
        """
        check_texts(texts)
        scores = self.scorer.score(texts)
        return scores if self.calibration is None else self.calibration.apply(scores)

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Gives scores, labels by the thresholds, and by the policy, where there is one, decisions and the labels that go with them.

        `label_names` names the columns of the scores.

        Raises:
            DataError: Something that is not a text.
        """
        return self.decide(self.score(texts))

    def decide(self, scores: NDArray[np.float32]) -> Prediction:
        """Gives what follows from scores `[n, n_outputs]`, as `predict` does."""
        decisions = None if self.policy is None else self.policy.decide(scores)
        # labels that exclude each other have nothing to clear
        if self.policy is None or decisions is None or self.labels.task == "multiclass":
            labels = self.labels.decode(scores, self.thresholds)
        else:
            labels = self.labels.decode_targets(self.policy.labels(scores, self.thresholds, decisions))
        return Prediction(
            self.labels.score_names, scores, labels, None if decisions is None else [*map(str, decisions)]
        )


def load_engine(folder: str | Path, parts: Parts | None = None) -> Engine:
    """Gives the engine of a bundle's folder.

    Raises:
        BundleError: The bundle is damaged, changed or too new, or has parts of its own that were not given.
    """
    bundle = load_bundle(folder, parts)
    return Engine(
        bundle.scorer,
        bundle.labels,
        bundle.thresholds,
        calibration=bundle.calibration,
        config=bundle.config,
        trained_on=bundle.manifest["data"].get("fingerprints", {}).get("train"),
        policy=bundle.policy,
        known_texts=bundle.known_texts,
        version=hashlib.sha256(json.dumps(bundle.manifest["files"], sort_keys=True).encode()).hexdigest(),
    )


def open_model(model: str | Path | Engine, parts: Parts | None = None) -> Engine:
    """Gives the engine of what a command calls MODEL: folder of a bundle or run, NAME@ALIAS, or an engine itself.

    Raises:
        BundleError: As for `find_bundle` and `load_engine`.
    """
    return model if isinstance(model, Engine) else load_engine(find_bundle(model), parts)


def check_texts(texts: Sequence[str]) -> None:
    """Refuses what is no text.

    Raises:
        DataError: One string in place of a list, something that is not a string, or half of a character.
    """
    if isinstance(texts, str):
        raise DataError("One string was given.", "a list of texts", "Put it in a list: [text].")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"The text at index {index} is a {type(text).__name__}.",
                "a string",
                "Leave it out, or turn it into text.",
            )
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise DataError(
                f"The text at index {index} holds half of a character (a lone surrogate).",
                "text that UTF-8 can hold",
                "Repair it with text.encode('utf-8', 'replace').decode().",
            )


__all__ = ["Asked", "Engine", "check_texts", "load_engine", "open_model"]
