"""Which words carried a score, by gradients: what occlusion asks the model for each word, integrated gradients ask for all at once.

In: an engine whose model is a torch encoder, and a text. Out: weights of words that add up to the difference between the label's logit for
the text and for the same number of empty tokens (Sundararajan, Taly & Yan 2017; captum). Another family, ONNX and a stack have no
gradients here: occlusion (`evidence.py`) works for all.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from smallprint.core.errors import ConfigError, DataError
from smallprint.core.extras import import_extra
from smallprint.inference.engine import Asked, Engine
from smallprint.inference.evidence import WORD, Evidence, as_json

STEPS = 32
AT_ONCE = 16  # steps in one batch


def tell_gradients(engine: Asked, text: str, label: str) -> list[dict[str, Any]]:
    """Gives the strongest words as `tell_evidence` does, by integrated gradients.

    Raises:
        ConfigError: The model is no torch encoder.
        DataError: The model has no such label.
        MissingExtraError: captum is not installed.
    """
    return as_json(text, find_gradients(engine, text, label))


def find_gradients(engine: Asked, text: str, label: str, steps: int = STEPS) -> list[Evidence]:
    """Gives the weight of each word of a text for one label, in the order of the text.

    The label's logit is that of the model before any calibration. Of a text that is longer than the model's input the beginning is
    explained; words that are parted into several tokens get the sum of these.

    Args:
        engine: Of a torch encoder.
        text: Any.
        label: One of `engine.labels.score_names`.
        steps: Points between the empty text and the text at which gradients are taken.

    Raises:
        ConfigError: The model is no torch encoder with word vectors and a fast tokenizer.
        DataError: The model has no such label.
        MissingExtraError: captum is not installed.
    """
    check_gradients(engine)
    names = list(engine.labels.score_names)
    if label not in names:
        raise DataError(f"The model has no label {label!r}.", ", ".join(names[:20]), "Name one of these.")
    words = [(found.start(), found.end()) for found in WORD.finditer(text)]
    if not words:
        return []
    assert isinstance(engine, Engine)
    sums = [0.0] * len(words)
    starts = [start for start, _ in words]
    for (start, end), weight in _token_weights(engine.scorer, text, names.index(label), steps):
        place = bisect_right(starts, max(start, end - 1)) - 1  # the word that begins last before the token ends
        if end > start and place >= 0 and start < words[place][1]:
            sums[place] += weight
    return [Evidence(start, end, weight) for (start, end), weight in zip(words, sums, strict=True)]


def check_gradients(engine: Asked) -> None:
    """Checks that the words of this model can be weighed by gradients.

    Raises:
        ConfigError: It is no torch encoder with word vectors and a fast tokenizer.
        MissingExtraError: captum is not installed.
    """
    scorer = engine.scorer if isinstance(engine, Engine) else None
    backbone = getattr(getattr(scorer, "classifier", None), "backbone", None)
    fast = getattr(getattr(scorer, "tokenizer", None), "is_fast", False)
    if backbone is None or not hasattr(backbone, "get_input_embeddings") or not fast:
        raise ConfigError(
            f"The words of a {type(scorer).__name__} cannot be weighed by gradients.",
            "a torch encoder with word vectors and a fast tokenizer",
            "Take --explain-by occlusion, which works for every model.",
        )
    import_extra("captum.attr", "Gradients need", "explain")


def _token_weights(scorer: Any, text: str, output: int, steps: int) -> list[tuple[tuple[int, int], float]]:
    """Gives place and weight of each token that is not special."""
    import torch

    attr = import_extra("captum.attr", "Gradients need", "explain")
    classifier, tokenizer = scorer.classifier, scorer.tokenizer
    with scorer._tokenizer_lock:
        encoded = tokenizer(
            text,
            truncation=True,
            max_length=scorer.max_length,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
    special = torch.tensor(encoded["special_tokens_mask"], dtype=torch.bool, device=scorer.device)
    ids = torch.tensor([encoded["input_ids"]], device=scorer.device)
    if not ids.shape[1]:
        return []
    empty = next(
        (
            found
            for name in ("mask_token_id", "unk_token_id", "pad_token_id")
            if (found := getattr(tokenizer, name)) is not None
        ),
        0,
    )
    baseline = torch.where(special, ids, torch.full_like(ids, empty))
    exclusive = scorer.task == "multiclass"

    def logit(given: Any) -> Any:
        mask = torch.ones_like(given)
        logits = classifier(given, mask).float()
        if not exclusive:
            return logits[:, output]
        others = torch.arange(logits.shape[1], device=logits.device) != output
        return logits[:, output] - logits[:, others].logsumexp(dim=1)

    frozen, classifier.frozen = classifier.frozen, False  # a frozen backbone lets no gradient through
    try:
        method = attr.LayerIntegratedGradients(logit, classifier.backbone.get_input_embeddings())
        weights = method.attribute(ids, baselines=baseline, n_steps=steps, internal_batch_size=AT_ONCE)
    finally:
        classifier.frozen = frozen
    values = weights.detach().sum(dim=-1)[0].tolist()
    return [
        (tuple(place), value)
        for place, value, hidden in zip(encoded["offset_mapping"], values, special.tolist(), strict=True)
        if not hidden
    ]


__all__ = ["check_gradients", "find_gradients", "tell_gradients"]
