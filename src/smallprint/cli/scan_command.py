"""`smallprint scan`: documents in, findings out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import MODEL_HELP, say
from smallprint.core.errors import ConfigError, DocumentError

FORMATS = ("table", "json", "csv", "html")


def scan(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="txt, md, html, docx, pdf, zip, a folder; - is standard input."),
    ],
    form: Annotated[
        str | None, typer.Option("--format", help="table, json, csv or html; by the suffix of --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File; standard output when left out.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which words carried each finding.")] = False,
    explain_by: Annotated[
        str | None,
        typer.Option(
            "--explain-by", help="occlusion, or gradients (a torch encoder; smallprint[explain]); implies --explain."
        ),
    ] = None,
    headings: Annotated[
        bool, typer.Option("--headings", help='Give bare headings ("14. Arbitration") that the model labels too.')
    ] = False,
    similar: Annotated[
        int, typer.Option("--similar", min=0, max=50, help="Show so many labelled training texts like each finding.")
    ] = 0,
    training: Annotated[
        str | None, typer.Option("--training", help="Labelled data for --similar; that of the run when left out.")
    ] = None,
    review: Annotated[
        Path | None, typer.Option("--review", help="CSV of what a person shall look at, to be corrected.")
    ] = None,
    actions: Annotated[Path | None, typer.Option("--actions", help="YAML of what is done with findings.")] = None,
    outbox: Annotated[Path | None, typer.Option("--outbox", help="File that remembers what was delivered.")] = None,
) -> None:
    """Find in documents what the model labels.

    Sentences are given with their places. A document that cannot be read is named, and the others are done; the exit code then is 4.
    """
    from smallprint.core.files import check_output, csv_text, write_text
    from smallprint.documents.read import read_documents
    from smallprint.inference.engine import open_model
    from smallprint.inference.scan_page import csv_of, render_scan, tell_scan
    from smallprint.inference.scanner import REVIEW, for_review, scan_all, weigher

    form = form or (
        "table" if out is None else {".htm": "html", ".txt": "table"}.get(out.suffix.lower(), out.suffix.lower()[1:])
    )
    if form not in FORMATS:
        raise ConfigError(f"The format {form!r} is not known.", ", ".join(FORMATS), "Choose one with --format.")
    if actions is not None and outbox is None and out is None:
        raise ConfigError("The outbox has no place.", "a file that remembers what was delivered", "Give --outbox FILE.")
    for written in (out, review, outbox):
        check_output(written, files)
    engine = open_model(model)
    if actions is not None:  # a mistake in it is told before hours of reading
        from smallprint.actions.rules import read_rules

        read_rules(actions, engine.labels.names)
    weigh = weigher(engine, explain_by)
    known = None
    if similar:
        from smallprint.similar import read_similar

        known = read_similar(engine, model, training, say)
    start, scanned = time.monotonic(), []
    explain = explain or explain_by is not None
    shown = form == "table" and out is None and sys.stdout.isatty()  # the table has the same line
    for entry, document in scan_all(engine, read_documents(files), explain, weigh=weigh, headings=headings):
        if known is not None:
            known.add_to(entry, similar)
        scanned.append((entry, document))
        if "error" in entry:
            say(f"Error: {DocumentError(**entry['error'])}")
        elif not shown:
            say(f"{entry['name']}: {len(entry['findings']):,} findings in {entry['sentences']:,} sentences")
    entries = [entry for entry, _ in scanned]
    if form == "html":
        answer = render_scan(scanned, Path(model).name, engine.labels.names)
    elif form == "csv":
        answer = csv_of(entries)
    elif form == "json":
        answer = json.dumps({"documents": entries}, ensure_ascii=False, indent=1) + "\n"
    else:
        answer = "\n".join(line for entry in entries for line in tell_scan(entry)) + "\n"
    if out is None:
        sys.stdout.write(answer)
    else:
        write_text(out, answer)
        say(f"Findings: {out}")
    if review is not None:
        write_text(review, csv_text([REVIEW, *for_review(entries)]))
        say(f"For review: {review}")
    read = [entry for entry in entries if "error" not in entry]
    sentences = sum(entry["sentences"] for entry in read)
    seconds = time.monotonic() - start
    say(f"{len(read):,} of {len(entries):,} documents, {sentences:,} sentences in {seconds:.1f} s.")
    dead = 0
    if actions is not None:
        from smallprint.decide import act_on_scan

        dead = act_on_scan(engine, entries, actions, outbox or f"{out}.outbox.sqlite", say=say)["dead"]
    if len(read) < len(entries):
        raise SystemExit(4)
    if dead:
        raise SystemExit(1)
