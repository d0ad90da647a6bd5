"""`smallprint policy`: how far a model may decide alone, as a table of what each promise costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

RECALLS = (0.8, 0.9, 0.95, 0.98)


def policy(
    model: Annotated[Path, typer.Argument(help="Folder of a run; or of a bundle, or NAME@ALIAS, together with DATA.")],
    data: Annotated[
        str | None, typer.Argument(help="Labelled data, whose validation split is scored; else the run's own scores.")
    ] = None,
    recall: Annotated[
        float, typer.Option("--recall", min=0.01, max=0.999, help="To keep of texts with a label.")
    ] = 0.95,
    precision: Annotated[
        float | None, typer.Option("--precision", min=0.01, max=0.999, help="To keep of labels flagged alone.")
    ] = None,
    confidence: Annotated[
        float, typer.Option("--confidence", min=0.5, max=0.999, help="Share of new sets of documents where it holds.")
    ] = 0.95,
    save: Annotated[
        bool, typer.Option("--save", help="Store it in the bundle; predict then says who decides.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Say how far a model may decide alone.

    At each promised recall: what the machine clears, and what a person reads. Promises hold over whole documents.
    """
    from smallprint import decide
    from smallprint.evaluation.policy import tell_policy, trade
    from smallprint.evaluation.score_files import units

    found, scored, groups = decide.policy(
        model, data, recall=recall, precision=precision, confidence=confidence, save=save
    )
    wanted = sorted({*RECALLS, recall})
    rows = trade(scored.targets, scored.scores, units(groups), wanted, confidence)
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps({"policy": found.to_dict(), "trade": [asdict(row) for row in rows]}))
    else:
        print("\n".join(tell_policy(found, rows, len(scored.texts))))
    if save:
        print(f"Stored in {model}: predict now adds a column 'decision'.", file=sys.stderr)
