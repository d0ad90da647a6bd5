"""`smallprint report`: a run's report again, or two models side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import DATA_HELP, AsJson, print_json, say


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run; with --data of a bundle too.")],
    other: Annotated[Path | None, typer.Argument(help="Another, to be compared with it on the same examples.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File of the comparison; comparison.html when left out.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help=f"Score both on this, instead of their own test scores. {DATA_HELP}")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Of --data: train, validation or test.")] = "test",
    as_json: AsJson = False,
) -> None:
    """Write the HTML report of a run again, or compare two.

    Two runs are compared on the test examples that both stand on, with paired differences; where their test splits differ, on those that
    both hold and label alike. A model is called better only where the interval allows it.
    """
    if other is None:
        from smallprint import api
        from smallprint.core.errors import ConfigError

        if out is not None or data is not None or as_json:
            raise ConfigError("--out, --data and --json are for two models.", "report A B", "Name the second one.")
        print(api.report(run))
        return
    from smallprint import versus
    from smallprint.core.files import check_output
    from smallprint.evaluation.side_by_side_page import tell_comparison

    place = out or Path("comparison.html")
    check_output(place)
    found, a, b = versus.compare_models(run, other, data, split=split, out=place, say=say)
    if as_json:
        print_json({"a": a["name"], "b": b["name"], "page": str(place), **found.to_dict()})
        return
    for line in tell_comparison(found, a["name"], b["name"]):
        say(line)
    print(place)
