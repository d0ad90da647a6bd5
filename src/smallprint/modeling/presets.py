"""Backbones by short names: a line of data each (presets.csv). In: a name. Out: checkpoint, licence, limits; it loads nothing.

Whatever is no preset's name is a folder, a .gguf file or a Hub name, and is taken as it is.
"""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from smallprint.core.config import STACK, STATIC, TFIDF

EMBEDDED = "minilm"
BUILT_IN = {
    TFIDF: "no encoder: words and runs of characters, a linear SVM; seconds",
    STATIC: "no encoder: tables of words; for millions of texts",
    STACK: "no backbone of its own: learns from the scores of several (stack.members)",
}


@dataclass(frozen=True)
class Preset:
    """A backbone that a short name stands for.

    Attributes:
        name: What `model.backbone` says.
        checkpoint: Its Hub name; empty for what the package holds itself, or for no encoder at all.
        revision: Commit that is taken where the settings name none; None is the newest.
        licence: Of the weights, as their page says.
        architecture: `model_type` of its config.
        parameters_m: Million parameters, about.
        max_length: Longest input in tokens.
        published: Name of its row in the published table, or empty.
        note: A word on it.
    """

    name: str
    checkpoint: str
    revision: str | None
    licence: str
    architecture: str
    parameters_m: int | None
    max_length: int | None
    published: str
    note: str


@cache
def read_presets() -> dict[str, Preset]:
    """Gives every preset by name, in the order of the table."""
    text = (files("smallprint.modeling") / "presets.csv").read_text(encoding="utf-8")
    return {
        row["name"]: Preset(
            row["name"],
            row["checkpoint"],
            row["revision"] or None,
            row["licence"],
            row["architecture"],
            int(row["parameters_m"]) if row["parameters_m"] else None,
            int(row["max_length"]) if row["max_length"] else None,
            row["published"],
            row["note"],
        )
        for row in csv.DictReader(text.splitlines())
    }


def find_preset(name: str) -> Preset | None:
    """Gives the preset of that name, or None."""
    return read_presets().get(name)


def nearest_preset(name: str, cutoff: float = 0.7) -> str | None:
    """Gives the short name (a preset's, tfidf, static or stack) that was probably meant, or None where none is near."""
    near = difflib.get_close_matches(name.lower(), [*BUILT_IN, *read_presets()], n=1, cutoff=cutoff)
    return near[0] if near else None


def render_presets() -> str:
    """Gives the table in Markdown; docs/backbones.md holds it."""
    heads = ("name", "checkpoint", "licence", "million parameters", "longest input", "note")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += [f"| `{name}` | in the package |  |  |  | {note} |" for name, note in BUILT_IN.items()]
    for preset in read_presets().values():
        cells = (
            f"`{preset.name}`",
            preset.checkpoint or "in the package",
            preset.licence,
            preset.parameters_m,
            preset.max_length,
            preset.note,
        )
        lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
    return "\n".join(lines)


__all__ = ["BUILT_IN", "EMBEDDED", "Preset", "find_preset", "nearest_preset", "read_presets", "render_presets"]
