"""An encoder that scores: texts in, scores out, by way of tokens, batches and logits.

fp32 throughout; texts of like length share a batch, so that little is padding. It knows neither label names nor files.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smallprint.modeling.backbone import use_attention
from smallprint.modeling.batching import pad_batch, plan_batches
from smallprint.modeling.classifier import TextClassifier
from smallprint.modeling.tokenizer import OVERLAP, Tokens, padding_id, tokenize, tokenize_windows
from smallprint.modeling.windows import combine_windows, place_windows

BATCH_SIZE = 256
BATCH_TOKENS = {"cuda": 8192, "cpu": 2048}


class EncoderScorer:
    """A classifier with its tokenizer, as a `Scorer`.

    Args:
        classifier: Switched to evaluation, fp32 and fused attention, and moved to a GPU where there is one.
        tokenizer: A Hugging Face tokenizer.
        task: binary, multiclass or multilabel.
        n_outputs: Number of logits.
        max_length: In tokens; longer texts are cut and counted, or read in windows.
        batch_tokens: Most tokens of a batch, padding counted; if left out 8192 on a GPU and 2048 on a processor, whose
            caches hold no more (8192 took 1.4 times as long with MiniLM).
        windows: Longer texts are read whole, in overlapping windows: a label's score is the highest of them, and where
            labels exclude each other the geometric mean, weighed by length.

    Attributes:
        n_truncated: Texts that were cut so far.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        tokenizer: Any,
        task: str,
        n_outputs: int,
        *,
        max_length: int,
        batch_tokens: int | None = None,
        windows: bool = False,
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.classifier = classifier.float().to(self.device).eval()
        use_attention(self.classifier.backbone, "sdpa")
        self.tokenizer, self.task, self.n_outputs = tokenizer, task, n_outputs
        self.max_length, self.batch_tokens = max_length, batch_tokens or BATCH_TOKENS[self.device.type]
        self.windows, self.n_truncated = windows, 0
        self._tokenizer_lock = Lock()

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`.

        Scores of independent labels are sigmoids, those of exclusive ones (multiclass) a softmax. A text's score moves
        by some 1e-7 with the texts that share its batch.
        """
        if not len(texts):
            return np.zeros((0, self.n_outputs), dtype=np.float32)
        tokens = self._tokenize(texts)
        scores = self.score_tokens(tokens)
        if tokens.text_of is None or len(scores) == len(texts):
            return scores
        return combine_windows(scores, tokens.text_of, tokens.lengths, self.task == "multiclass")

    def score_tokens(self, tokens: Tokens) -> NDArray[np.float32]:
        """Gives scores, float32 `[n, n_outputs]`, of each row of token ids."""
        scores = np.zeros((len(tokens.ids), self.n_outputs), dtype=np.float32)
        pad_id = padding_id(self.tokenizer)
        with torch.inference_mode():
            for batch in plan_batches(tokens.lengths, self.batch_tokens, BATCH_SIZE):
                ids, mask = pad_batch([tokens.ids[i] for i in batch], pad_id)
                scores[batch] = self._scores(self.classifier(ids.to(self.device), mask.to(self.device)))
        return scores

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Gives the windows in which a text can be read whole, half-open, in characters; one where it is short enough.

        A slow tokenizer does not tell where its tokens stand: it gives one window, of which the end is cut.
        """
        if (text.isascii() and len(text) < self.max_length - 2) or not getattr(self.tokenizer, "is_fast", False):
            return [(0, len(text))]
        with self._tokenizer_lock:
            encoded = self.tokenizer(
                text,
                truncation=True,
                max_length=self.max_length,
                stride=self.max_length // OVERLAP,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
                return_attention_mask=False,
            )
        return place_windows(text, encoded["offset_mapping"])

    def score_vectors(self, vectors: torch.Tensor) -> NDArray[np.float32]:
        """Gives scores as `score` does, of what the classifier's `embed` gave for the texts, fp32 `[n, width]`."""
        with torch.inference_mode():
            return self._scores(self.classifier.head(vectors.to(self.device)))

    def _scores(self, logits: torch.Tensor) -> NDArray[np.float32]:
        values = logits.float().softmax(dim=-1) if self.task == "multiclass" else logits.float().sigmoid()
        scores: NDArray[np.float32] = values.cpu().numpy()
        return scores

    def _tokenize(self, texts: Sequence[str]) -> Tokens:
        with self._tokenizer_lock:  # a fast tokenizer keeps the cut length inside, and refuses two callers at once
            tokens = (tokenize_windows if self.windows else tokenize)(self.tokenizer, texts, self.max_length)
            self.n_truncated += tokens.n_truncated
        return tokens


__all__ = ["EncoderScorer"]
