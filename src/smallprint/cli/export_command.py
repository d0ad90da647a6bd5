"""`smallprint export`: a model in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import MODEL_HELP, AsJson, print_json, say


def export(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    to: Annotated[str, typer.Option("--to", help="onnx, onnx-int8, openvino-int8 or transformers.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder; beside the bundle when left out.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Labelled data to compare by; the run's own when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model in another format.

    It is compared with the original on real rows, and kept only if it decides as that does.
    """
    from dataclasses import asdict

    from smallprint.export import export as run_export
    from smallprint.export import lines_of

    found = run_export(model, to, out, data=data, say=say)
    for line in lines_of(found):
        say(f"{line[0].upper()}{line[1:]}.")
    say(f"{found.size_mb[0]:.0f} MB before, {found.size_mb[1]:.0f} MB after.")
    if as_json:
        print_json({**asdict(found), "folder": str(found.folder)})
    else:
        print(found.folder)
