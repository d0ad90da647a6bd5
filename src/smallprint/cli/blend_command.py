"""`smallprint blend`: one model from finished runs, by the mean of their logits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import AsJson, Sets, print_json, say, typed
from smallprint.core.errors import ConfigError


def blend(
    members: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders of two or more finished runs on the same data.")
    ],
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="A,B,...", help="One number a run, in their order; equal when left out."),
    ] = None,
    settings: Sets = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the new run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Average finished runs into one model.

    Nothing is trained: the mean of the members' logits answers (multiclass: of their log-scores). The runs must stand on the same
    validation and test examples, which are not split anew. Thresholds and calibration come from validation, test gives the final numbers.
    The new run goes everywhere a run goes, and its bundle holds its members' bundles; scoring a text takes as long as all of them do.
    --set takes settings of evaluation, tracking and card; the others are the first run's.
    """
    from smallprint import runs
    from smallprint.blending import blend as average

    result = average(members, out=out, weights=_numbers(weights), settings=settings or [], say=say, command=typed())
    for line in runs.tell(result):
        say(line)
    if as_json:
        places = {"run": result.run, "bundle": result.bundle, "report": result.report, "metrics": result.metrics_file}
        scores = {"validation": result.validation.values, "test": result.test.values}
        print_json({**{name: str(path) for name, path in places.items()}, **scores})


def _numbers(weights: str | None) -> list[float] | None:
    if weights is None:
        return None
    try:
        return [float(part) for part in weights.split(",")]
    except ValueError:
        raise ConfigError(
            f"--weights {weights} holds something else than numbers.",
            "one number a run, joined by commas",
            "For example --weights 2,1,1.",
        ) from None
