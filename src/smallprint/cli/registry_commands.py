"""`smallprint promote`, `rollback` and `models`: which version of a model is the one in use."""

from __future__ import annotations

from typing import Annotated

import typer

from smallprint.cli.terminal import AsJson, print_json, say

Alias = Annotated[str, typer.Option("--alias", help="Word that names the version in use.")]


def promote(
    run: Annotated[str, typer.Argument(help="Folder of a run or bundle; or NAME@VERSION, to move the alias alone.")],
    name: Annotated[str, typer.Option("--as", help="Name of the registered model; made where there is none.")],
    alias: Alias = "champion",
    margin: Annotated[
        float, typer.Option("--margin", min=0.0, max=1.0, help="How much lower it may be measured than the one before.")
    ] = 0.01,
    force: Annotated[bool, typer.Option("--force", help="Compare with nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register a run's bundle and let an alias name it.

    Refused where it is not as good as the version that the alias names, on that one's own test rows. MLflow's registry holds a copy
    of the bundle; NAME@ALIAS then stands wherever a MODEL does.
    """
    import os

    from smallprint.core.mlflow_store import tracking_uri
    from smallprint.registry.promote import promote as run_promote

    done = run_promote(run, name, alias, force=force, margin=margin, say=say)
    before = "" if done.before in (None, done.version) else f", before it version {done.before}"
    say(f"{name}@{alias} is version {done.version}{before}.")
    if done.store != tracking_uri() and not os.environ.get("MLFLOW_TRACKING_URI"):
        say(f"To find it from here: export MLFLOW_TRACKING_URI={done.store}")
    if as_json:
        print_json(done.to_dict())
    else:
        print(f"{name}@{done.version}")


def rollback(
    name: Annotated[str, typer.Argument(help="Name of the registered model.")],
    alias: Alias = "champion",
    as_json: AsJson = False,
) -> None:
    """Let an alias go back to the version before it.

    Called again it goes back further.
    """
    from smallprint.registry.promote import rollback as run_rollback

    version, before = run_rollback(name, alias)
    say(f"{name}@{alias} is version {version} again; it was version {before}.")
    if as_json:
        print_json({"name": name, "alias": alias, "version": version, "before": before})
    else:
        print(f"{name}@{version}")


def models(
    name: Annotated[str | None, typer.Argument(help="One of them, with all its versions.")] = None,
    as_json: AsJson = False,
) -> None:
    """List registered models.

    Versions, aliases, scores on each one's own test rows, when they were promoted, and by which run they were made.
    """
    from smallprint.registry.listing import list_models, tell_models

    found = list_models(name)
    if as_json:
        print_json(found)
    else:
        print("\n".join(tell_models(found, detailed=name is not None)))
