"""What the Hugging Face Hub reads of a model card: YAML between two lines of dashes. In: facts. Out: that text.

Keys are the Hub's (model-cards documentation); `model-index` holds the scores of test. A key whose value nobody stated is
left out.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from smallprint.modeling.presets import EMBEDDED, find_preset
from smallprint.packaging.card_facts import EMBEDDED_CHECKPOINT, CardFacts, is_hub_name

LICENCES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0"),
    *("cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "gpl-2.0", "gpl-3.0"),
    *(
        "agpl-3.0",
        "lgpl-3.0",
        "mpl-2.0",
        "eupl-1.2",
        "eupl-1.1",
        "epl-2.0",
        "isc",
        "unlicense",
        "wtfpl",
        "openrail",
        "odbl",
    ),
}
# name in `Metrics.values`: metric of the Hub, and how it averages
METRICS = {
    "f1": ("f1", None),
    "f1_macro": ("f1", "macro"),
    "f1_micro": ("f1", "micro"),
    "accuracy": ("accuracy", None),
    "precision": ("precision", None),
    "recall": ("recall", None),
    "roc_auc": ("roc_auc", None),
    "exact_match": ("exact_match", None),
    "average_precision": ("average_precision", None),
    "average_precision_macro": ("average_precision", "macro"),
}


def front_matter(facts: CardFacts) -> str:
    """Gives the metadata with its two lines of dashes."""
    card = facts.config.card
    tree: dict[str, Any] = {}
    if card.language:
        tree["language"] = card.language
    if card.licence:
        known = card.licence.strip().lower()
        tree |= {"license": known} if known in LICENCES else {"license": "other", "license_name": _slug(card.licence)}
    tree |= {"library_name": "smallprint", "pipeline_tag": "text-classification"}
    tree["tags"] = ["smallprint", "text-classification", facts.task]
    if base := base_model(facts):
        tree["base_model"] = base
    dataset = facts.data_name.removeprefix("hub:") if facts.data_name.startswith("hub:") else None
    if dataset:
        tree["datasets"] = ["/".join(dataset.split("/")[:2])]
    results = [_metric(key, facts.values[key]) for key in METRICS if key in facts.values]
    if results:
        tree["metrics"] = sorted({metric["type"] for metric in results})
        data = {
            "name": facts.data_name or "the owner's own data",
            "type": dataset or _slug(facts.data_name or "own data"),
        }
        result = {
            "task": {"type": "text-classification", "name": f"Text classification ({facts.task})"},
            "dataset": {**data, "split": "test"},
            "metrics": results,
        }
        tree["model-index"] = [{"name": facts.name, "results": [result]}]
    return f"---\n{yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)}---\n"


def base_model(facts: CardFacts) -> str | None:
    """Gives the Hub's name of the backbone, or None where there is none or it was read from a folder."""
    model = facts.config.model
    if model.family != "encoder":
        return None
    preset = find_preset(model.backbone)
    if preset is not None:
        return preset.checkpoint or (EMBEDDED_CHECKPOINT if preset.name == EMBEDDED else None)
    return model.backbone if is_hub_name(model.backbone) else None


def _metric(key: str, value: float) -> dict[str, Any]:
    kind, average = METRICS[key]
    return {
        "type": kind,
        "name": key.replace("_", " "),
        "value": round(float(value), 6),
        **({"args": {"average": average}} if average else {}),
    }


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", words.lower()).strip("-") or "own"


__all__ = ["base_model", "front_matter"]
