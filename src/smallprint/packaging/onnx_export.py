"""From a fitted model to one that needs no torch. In: a scorer of any family. Out: a scorer whose encoders are in ONNX.

It compares nothing: whether the scores are near enough `smallprint.export` finds out.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from smallprint.core.errors import ExportError, MissingExtraError
from smallprint.core.progress import Say, say_nothing
from smallprint.modeling.backbone import use_attention
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.onnx_runtime import IDS, LOGITS, MASK, Runtime, import_openvino
from smallprint.modeling.onnx_scorer import OnnxScorer
from smallprint.modeling.scorer import Scorer
from smallprint.modeling.stack_scorer import StackScorer
from smallprint.modeling.tokenizer import padding_id, stand_in
from smallprint.packaging.onnx_graph import join_operators
from smallprint.packaging.onnx_int8 import round_graph
from smallprint.packaging.onnx_rows import lay_rows
from smallprint.packaging.onnx_weights import store_int8

OPSET = 18
MOST_BYTES = 2**31 - 2**20  # a .onnx file cannot be larger
EXAMPLE = (3, 17)  # texts and tokens of what is traced; odd numbers, so that none is taken for a size of the model
OPERATOR = re.compile(r"\b(?:aten|prims|torchvision|quantized)[.:]+\w+(?:\.\w+)?")


def has_encoder(scorer: Scorer) -> bool:
    """Says whether something in a scorer can be written in ONNX."""
    if isinstance(scorer, StackScorer):
        return any(has_encoder(model) for member in scorer.members for model in member.scorers)
    return isinstance(scorer, EncoderScorer)


def to_onnx(scorer: Scorer, weights: str = "fp32", say: Say = say_nothing, runtime: Runtime = "onnxruntime") -> Scorer:
    """Gives the same model with every encoder in ONNX; what needs no torch stays as it is, the scorer itself where nothing does.

    Args:
        scorer: Of a bundle.
        weights: fp32; int8 for matrices as whole numbers, their inputs rounded as they come; int8-spared, which keeps in fp32
            what loses most by it: products that narrow, and tables of vectors.
        say: Takes lines for a person.
        runtime: What shall run it.

    Raises:
        ExportError: An encoder cannot be written in ONNX; the operator is named where it can be told.
        MissingExtraError: The packages that write ONNX are not installed.
    """
    if isinstance(scorer, EncoderScorer):
        return _encoder(scorer, weights, runtime)
    if not isinstance(scorer, StackScorer) or not has_encoder(scorer):
        return scorer
    members = []
    for member in scorer.members:
        models = []
        for number, model in enumerate(member.scorers, start=1):
            say(f"Exporting {member.name}, model {number} of {len(member.scorers)}.")
            models.append(to_onnx(model, weights, runtime=runtime))
        members.append(replace(member, scorers=models))
    return StackScorer(members, scorer.stack)


def _encoder(scorer: EncoderScorer, weights: str, runtime: Runtime) -> OnnxScorer:
    tokenizer = getattr(scorer.tokenizer, "backend_tokenizer", None)
    if tokenizer is None:
        raise ExportError(
            f"The tokenizer is a {type(scorer.tokenizer).__name__}, which the package tokenizers cannot read.",
            "a fast tokenizer of Hugging Face",
            "Use the bundle itself, which needs torch.",
        )
    _check_packages(runtime)
    content = _export(scorer)
    spare = weights == "int8-spared"
    with _unheard():
        if runtime == "openvino":  # joins operators and rounds tokens itself
            content = content if weights == "fp32" else store_int8(content, LOGITS, spare)
        else:
            content = lay_rows(join_operators(content, getattr(scorer.classifier.backbone, "config", None)), IDS)
            content = content if weights == "fp32" else round_graph(content, LOGITS, spare)
    if len(content) > MOST_BYTES:
        raise ExportError(
            f"The model has {len(content) / 1e9:.1f} GB.", "at most 2.1 GB in one .onnx file", "Export it as onnx-int8."
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return OnnxScorer(
        content,
        tokenizer.to_str(),
        scorer.task,
        scorer.n_outputs,
        max_length=scorer.max_length,
        windows=scorer.windows,
        pad_id=padding_id(scorer.tokenizer),
        empty_id=stand_in(scorer.tokenizer),
        weights=weights.partition("-")[0],
        runtime=runtime,
    )


def _export(scorer: EncoderScorer) -> bytes:
    """Gives the classifier in ONNX, number of texts and of tokens left open."""
    classifier = scorer.classifier.cpu().eval()
    classifier.finish()
    use_attention(classifier.backbone, "eager")  # the fused kind hides its sums from those who make graphs faster
    length = min(EXAMPLE[1], scorer.max_length)
    ids = torch.full((EXAMPLE[0], length), stand_in(scorer.tokenizer))
    mask = torch.ones_like(ids)
    mask[1, length // 2 + 1 :] = 0
    open_ended = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with _unheard(), torch.inference_mode(False), torch.no_grad():
            program: Any = torch.onnx.export(
                classifier,
                (ids, mask),
                dynamo=True,
                input_names=[IDS, MASK],
                output_names=[LOGITS],
                dynamic_shapes={IDS: open_ended, MASK: open_ended},
                opset_version=OPSET,
                verbose=False,
            )
            model = program.model_proto
    except Exception as error:  # torch raises whatever its parts raise
        raise _cannot(classifier, error) from None
    finally:
        use_attention(classifier.backbone, "sdpa")
        classifier.to(scorer.device)
    del model.metadata_props[:]
    for node in model.graph.node:  # where in the source each came from: paths of this machine, and half of a small file
        del node.metadata_props[:]
        node.doc_string = ""
    content: bytes = model.SerializeToString()
    return content


def _cannot(classifier: Any, error: Exception) -> ExportError:
    kind = (
        getattr(getattr(classifier.backbone, "config", None), "model_type", None) or type(classifier.backbone).__name__
    )
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 10:
        chain.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    operators = dict.fromkeys(found for text in chain for found in OPERATOR.findall(text))
    why = (
        f"the operator {next(iter(operators))} stands in the way"
        if operators
        else chain[-1].strip().partition("\n")[0][:200]
    )
    return ExportError(
        f"The backbone '{kind}' cannot be exported to ONNX: {why}.",
        "a model whose operators all have a counterpart in ONNX",
        "Use the bundle itself, which needs torch, or train on another backbone.",
    )


def _check_packages(runtime: Runtime) -> None:
    if runtime == "openvino":
        import_openvino()
    needed = ["onnx", "onnxscript", "onnxruntime", "tokenizers"]
    for name in needed:
        try:
            __import__(name)
        except ImportError:
            raise MissingExtraError(
                f"The package '{name}' is not installed.",
                ", ".join(needed),
                "Install it: pip install 'smallprint[export]'.",
            ) from None


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Keeps what exporters print about themselves from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


__all__ = ["has_encoder", "to_onnx"]
