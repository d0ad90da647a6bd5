"""`smallprint sweep`: better settings for your data, and whether they are better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import (
    DATA_HELP,
    Adapter,
    AsJson,
    Backbone,
    Encoding,
    Group,
    Labels,
    Sets,
    Settings,
    Task,
    Text,
    overrides,
    print_json,
    say,
)


def sweep(
    data: Annotated[str, typer.Argument(help=DATA_HELP)],
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many, earlier ones in --out counted.")] = 20,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.01, help="After which no trial begins; retraining comes after.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="With which the winner is trained again.")] = 3,
    config: Settings = None,
    settings: Sets = None,
    task: Task = None,
    text: Text = None,
    labels: Labels = None,
    group: Group = None,
    encoding: Encoding = None,
    backbone: Backbone = None,
    adapter: Adapter = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the search and of its trainings.")] = None,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="That work on it; or run the command again elsewhere.")
    ] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the sweep; one that was stopped goes on there.")
    ] = None,
    worker: Annotated[bool, typer.Option("--worker", hidden=True)] = False,
    as_json: AsJson = False,
) -> None:
    """Search for better settings.

    Trials are judged by validation; the winner is trained again over seeds beside the defaults; test is opened once, for it.
    """
    from smallprint.core.settings import load_config
    from smallprint.sweep.command import sweep_data
    from smallprint.sweep.loop import Budget

    flags = {
        "data.task": task,
        "data.text": text,
        "data.labels": labels,
        "data.group": group,
        "data.encoding": encoding,
        "model.backbone": backbone,
        "model.adapter": adapter,
        "training.seed": seed,
    }
    chosen = load_config(config, overrides(settings, flags))
    budget = Budget(trials, minutes, seeds)
    found = sweep_data(data, chosen, budget=budget, out=out, processes=processes, worker=worker, say=say)
    if as_json and not worker:
        print_json(found)
