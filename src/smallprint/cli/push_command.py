"""`smallprint push`: a model with its card to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import MODEL_HELP, AsJson, print_json, say


def push(
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Where it goes on the Hub.")],
    private: Annotated[bool, typer.Option("--private/--public", help="Who may read it, where it is new.")] = True,
    with_report: Annotated[
        bool, typer.Option("--with-report", help="Upload the report too. It quotes texts of the test split.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what else the repository holds.")] = False,
    message: Annotated[str, typer.Option("--message", help="Of the commit.")] = "Upload with smallprint",
    as_json: AsJson = False,
) -> None:
    """Upload a model and its card to the Hugging Face Hub.

    All in one commit. The token comes from HF_TOKEN or from `hf auth login`. Texts of examples are not uploaded.
    """
    from smallprint.publish import push_model

    pushed = push_model(
        model, repository, private=private, with_report=with_report, replace=replace, message=message, say=say
    )
    if as_json:
        print_json(pushed)
    else:
        print(pushed["url"])
