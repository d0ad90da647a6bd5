"""`smallprint train`: settings from flags and files, one call, and where everything is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

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
    typed,
    words,
)
from smallprint.core.errors import ConfigError

EXTRA_HELP = "A table whose rows are added to train, and never to validation or test."
PROTOCOL_HELP = "Train as somebody else did: lexglue. Other settings win over it."


def train(
    data: Annotated[str | None, typer.Argument(help=DATA_HELP)] = None,
    config: Settings = None,
    settings: Sets = None,
    task: Task = None,
    text: Text = None,
    labels: Labels = None,
    group: Group = None,
    encoding: Encoding = None,
    extra: Annotated[str | None, typer.Option("--extra", metavar="FILE", help=EXTRA_HELP)] = None,
    backbone: Backbone = None,
    adapter: Adapter = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Longest training in epochs.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="One seed for everything.")] = None,
    devices: Annotated[
        int | None, typer.Option("--devices", min=1, help="Processes of this machine, one a GPU.")
    ] = None,
    num_nodes: Annotated[
        int | None, typer.Option("--num-nodes", min=1, help="Machines, under torchrun or SLURM.")
    ] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", help="ddp or fsdp.")] = None,
    protocol: Annotated[str | None, typer.Option("--protocol", help=PROTOCOL_HELP)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run.")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with a run.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Say at the end where the time went.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train, evaluate, package and report.

    Thresholds are tuned on validation where that pays, else 0.5; test is opened once, at the end.
    """
    flags = {
        "data.task": task,
        "data.text": text,
        "data.labels": labels,
        "data.group": group,
        "data.encoding": encoding,
        "data.extra": extra,
        "model.backbone": backbone,
        "model.adapter": adapter,
        "training.epochs": epochs,
        "training.seed": seed,
        "training.devices": devices,
        "training.num_nodes": num_nodes,
        "training.strategy": strategy,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    if resume and (given or config or settings or out or protocol):
        raise ConfigError(
            "--resume was given together with settings.",
            "--resume RUN alone: a run goes on with the settings that it began with",
            "Leave the settings out, or train anew.",
        )
    from smallprint.core.protocols import find_protocol
    from smallprint.core.settings import load_config

    below = load_config(None, find_protocol(protocol)) if protocol else None
    chosen = load_config(config, overrides(settings, given), below)
    if data is not None and not resume and not data.startswith("hub:"):
        from smallprint.data.read import open_source

        open_source(data)  # a path that is wrong is told before torch is loaded, which takes seconds
    if code := _start_processes(chosen, resume):
        raise SystemExit(code - 1)
    from smallprint import api, runs

    result = api.train(data, config=chosen, out=out, resume=resume, say=say, command=typed())
    if os.environ.get("RANK", "0") != "0":  # the first of several processes speaks
        return
    for line in [*runs.tell(result), *(runs.tell_time(result.run) if profile else [])]:
        say(line)
    if as_json:
        places = {"run": result.run, "bundle": result.bundle, "report": result.report, "metrics": result.metrics_file}
        scores = {"validation": result.validation.values, "test": result.test.values}
        print_json({**{name: str(path) for name, path in places.items()}, **scores})


def _start_processes(config: Any, resume: Path | None) -> int:
    """Runs the same command in as many processes as the settings want, and gives 1 + the exit code; 0 where one is enough."""
    from smallprint.core.run import open_run

    if resume and not (resume / "run.json").is_file():
        return 0  # the training itself says what is wrong
    training = (open_run(resume, clear=False).config if resume else config).training
    if training.devices == 1 and training.num_nodes == 1:
        return 0
    from smallprint.training.launch import launch, started_from_outside

    if started_from_outside() or training.num_nodes > 1:
        return 0
    if training.devices == "auto":
        import torch

        n = torch.cuda.device_count()
    else:
        n = training.devices
    return 0 if n < 2 else 1 + launch([sys.executable, "-P", "-m", "smallprint", *words], n, say)
