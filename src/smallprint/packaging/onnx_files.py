"""An exported encoder's part of a bundle. In: an `OnnxScorer` or files. Out: files or the same again.

It checks no hashes: `bundle.py` has done that. Loading imports neither torch nor transformers.

    model.onnx       from token ids and mask to logits
    tokenizer.json   as the package `tokenizers` reads it
    golden.json      some texts with their scores, by which a processor that computes otherwise is found out
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from smallprint.core.errors import BundleError
from smallprint.core.files import write_json, write_text
from smallprint.data.labels import LabelSet
from smallprint.modeling.onnx_scorer import OnnxScorer
from smallprint.packaging.manifest import OnnxManifest, read_described, unreadable

ONNX, TOKENIZER, GOLDEN = "model.onnx", "tokenizer.json", "golden.json"
# no text of the training: golden texts are shipped. Of several lengths, so that several shapes are tried
GOLDEN_TEXTS = (
    "We may end your account at any time without notice.",
    "Thank you.",
    "You agree that any dispute will be settled by binding arbitration, and that the courts of Ireland have no say in it. "
    * 3,
    "1234 € ß 日本",
)
NEAR = {"fp32": 1e-3, "int8": 0.05}  # of a score; another order of sums moves int8 further, as values are rounded anew


class GoldenFile(BaseModel):
    """What golden.json must hold."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    texts: Annotated[list[str], Field(min_length=1, max_length=64)]
    scores: list[list[float]]


def save_onnx(folder: Path, scorer: OnnxScorer) -> dict[str, Any]:
    """Writes the exported model's files into the bundle's `folder` and gives what the manifest says of it."""
    (folder / ONNX).write_bytes(scorer.model)
    write_text(folder / TOKENIZER, scorer.tokenizer_json)
    scores = scorer.score(GOLDEN_TEXTS)
    write_json(folder / GOLDEN, {"texts": list(GOLDEN_TEXTS), "scores": scores.astype(float).tolist()})
    return {
        "family": "onnx",
        "max_length": scorer.max_length,
        "long_text": "windows" if scorer.windows else "cut",
        "pad_id": scorer.pad_id,
        "empty_id": scorer.empty_id,
        "weights": scorer.weights,
        "runtime": scorer.runtime,
        "versions": {name: version(name) for name in (scorer.runtime, "tokenizers")},
    }


def load_onnx(folder: Path, manifest: OnnxManifest, labels: LabelSet) -> OnnxScorer:
    """Gives the exported model of a bundle's folder, after it has scored the golden texts right.

    Raises:
        BundleError: A file cannot be read, or this machine computes other scores than the one that exported it.
        MissingExtraError: What runs it, or tokenizers, is not installed.
    """
    try:
        model, tokenizer = (folder / ONNX).read_bytes(), (folder / TOKENIZER).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(folder / ONNX, f"{type(error).__name__}.") from None
    scorer = OnnxScorer(
        model,
        tokenizer,
        labels.task,
        labels.n_outputs,
        max_length=manifest.max_length,
        windows=manifest.long_text == "windows",
        pad_id=manifest.pad_id,
        empty_id=manifest.empty_id,
        weights=manifest.weights,
        runtime=manifest.runtime,
    )
    _check_golden(folder, scorer)
    return scorer


def _check_golden(folder: Path, scorer: OnnxScorer) -> None:
    golden = read_described(folder / GOLDEN, GoldenFile)
    expected = np.array(golden.scores)
    if expected.shape != (len(golden.texts), scorer.n_outputs):
        raise unreadable(folder / GOLDEN, f"It has scores of shape {list(expected.shape)}.")
    # one by one: what many texts take is made ready when many come
    cut, found = scorer.n_truncated, np.concatenate([scorer.score([text]) for text in golden.texts])
    scorer.n_truncated = cut
    worst = float(np.abs(found - expected).max())
    if not worst <= NEAR[scorer.weights]:
        raise BundleError(
            f"{folder} gives other scores on this machine than where it was exported: they differ by up to {worst:.3f}.",
            f"at most {NEAR[scorer.weights]:g}",
            f"Some processors and versions of {scorer.runtime} compute int8 wrongly: update it, or export as fp32 (--to onnx)."
            if scorer.weights == "int8"
            else f"Update {scorer.runtime}, or export the model again on this machine.",
        )


__all__ = ["ONNX", "load_onnx", "save_onnx"]
