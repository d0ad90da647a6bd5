"""Texts in, scores out. In: a classifier with its tokenizer, labels and thresholds, or a bundle. Out: arrays, in order.

It reads no tables and writes nothing. fp32 throughout; texts of like length share a batch, so that little is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smallprint.core.config import Config
from smallprint.core.errors import DataError
from smallprint.core.parts import Parts
from smallprint.core.results import Prediction
from smallprint.data.labels import LabelSet
from smallprint.modeling.backbone import use_attention
from smallprint.modeling.batching import pad_batch, plan_batches
from smallprint.modeling.classifier import TextClassifier
from smallprint.modeling.tokenizer import Tokens, tokenize
from smallprint.packaging.bundle import load_bundle

BATCH_SIZE = 256
BATCH_TOKENS = {"cuda": 8192, "cpu": 2048}


class Engine:
    """A model that answers: `score` gives numbers, `predict` gives labels too. May be called from several threads.

    Args:
        classifier: Switched to evaluation, fp32 and fused attention, and moved to a GPU where there is one.
        tokenizer: A Hugging Face tokenizer.
        labels: Task and label names.
        thresholds: `[n_outputs]`.
        max_length: In tokens; longer texts are cut and counted.
        batch_tokens: Most tokens of a batch, padding counted; if left out 8192 on a GPU and 2048 on a processor, whose
            caches hold no more (8192 took 1.4 times as long with MiniLM).
        config: Settings that it was trained with, where they are known.
        trained_on: Fingerprint of its training split, where it is known.

    Attributes:
        n_truncated: Texts that were cut so far.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        tokenizer: Any,
        labels: LabelSet,
        thresholds: NDArray[Any],
        *,
        max_length: int,
        batch_tokens: int | None = None,
        config: Config | None = None,
        trained_on: str | None = None,
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.classifier = classifier.float().to(self.device).eval()
        use_attention(self.classifier.backbone, "sdpa")
        self.tokenizer, self.labels, self.thresholds = tokenizer, labels, np.asarray(thresholds, dtype=np.float64)
        self.max_length, self.batch_tokens = max_length, batch_tokens or BATCH_TOKENS[self.device.type]
        self.config, self.trained_on = config, trained_on
        self.n_truncated = 0
        self._tokenizer_lock = Lock()

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`; columns are `labels.score_names`.

        Scores of independent labels are sigmoids, those of exclusive ones (multiclass) a softmax. A text's score moves
        by some 1e-7 with the texts that share its batch.

        Raises:
            DataError: Something that is not a text.
        """
        _check_texts(texts)
        scores = np.zeros((len(texts), self.labels.n_outputs), dtype=np.float32)
        if not len(texts):
            return scores
        tokens = self._tokenize(texts)
        pad_id = getattr(self.tokenizer, "pad_token_id", None) or 0
        with torch.inference_mode():
            for batch in plan_batches(tokens.lengths, self.batch_tokens, BATCH_SIZE):
                ids, mask = pad_batch([tokens.ids[i] for i in batch], pad_id)
                logits = self.classifier(ids.to(self.device), mask.to(self.device)).float()
                values = logits.softmax(dim=-1) if self.labels.task == "multiclass" else logits.sigmoid()
                scores[batch] = values.cpu().numpy()
        return scores

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Gives scores and, by the thresholds, labels; `label_names` names the columns of the scores.

        Raises:
            DataError: Something that is not a text.
        """
        scores = self.score(texts)
        return Prediction(self.labels.score_names, scores, self.labels.decode(scores, self.thresholds))

    def _tokenize(self, texts: Sequence[str]) -> Tokens:
        with self._tokenizer_lock:  # a fast tokenizer keeps the cut length inside, and refuses two callers at once
            tokens = tokenize(self.tokenizer, texts, self.max_length)
            self.n_truncated += tokens.n_truncated
        return tokens


def load_engine(folder: str | Path, parts: Parts | None = None) -> Engine:
    """Gives the engine of a bundle's folder.

    Raises:
        BundleError: The bundle is damaged, changed or too new, or has parts of its own that were not given.
    """
    bundle = load_bundle(folder, parts)
    return Engine(
        bundle.classifier,
        bundle.tokenizer,
        bundle.labels,
        bundle.thresholds,
        max_length=bundle.manifest["max_length"],
        config=bundle.config,
        trained_on=bundle.manifest["data"].get("fingerprints", {}).get("train"),
    )


def _check_texts(texts: Sequence[str]) -> None:
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


__all__ = ["Engine", "load_engine"]
