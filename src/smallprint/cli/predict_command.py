"""`smallprint predict`: labels and scores for every row of a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from smallprint.cli.terminal import MODEL_HELP, Encoding, Text, quoted, say
from smallprint.core.errors import ConfigError

ENGINES = ("one", "ray")


def predict(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="csv, tsv, jsonl, parquet, txt; -: texts a line, or jsonl.")
    ] = "-",
    out: Annotated[str, typer.Option("-o", "--out", help="File for the rows; - is standard output.")] = "-",
    text: Text = None,
    output_format: Annotated[str | None, typer.Option("--format", help="Of --out: csv, tsv, jsonl or parquet.")] = None,
    encoding: Encoding = None,
    force: Annotated[bool, typer.Option("--force", help="Write over INPUT where --out is the same file.")] = False,
    actions: Annotated[Path | None, typer.Option("--actions", help="YAML of what is done with findings.")] = None,
    outbox: Annotated[Path | None, typer.Option("--outbox", help="File that remembers what was delivered.")] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="one: this process; ray: several workers, on this machine or a cluster.")
    ] = "one",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Workers of --engine ray; one a processor when left out.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Address of a Ray cluster; this machine alone when left out.")
    ] = None,
) -> None:
    """Add labels and scores to every row.

    Added are label (or labels), label_score where one label of several is given, score_NAME for each label, and decision where the model
    has a policy. Order, columns and a CSV's separator are kept, what is written is UTF-8, and the file may be larger than memory.
    With --engine ray the file is scored in shards by several workers; what was stopped goes on with the shards that are missing.
    """
    # not by way of `api`: a bundle in ONNX needs no torch
    from smallprint.core.files import check_output
    from smallprint.inference.engine import open_model
    from smallprint.inference.predictor import predict_file

    if encoding is not None:
        from smallprint.core.settings import load_config

        load_config(None, [f"data.encoding={quoted(encoding)}"])  # a wrong one is told before the model is loaded
    if engine not in ENGINES:
        raise ConfigError(f"The engine {engine!r} is not known.", ", ".join(ENGINES), "Choose one with --engine.")
    check_output(out, () if force else [source], "Name another with -o, or add --force.")
    if engine == "one" and (workers is not None or address is not None):
        raise ConfigError(
            "--workers and --address belong to --engine ray.", "--engine ray", "Add it, or leave them out."
        )
    if actions is None and outbox is not None:
        raise ConfigError("--outbox belongs to --actions.", "--actions FILE", "Add it, or leave --outbox out.")
    if engine == "ray":
        from smallprint.inference.sharded import predict_sharded

        if actions is not None:
            raise ConfigError("Actions cannot go with --engine ray.", "one process", "Leave out one of them.")
        shared: dict[str, Any] = {"text": text, "output_format": output_format, "encoding": encoding, "say": say}
        predict_sharded(model, source, out, workers=workers, address=address, **shared)
        return
    opened = open_model(model)
    if source == "-" and sys.stdin.isatty():
        say("Reading texts from the keyboard, one a line; end with Ctrl-D.")
    if actions is None:
        predict_file(opened, source, out, text=text, output_format=output_format, encoding=encoding, say=say)
        return
    from smallprint import decide

    form: dict[str, Any] = {"text": text, "output_format": output_format, "encoding": encoding}
    counts = decide.act(opened, source, out, actions, outbox, **form, say=say)
    if counts["dead"]:
        raise SystemExit(1)
