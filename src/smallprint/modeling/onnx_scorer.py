"""An exported encoder that scores, by onnxruntime and tokenizers alone: neither torch nor transformers is imported.

Texts of like length share a batch, and batches are scored side by side, one for each core. It knows neither label names nor
files.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.errors import BundleError, MissingExtraError
from smallprint.evaluation.calibration import sigmoid
from smallprint.modeling.batching import pad_arrays, plan_batches, usable_cores
from smallprint.modeling.tokenizer import OVERLAP, Tokens
from smallprint.modeling.windows import combine_windows, place_windows

BATCH_SIZE, BATCH_TOKENS = 64, 256  # what a layer makes of more tokens falls out of a core's own cache
CHUNK = 1024  # texts that are tokenized at once
IDS, MASK, LOGITS = "input_ids", "attention_mask", "logits"
# joined to one operator, these steps take longer on a processor than one after the other, layer norms several times as long
SLOW = ["SkipLayerNormFusion", "BiasGeluFusion"]
# a core that waits in a loop for more to do is taken from another batch, or another process
SPINNING = "session.intra_op.allow_spinning"
# makes weights of 8 signed bits unsigned when a model is opened: products take more than twice as long, and cannot overflow
UNSIGNED = "session.x64quantprecision"


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
        threads: Of one call, and batches at once; all cores that this process may use, when left out.

    Attributes:
        n_truncated: Texts that were cut so far.

    Raises:
        MissingExtraError: onnxruntime or tokenizers is not installed.
        BundleError: One of the two cannot be read.
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
        threads: int | None = None,
    ) -> None:
        self.model, self.tokenizer_json, self.task, self.n_outputs = model, tokenizer, task, n_outputs
        self.max_length, self.windows, self.pad_id, self.empty_id = max_length, windows, pad_id, empty_id
        self.weights, self.n_truncated = weights, 0
        self.threads = threads or usable_cores()
        self._session, self._tokenizer = _open(model, tokenizer, self.threads)
        self._tokenizer.no_padding()
        stride = max_length // OVERLAP if windows else 0
        self._tokenizer.enable_truncation(max_length, stride=stride)
        self._lock = Lock()
        self._cutter: Any = None  # made when a text is long

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives scores in [0, 1], float32 `[n, n_outputs]`, in the order of `texts`, as `EncoderScorer.score` does."""
        if not len(texts):
            return np.zeros((0, self.n_outputs), dtype=np.float32)
        tokens = self._tokenize(texts)
        logits = np.zeros((len(tokens.ids), self.n_outputs), dtype=np.float32)

        def run(batch: NDArray[np.int64]) -> None:
            ids, mask = pad_arrays([tokens.ids[i] for i in batch], self.pad_id)
            logits[batch] = self._session.run([LOGITS], {IDS: ids, MASK: mask})[0]

        batches = plan_batches(tokens.lengths, BATCH_TOKENS, BATCH_SIZE)
        if len(batches) == 1 or self.threads == 1:
            for batch in batches:
                run(batch)
        else:
            with ThreadPoolExecutor(min(self.threads, len(batches))) as pool:
                list(pool.map(run, reversed(batches)))  # the longest first, so that all end together
        scores = scores_of(logits, self.task == "multiclass")
        if tokens.text_of is None or len(scores) == len(texts):
            return scores
        return combine_windows(scores, tokens.text_of, tokens.lengths, self.task == "multiclass")

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


def overflows(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Says whether sums of products of 8 bits may overflow in silence: on Intel's and AMD's processors without VNNI, or unknown ones."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        return "vnni" not in cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True


def _open(model: bytes, tokenizer: str, threads: int) -> tuple[Any, Any]:
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError(
            f"This bundle is in ONNX, and the package '{error.name}' is not installed.",
            "onnxruntime and tokenizers",
            "Install them: pip install 'smallprint[onnx]'.",
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    options.add_session_config_entry(SPINNING, "0")
    options.add_session_config_entry(UNSIGNED, str(int(overflows())))
    # lengths differ from batch to batch: a plan of memory for each of them would only grow
    options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOW
        )
        names = {part.name for part in session.get_inputs()}, {part.name for part in session.get_outputs()}
        if names != ({IDS, MASK}, {LOGITS}):
            raise ValueError(f"it goes from {sorted(names[0])} to {sorted(names[1])}")
        return session, Tokenizer.from_str(tokenizer)
    except Exception as error:  # both raise plain exceptions of their own
        raise BundleError(
            f"The model in ONNX or its tokenizer cannot be read ({str(error).strip().splitlines()[0][:160]}).",
            "what `smallprint export` wrote, and an onnxruntime that knows its operators",
            "Update onnxruntime, or export the model again.",
        ) from None


__all__ = ["OnnxScorer", "overflows", "scores_of"]
