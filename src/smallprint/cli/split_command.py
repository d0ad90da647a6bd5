"""`smallprint split`: train, validation and test files, or folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import DATA_HELP, Encoding, Labels, Sets, Settings, Task, Text, overrides, say


def split(
    data: Annotated[str, typer.Argument(help=DATA_HELP)],
    out: Annotated[Path, typer.Option("--out", help="New folder.")],
    by: Annotated[str, typer.Option("--by", help="auto, random, group or time.")] = "auto",
    time: Annotated[
        str | None, typer.Option("--time", help="Column of the time, dates or numbers: the latest rows are test.")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Column whose rows stay in one part.")] = None,
    validation_share: Annotated[float, typer.Option("--validation-share", min=0, max=0.49)] = 0.15,
    test_share: Annotated[float, typer.Option("--test-share", min=0.001, max=0.49)] = 0.15,
    folds: Annotated[int | None, typer.Option("--folds", min=2, max=100, help="A folder a fold instead.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same parts on every machine.")] = 42,
    encoding: Encoding = None,
    text: Text = None,
    labels: Labels = None,
    task: Task = None,
    config: Settings = None,
    settings: Sets = None,
) -> None:
    """Write train, validation and test files, or folds.

    Label shares are kept, groups and equal texts never apart; a label that train would lack is refused.
    """
    from smallprint.core.errors import ConfigError
    from smallprint.core.settings import load_config
    from smallprint.data.read import open_source
    from smallprint.data.resplit import Plan, write_splits

    if by not in ("auto", "random", "group", "time"):
        raise ConfigError(f"There is no way to split by '{by}'.", "auto, random, group or time", "Name one of these.")
    flags = {
        "data.text": text,
        "data.labels": labels,
        "data.task": task,
        "data.group": group,
        "data.encoding": encoding,
    }
    columns = load_config(config, overrides(settings, flags)).data
    source = open_source(data, columns.encoding)
    plan = Plan(by, time, validation_share, test_share, folds, seed)  # type: ignore[arg-type]
    for number, counts in enumerate(write_splits(source, columns, plan, out, say), start=1):
        told = ", ".join(f"{n:,} {part}" for part, n in counts.items())
        say(f"fold {number}: {told}" if folds else told)
    say(f"Written to {out}")
