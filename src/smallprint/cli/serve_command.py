"""`smallprint serve` and `smallprint key`: models over HTTP, and who may ask them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import say


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Folder of a bundle or run, NAME@ALIAS, or NAME=MODEL; the first is asked by default.",
        ),
    ],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    keys: Annotated[
        Path | None, typer.Option("--keys", readable=False, help="File of API keys, made by `smallprint key`.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let other machines in without a key.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes.")] = 1,
    rate: Annotated[
        int | None,
        typer.Option(
            "--rate",
            min=0,
            help="Requests a minute of one key or address, a share of it by each worker; 0: no limit. Without keys 0, else 1200.",
        ),
    ] = None,
    body_mb: Annotated[
        float, typer.Option("--body-mb", min=0.01, max=1000, help="Largest request, in megabytes.")
    ] = 10.0,
    texts: Annotated[int, typer.Option("--texts", min=1, help="Texts in a request.")] = 256,
    characters: Annotated[int, typer.Option("--characters", min=1, help="Of one text.")] = 20_000,
    document_characters: Annotated[
        int, typer.Option("--document-characters", min=1, help="Of a document's text.")
    ] = 1_000_000,
    pages: Annotated[int, typer.Option("--pages", min=1, help="Of a PDF.")] = 500,
    waiting: Annotated[
        int, typer.Option("--waiting", min=1, help="Texts that may wait in each worker; more are refused.")
    ] = 1_024,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Texts that are scored together.")] = 32,
    scans: Annotated[
        int, typer.Option("--scans", min=1, help="Documents that each worker reads at the same time; others wait.")
    ] = 2,
    answer_seconds: Annotated[
        float, typer.Option("--answer-seconds", min=0.1, help="For an answer, waiting included.")
    ] = 30.0,
    scan_seconds: Annotated[float, typer.Option("--scan-seconds", min=0.1, help="For a document.")] = 300.0,
    body_seconds: Annotated[
        float, typer.Option("--body-seconds", min=0.1, help="For a request to arrive whole.")
    ] = 10.0,
    connections: Annotated[
        int, typer.Option("--connections", min=1, help="Open at the same time, in each worker.")
    ] = 1_000,
    actions: Annotated[
        Path | None, typer.Option("--actions", readable=False, help="YAML of what is done with findings.")
    ] = None,
    outbox: Annotated[
        Path | None,
        typer.Option("--outbox", help="File that remembers what was delivered; ACTIONS.outbox.sqlite when left out."),
    ] = None,
    undelivered: Annotated[
        int, typer.Option("--undelivered", min=1, help="Findings that may wait for delivery; more are refused.")
    ] = 10_000,
) -> None:
    """Answer over HTTP, with a page to paste or drop documents.

    For this machine alone, unless keys are given. A bundle that is replaced, and an alias that moves, is taken while it runs. With
    --actions each request's findings are delivered after its answer, once for each Idempotency-Key that a client sends; the page's are not.
    """
    from smallprint.core.extras import import_extra

    for module in ("fastapi", "uvicorn", "prometheus_client"):
        import_extra(module, "Serving needs", "serve")
    from smallprint.serve.models import name_of
    from smallprint.serve.run import run
    from smallprint.serve.settings import ServeSettings

    settings = ServeSettings(
        models=tuple(name_of(model) for model in models),
        host=host,
        port=port,
        keys=None if keys is None else str(keys.absolute()),
        insecure=insecure,
        workers=workers,
        rate=(1_200 if keys else 0) if rate is None else rate,
        body_mb=body_mb,
        texts=texts,
        characters=characters,
        document_characters=document_characters,
        pages=pages,
        waiting=waiting,
        batch=batch,
        scans=scans,
        answer_seconds=answer_seconds,
        scan_seconds=scan_seconds,
        body_seconds=body_seconds,
        connections=connections,
        actions=None if actions is None else str(actions.absolute()),
        outbox=None if outbox is None else str(outbox.absolute()),
        undelivered=undelivered,
    )
    raise SystemExit(run(settings, say))


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    keys: Annotated[Path, typer.Option("--keys", help="File that its hash is added to.")] = Path("keys.txt"),
) -> None:
    """Make an API key for `serve`.

    It is printed once; the file holds its hash. A name that has a key gets a new one.
    """
    from smallprint.serve.keys import make_key

    print(make_key(name, keys))
    say(f"Its hash stands in {keys}. Keep the key: it is shown only now.")
