"""`smallprint policy`: how far a model may decide alone, as a table of what each promise costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import say

RECALLS = (0.8, 0.9, 0.95, 0.98)


def policy(
    model: Annotated[Path, typer.Argument(help="Folder of a run; or of a bundle, or NAME@ALIAS, together with DATA.")],
    data: Annotated[
        str | None, typer.Argument(help="Labelled data, whose validation split is scored; else the run's own scores.")
    ] = None,
    recall: Annotated[
        float,
        typer.Option(
            "--recall",
            min=0.01,
            max=0.999,
            help="Promise: at least this share of the texts with a label is not cleared.",
        ),
    ] = 0.95,
    precision: Annotated[
        float | None,
        typer.Option(
            "--precision",
            min=0.01,
            max=0.999,
            help="Promise: at least this share of the labels flagged alone is right.",
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence", min=0.5, max=0.999, help="Share of new sets of documents in which the promise holds."
        ),
    ] = 0.95,
    f_beta: Annotated[
        float | None, typer.Option("--f-beta", min=0.01, max=100, help="Tune to the highest F-beta; no promise.")
    ] = None,
    cost_ratio: Annotated[
        float | None,
        typer.Option(
            "--cost-ratio", min=0.001, max=1e6, help="Tune to the lowest cost: a miss costs so many false alarms."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget", min=0.0, max=1.0, help="Share of texts that a person can read; goes with --cost-ratio."
        ),
    ] = None,
    tuned_recall: Annotated[
        float | None, typer.Option("--tuned-recall", min=0.01, max=1.0, help="Tune to this recall; no promise.")
    ] = None,
    tuned_precision: Annotated[
        float | None,
        typer.Option(
            "--tuned-precision", min=0.01, max=1.0, help="Tune to this precision; with both a person reads between."
        ),
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Store it in the bundle; predict then says who decides.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Say how far a model may decide alone.

    At each promised recall: what the machine clears, and what a person reads. Promises (--recall, --precision) hold over whole
    documents; what is tuned (--f-beta, --cost-ratio, --budget, --tuned-recall, --tuned-precision) promises nothing.
    """
    from smallprint import decide
    from smallprint.evaluation.operating import Aim, measure_aim, tell_band
    from smallprint.evaluation.policy import can_promise, tell_policy, trade
    from smallprint.evaluation.score_files import units

    aim = Aim(f_beta, cost_ratio, budget, tuned_recall, tuned_precision)
    tuned = aim if aim.given else None
    found, scored, groups = decide.policy(
        model, data, recall=recall, precision=precision, confidence=confidence, aim=tuned, save=save, say=say
    )
    wanted = sorted({*RECALLS, recall})
    done = measure_aim(scored.targets, scored.scores, units(groups), aim) if tuned else None
    promises = can_promise(groups) or not tuned  # a tuned band promises nothing
    rows = trade(scored.targets, scored.scores, groups, wanted, confidence) if promises else []
    if as_json:
        import json
        from dataclasses import asdict

        told = {"policy": found.to_dict(), "trade": [asdict(row) for row in rows]}
        print(json.dumps(told if done is None else {**told, "tuned": asdict(done)}))
    else:
        print("\n".join(tell_policy(found, rows, len(scored.texts))))
        if done is not None and found.band is not None:
            print("\n".join(tell_band(found.band, done)))
    if save:
        print(f"Stored in {model}: predict now adds a column 'decision'.", file=sys.stderr)
