"""`smallprint monitor`: whether new texts are still of the kind that a model knows."""

from __future__ import annotations

from typing import Annotated

import typer

from smallprint.cli.terminal import DATA_HELP, MODEL_HELP, AsJson, Text, print_json, say

MOVED = 9  # exit code: something moved by more than its limit


def monitor(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    new_texts: Annotated[str, typer.Argument(help="csv, tsv, jsonl, parquet, txt; - is standard input.")],
    reference: Annotated[
        str | None, typer.Option("--reference", help=f"Compare with this labelled data. {DATA_HELP}")
    ] = None,
    text: Text = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Column of the new texts with their document; '' for none.")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Probability of an alarm where nothing moved.")] = 0.01,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            metavar="MEASURE=SIZE",
            help="What may move that far: labels, scores, lengths, words, texts; repeatable. Any move counts when left out.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say whether new texts differ from what the model knows.

    Compared are label rates, scores, lengths, words, and whether a classifier tells both apart. The exit code is 9 where something
    moved beyond chance and by more than its limit.
    """
    from smallprint.inference.monitor import tell_drift
    from smallprint.monitor import monitor as monitor_file
    from smallprint.monitor import read_limits

    found = monitor_file(
        model,
        new_texts,
        reference=reference,
        text=text,
        group=group,
        alpha=alpha,
        limits=read_limits(limit or []),
        seed=seed,
        say=say,
    )
    if as_json:
        print_json(found.to_dict())
    else:
        print("\n".join(tell_drift(found)))
    if found.over:
        raise SystemExit(MOVED)
