"""`smallprint actions status`, `retry` and `clear`: what an outbox holds, and what is done with what was given up or is long delivered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import AsJson, Command, print_json, say

actions = typer.Typer(
    help="Look after an outbox of --actions.\n\nShow what waits and what was given up, try that again, forget what is long delivered.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
File = Annotated[
    Path,
    typer.Argument(help="The outbox: OUT.outbox.sqlite, ACTIONS.outbox.sqlite of a server, or what --outbox named."),
]
Names = Annotated[list[str] | None, typer.Option("--action", help="Of this action alone; repeatable.")]


@actions.command(cls=Command)
def status(
    file: File,
    action: Names = None,
    texts: Annotated[bool, typer.Option("--texts", help="Show the texts of dead letters, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what waits, what is delivered and what was given up.

    For each action, with how long the oldest has waited; dead letters with what was told of their last try. Works beside a server that
    delivers; refused while `predict` or `scan` does.
    """
    from smallprint.actions.upkeep import read_status, tell_status

    found = read_status(file, action, texts=texts)
    if as_json:
        print_json(found)
    else:
        print("\n".join(tell_status(found)))


@actions.command(cls=Command)
def retry(file: File, action: Names = None, as_json: AsJson = False) -> None:
    """Make dead letters wait again.

    The server, `predict` or `scan` that next delivers from this outbox tries them, with all tries before it. Refused while another
    process delivers from it.
    """
    from smallprint.actions.upkeep import retry as run_retry

    count = run_retry(file, action)
    if as_json:
        print_json({"retried": count})
    else:
        say(f"{count:,} wait again, for whoever next delivers from {file}." if count else "There are no dead letters.")


@actions.command(cls=Command)
def clear(
    file: File,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0.0, help="Delivered at least so many days ago.")
    ],
    action: Names = None,
    dead: Annotated[bool, typer.Option("--dead", help="Forget what was given up so long ago, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget what was delivered long ago.

    A key that is forgotten is delivered again if its document comes again: choose more days than documents take to come twice. What
    was delivered by a release that noted no time counts from when this one first opened the file. Refused while another process
    delivers from it.
    """
    from smallprint.actions.upkeep import clear as run_clear

    count = run_clear(file, older_than, action, dead=dead)
    if as_json:
        print_json({"forgotten": count})
    else:
        what = "delivered or given up" if dead else "delivered"
        say(f"{count:,} forgotten." if count else f"Nothing was {what} {older_than:g} days ago or before.")
