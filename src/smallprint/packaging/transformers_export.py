"""A model as transformers' own classifier. In: an encoder's scorer. Out: a plain `AutoModelForSequenceClassification`.

Those classes read the first token through a dense layer with tanh; a model of another form has no place there, and is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smallprint.core.errors import ExportError
from smallprint.data.labels import LabelSet
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.heads import DenseHead
from smallprint.modeling.scorer import Scorer
from smallprint.modeling.sources import quiet

POOLED = ("bert",)  # a pooler in the backbone, an affine layer behind it
BATCH = 32
HEADED = ("roberta", "xlm-roberta", "camembert", "longformer")  # both in the classifier


def to_transformers(scorer: Scorer, labels: LabelSet) -> tuple[Any, Any]:
    """Gives model and tokenizer, ready for `save_pretrained`.

    Raises:
        ExportError: The model is not of a form that transformers' classifiers have.
    """
    if not isinstance(scorer, EncoderScorer):
        raise _no_place(f"This is a {type(scorer).__name__.removesuffix('Scorer')}, and no single encoder.")
    if scorer.windows:
        raise ExportError(
            "The model reads long texts in overlapping windows (model.long_text=windows), and transformers' classes cut them.",
            "model.long_text=cut",
            "Export it with --to onnx, which reads windows too.",
        )
    classifier = scorer.classifier
    classifier.finish()
    kind = getattr(getattr(classifier.backbone, "config", None), "model_type", "an own backbone")
    if kind not in POOLED + HEADED:
        raise _no_place(f"The backbone is '{kind}'.")
    if classifier.pooling != "cls" or classifier.layers is not None:
        raise _no_place(
            f"The model reads its tokens by {classifier.pooling}, and transformers' classifier the first alone."
        )
    if not isinstance(classifier.head, DenseHead):
        raise _no_place(f"The head is a {type(classifier.head).__name__}.")
    from transformers import AutoModelForSequenceClassification

    config: Any = copy.deepcopy(classifier.backbone.config)
    names = list(labels.score_names)
    config.num_labels = len(names)
    config.id2label, config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    config.problem_type = "single_label_classification" if labels.task == "multiclass" else "multi_label_classification"
    with quiet(), torch.random.fork_rng(devices=[]):
        model = AutoModelForSequenceClassification.from_config(config).float().eval()
    weights = {name: weight.detach().cpu() for name, weight in classifier.backbone.state_dict().items()}
    getattr(model, model.base_model_prefix).load_state_dict(weights, strict=False)
    head = classifier.head.cpu()
    if kind in POOLED:
        model.bert.pooler.dense.load_state_dict(head.dense.state_dict())
        model.classifier.load_state_dict(head.out.state_dict())
    else:
        model.classifier.dense.load_state_dict(head.dense.state_dict())
        model.classifier.out_proj.load_state_dict(head.out.state_dict())
    classifier.to(scorer.device)
    tokenizer = copy.deepcopy(scorer.tokenizer)
    tokenizer.model_max_length = scorer.max_length
    return model, tokenizer


def score_folder(folder: Path, texts: Sequence[str], task: str) -> NDArray[np.float32]:
    """Gives scores of what transformers' own classes make of a folder, float32 `[n, n_outputs]`, in the order of `texts`."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with quiet(), torch.random.fork_rng(devices=[]), torch.inference_mode():
        model, tokenizer = (
            AutoModelForSequenceClassification.from_pretrained(folder).eval(),
            AutoTokenizer.from_pretrained(folder),
        )
        parts = []
        for start in range(0, len(texts), BATCH):
            inputs = tokenizer(list(texts[start : start + BATCH]), truncation=True, padding=True, return_tensors="pt")
            logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
            parts.append(logits.softmax(dim=-1) if task == "multiclass" else logits.sigmoid())
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def _no_place(found: str) -> ExportError:
    return ExportError(
        found,
        f"a {', '.join(POOLED + HEADED)} encoder with model.pooling=cls and model.head=dense, the form of transformers' classifiers",
        "Train with --set model.pooling=cls --set model.head=dense, or export with --to onnx, which holds every form.",
    )


__all__ = ["score_folder", "to_transformers"]
