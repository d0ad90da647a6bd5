"""The model card and the data sheet of a model. In: its manifest and settings, and what its run knows. Out: two Markdown texts.

The card begins with the metadata that the Hugging Face Hub reads. What only the owner knows is taken from the settings
(`card`) or said not to be stated; nothing is made up, and no text of an example is quoted.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING

from smallprint.core.config import Config
from smallprint.evaluation.headline import LEADING
from smallprint.evaluation.report_measures import TASKS
from smallprint.evaluation.score_intervals import PER_LABEL
from smallprint.modeling.presets import EMBEDDED, find_preset
from smallprint.packaging.card_facts import EMBEDDED_CHECKPOINT, CardFacts, is_hub_name
from smallprint.packaging.card_metadata import front_matter

if TYPE_CHECKING:
    from jinja2 import Template

CARD, SHEET = "README.md", "DATASHEET.md"
FEW_TRAIN, FEW_TEST = 50, 30


def render_card(facts: CardFacts) -> str:
    """Gives the model card, metadata first."""
    n = len(facts.manifest["label_names"])
    counted = {"labels": f"{n} label" + "s" * (n != 1), "n_columns": n + 1}
    shown = [
        (key, f"{heading.format(**counted)}. {text}", facts.values[key], facts.intervals.get(key))
        for heading, words in TASKS[facts.task].items()
        for key, text in words.items()
        if key in facts.values and key != "labels_without_positives"
    ]
    return front_matter(facts) + _template("card.md.j2").render(
        facts=facts,
        card=facts.config.card,
        lead=LEADING[facts.task],
        scores=shown,
        rare=rare_labels(facts),
        backbone=describe_backbone(facts.config),
        folder=shlex.quote(facts.name),
        label_interval={row.label: facts.intervals.get(f"{PER_LABEL}{row.label}") for row in facts.labels},
        outputs=_outputs(facts),
    )


def render_sheet(facts: CardFacts) -> str:
    """Gives the data sheet, after the questions of Gebru et al. 2021 (Datasheets for Datasets) that a run can answer."""
    data = facts.manifest["data"]
    splits = [split for split in ("train", "validation", "test") if split in data.get("rows", {})]
    return _template("datasheet.md.j2").render(facts=facts, card=facts.config.card, data=data, splits=splits)


def rare_labels(facts: CardFacts) -> list[tuple[str, int, int | None]]:
    """Gives the labels with few examples, rarest first: name, how many in train, and in test where that is known."""
    counts = facts.manifest["data"].get("labels", {})
    train, test = counts.get("train", {}), counts.get("test", {})
    rare = [
        (name, int(n), int(test[name]) if name in test else None)
        for name, n in train.items()
        if n < FEW_TRAIN or test.get(name, FEW_TEST) < FEW_TEST
    ]
    return sorted(rare, key=lambda row: (row[1], row[0]))


def describe_backbone(config: Config) -> str:
    """Gives in words what the model stands on, without naming a place of the machine that trained it."""
    model = config.model
    if model.family == "linear":
        return "TF-IDF of words and characters with a linear SVM; no pretrained weights"
    if model.family == "static":
        encoder = model.static.encoder
        known = "" if encoder == "none" else f" and of what {_describe_encoder(encoder)} knows of words"
        return f"tables of words, pairs of words and parts of words{known}, with a linear SVM"
    if model.family == "stack":
        kind = "stack" if config.stack.weights is None else "blend (mean of the logits)"
        return f"a {kind} of {len(config.stack.members)} models: {', '.join(config.stack.members)}"
    return _describe_encoder(model.backbone)


def _describe_encoder(name: str) -> str:
    preset = find_preset(name)
    if preset is not None:
        checkpoint = preset.checkpoint or (EMBEDDED_CHECKPOINT if preset.name == EMBEDDED else preset.name)
        return f"{checkpoint} ({preset.licence}, as its page says)"
    return name if is_hub_name(name) else f"'{PurePath(name).name}', read from a file or folder"


def _outputs(facts: CardFacts) -> list[tuple[str, float]]:
    names = facts.manifest["label_names"]
    return list(zip(names[1:] if facts.task == "binary" else names, facts.manifest["thresholds"], strict=True))


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("smallprint", "packaging"),
        autoescape=False,  # Markdown; names are escaped by `md`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": _markdown, "score": lambda value: f"{value:.3f}", "count": lambda n: f"{n:,}"}
    return environment.get_template(name)


def _markdown(text: object) -> str:
    """A name that stands in Markdown as it is, in one line."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(str(text).split()))


__all__ = ["CARD", "SHEET", "rare_labels", "render_card", "render_sheet"]
