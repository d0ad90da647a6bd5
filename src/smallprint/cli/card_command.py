"""`smallprint card`: the model card and the data sheet of a run, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import Sets


def card(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    settings: Sets = None,
) -> None:
    """Write the model card and the data sheet again.

    --set card.KEY=VALUE states what only you know: licence, data_licence, language, use, out_of_scope, data_origin, contact.
    """
    from smallprint import papers
    from smallprint.core.run import open_run

    print(papers.write_card(open_run(run), settings))
