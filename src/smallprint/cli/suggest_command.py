"""`smallprint suggest`: which texts are worth labelling next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import MODEL_HELP, Text, say


def suggest(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    texts: Annotated[str, typer.Argument(help="csv, tsv, jsonl, parquet, txt; - is standard input.")],
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 100,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="CSV; standard output when left out.")] = None,
    text: Text = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the texts that are drawn at random.")] = 42,
) -> None:
    """Name the texts worth labelling next.

    The table has text, labels (the model's, to be corrected) and reason; corrected, it goes into training by --extra.
    """
    from smallprint.core.files import check_output, csv_text, write_text
    from smallprint.data.stream import open_rows
    from smallprint.inference.engine import open_model
    from smallprint.inference.predictor import encoding_of
    from smallprint.inference.suggest import suggest_texts

    check_output(out, [texts])  # the texts that were not chosen would be lost
    engine = open_model(model)
    found: list[str] = []
    with open_rows(texts, text=text, encoding=encoding_of(engine, None)) as stream:
        for frame in stream:
            found += ["" if value is None else str(value) for value in frame[stream.text]]
    chosen = suggest_texts(engine, found, number, seed)
    named = engine.predict([found[part.index] for part in chosen]).labels
    column = "labels" if engine.labels.task == "multilabel" else "label"
    rows = [(found[part.index], "|".join(names), part.reason) for part, names in zip(chosen, named, strict=True)]
    table = csv_text([("text", column, "reason"), *rows])
    if out is None:
        sys.stdout.write(table)
    else:
        write_text(out, table)
    say(f"{len(chosen):,} of {len(found):,} texts.")
