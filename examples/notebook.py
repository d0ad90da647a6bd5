"""Makes examples/tutorial.ipynb from docs/tutorial.md: text becomes text, Python becomes cells. The same page gives the same bytes.

    python examples/notebook.py

A block that only shows a part of own_parts.py, and shell commands, stay text. Links lead to where they lead from docs/.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE, NOTEBOOK = ROOT / "docs" / "tutorial.md", ROOT / "examples" / "tutorial.ipynb"
BLOCK = re.compile(r"```python\n(.*?)```\n", re.DOTALL)
SHOWN_ONLY = ("class CosineHead", "def smoothed")


def cells(page: str) -> list[tuple[str, str]]:
    """Gives ("code" or "markdown", text) in order."""
    found: list[tuple[str, str]] = []
    text = ""
    for k, part in enumerate(BLOCK.split(page)):
        if k % 2 and not part.startswith(SHOWN_ONLY):
            found += [("markdown", text.strip()), ("code", part.strip())]
            text = ""
        else:
            text += f"```python\n{part}```\n" if k % 2 else part
    return [(kind, words) for kind, words in [*found, ("markdown", text.strip())] if words]


def render(page: str) -> str:
    """Gives the notebook, without outputs."""
    page = re.sub(r"<!-- .*? -->", "", page)
    page = re.sub(r"\]\(\.\./examples/", "](", page)
    page = re.sub(r"\]\((?!\.\./|https?:|#)([a-z-]+(?:/[a-z-]+)*\.md)", r"](../docs/\1", page)
    made: list[dict[str, Any]] = []
    for number, (kind, text) in enumerate(cells(page)):
        cell: dict[str, Any] = {
            "cell_type": kind,
            "id": f"cell-{number:02}",
            "metadata": {},
            "source": text.splitlines(keepends=True),
        }
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {
        "cells": made,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
