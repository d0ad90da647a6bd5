"""`smallprint backbones`: the short names that `--backbone` takes."""

from __future__ import annotations

from typing import Annotated

import typer


def backbones(as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False) -> None:
    """List the backbones that have a short name.

    Any folder, .gguf file or Hub name is taken as well.
    """
    from smallprint.bench.backbones import backbone_rows, render_backbones

    rows = backbone_rows()
    if as_json:
        import json

        print(json.dumps(rows, ensure_ascii=False))
    else:
        print(render_backbones(rows))
