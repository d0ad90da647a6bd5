"""An exported encoder that scores, by tokenizers and what runs ONNX alone: neither torch nor transformers is imported.

Texts of like length share a batch; which library runs them, and how many batches at once, `onnx_runtime.py` knows. It knows
neither label names nor files.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.errors import MissingExtraError
from smallprint.evaluation.calibration import sigmoid
from smallprint.modeling.batching import pad_arrays, plan_batches, plan_equal_batches, usable_cores
from smallprint.modeling.onnx_runtime import Runtime, open_model, unreadable
from smallprint.modeling.tokenizer import OVERLAP, Tokens
from smallprint.modeling.windows import combine_windows, place_windows

BATCH_SIZE = 64
CHUNK = 1024  # texts that are tokenized at once


class OnnxScorer:
    """A model in ONNX with its tokenizer, as a `Scorer`.

    Args:
        model: The content of a .onnx file: from `input_ids` and `attention_mask`, int64 `[n, length]`, to `logits` `[n, n_outputs]`.
        tokenizer: The content of a tokenizer.json.
        task: binary, multiclass or multilabel.
        n_outputs: Number of logits.
        max_length: In tokens; longer texts are cut and counted, or read in windows.
        windows: As for `EncoderScorer`.
        pad_id: Fills a batch up.
        empty_id: Stands for a text without any token.
        weights: fp32 or int8: how the model holds its matrices.
        runtime: What runs it.
        threads: Of one call; all cores that this process may use, when left out.

    Attributes:
        n_truncated: Texts that were cut so far.

    Raises:
        MissingExtraError: The runtime or tokenizers is not installed.
        BundleError: Model or tokenizer cannot be read.
    """

    def __init__(
        self,
        model: bytes,
        tokenizer: str,
        task: str,
        n_outputs: int,
        *,
        max_length: int,
        windows: bool = False,
        pad_id: int = 0,
        empty_id: int = 0,
        weights: str = "fp32",
        runtime: Runtime = "onnxruntime",
        threads: int | None = None,
    ) -> None:
        self.model, self.tokenizer_json, self.task, self.n_outputs = model, tokenizer, task, n_outputs
        self.max_length, self.windows, self.pad_id, self.empty_id = max_length, windows, pad_id, empty_id
        self.weights, self.runtime, self.n_truncated = weights, runtime, 0
        self._tokenizer = _open_tokenizer(tokenizer)
        self._model = open_model(model, runtime, threads or usable_cores())
        self._tokenizer.no_padding()
        stride = max_length // OVERLAP if windows else 0
        self._tokenizer.enable_truncation(max_length, stride=stride)
        self._lock = Lock()
        self._busy = 0  # calls under way
        self._pool: ThreadPoolExecutor | None = None  # of all calls: no core waits for the last batch of one of them
        self._cutter: Any = None  # made when a text is long

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`, as `EncoderScorer.score` does."""
        if not len(texts):
            return np.zeros((0, self.n_outputs), dtype=np.float32)
        tokens, opened = self._tokenize(texts), self._model
        logits = np.zeros((len(tokens.ids), self.n_outputs), dtype=np.float32)
        lengths = tokens.lengths
        if opened.padding:
            lengths = np.minimum(-(-lengths // opened.padding) * opened.padding, self.max_length)
        plan = plan_equal_batches if opened.padding else plan_batches
        batches = plan(lengths, opened.batch_tokens, BATCH_SIZE)
        with self._lock:
            self._busy += 1
            many = opened.at_once > 1 and (len(batches) > 1 or self._busy > 1)

        def run(batch: NDArray[np.int64]) -> None:
            ids, mask = pad_arrays([tokens.ids[i] for i in batch], self.pad_id, int(lengths[batch].max()))
            logits[batch] = opened.run(ids, mask, many)

        try:
            if many:
                list(self._workers().map(run, reversed(batches)))  # the longest first, so that all end together
            else:
                for batch in batches:
                    run(batch)
        finally:
            with self._lock:
                self._busy -= 1
        scores = scores_of(logits, self.task == "multiclass")
        if tokens.text_of is None or len(scores) == len(texts):
            return scores
        return combine_windows(scores, tokens.text_of, tokens.lengths, self.task == "multiclass")

    @property
    def at_once(self) -> int:
        """Calls that are best made side by side: while one is answered, the next keeps the cores busy."""
        return min(2, self._model.at_once)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Gives the windows in which a text can be read whole, as `EncoderScorer.spans` does."""
        if text.isascii() and len(text) < self.max_length - 2:
            return [(0, len(text))]
        with self._lock:
            if self._cutter is None:
                from tokenizers import Tokenizer

                self._cutter = Tokenizer.from_str(self.tokenizer_json)
                self._cutter.no_padding()
                self._cutter.enable_truncation(self.max_length, stride=self.max_length // OVERLAP)
        encoded = self._cutter.encode(text)
        return place_windows(text, [part.offsets for part in (encoded, *encoded.overflowing)])

    def _workers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._model.at_once, thread_name_prefix="batch")
            return self._pool

    def _tokenize(self, texts: Sequence[str]) -> Tokens:
        ids: list[NDArray[np.int32]] = []
        owners: list[int] = []
        cut = 0
        for start in range(0, len(texts), CHUNK):
            for i, encoded in enumerate(self._tokenizer.encode_batch_fast(list(texts[start : start + CHUNK]))):
                further = encoded.overflowing if len(encoded.ids) >= self.max_length else []
                cut += bool(further)
                for part in [encoded, *(further if self.windows else [])]:
                    ids.append(np.asarray(part.ids or [self.empty_id], dtype=np.int32))
                    owners.append(start + i)
        if self.windows:
            return Tokens(ids, 0, np.array(owners, dtype=np.int64))
        with self._lock:
            self.n_truncated += cut
        return Tokens(ids, cut)


def scores_of(logits: NDArray[np.float32], exclusive: bool) -> NDArray[np.float32]:
    """Gives scores of the shape of `logits`: a softmax where labels exclude each other, else sigmoids."""
    if exclusive:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)
    return np.asarray(sigmoid(logits), dtype=np.float32)


def _open_tokenizer(tokenizer: str) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtraError(
            "This bundle is in ONNX, and the package 'tokenizers' is not installed.",
            "tokenizers",
            "Install it: pip install 'smallprint[onnx]'.",
        ) from None
    try:
        return Tokenizer.from_str(tokenizer)
    except Exception as error:  # a plain exception of its own
        raise unreadable(error, "tokenizers") from None


__all__ = ["OnnxScorer", "scores_of"]
