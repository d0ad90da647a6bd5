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
from smallprint.cli.backbones_command import backbones
from smallprint.cli.policy_command import policy
from smallprint.core.errors import ConfigError, SmallprintError


class Say:
    """Shows lines for a person on standard error, and remembers the last."""

    last = ""

    def __call__(self, line: str) -> None:
        """Shows the line."""
        self.last = line
        print(line, file=sys.stderr, flush=True)


_say = Say()
_words: list[str] = []  # what was typed


class Commands(typer.core.TyperGroup):
    """The commands, each ended with a message and an exit code of ours; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs one command.

        Raises:
            SystemExit: With the code of the error tree, 130 for Ctrl-C, 0 where the reader of a pipe has gone.
        """
        _say.last = ""
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
            return value
        except SmallprintError as error:
            _say(f"Error: {error}")
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            if not _say.last.startswith("Stopped"):  # training has told how to go on
                _say("Stopped.")
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
            _say(f"Error: {told}")
            raise SystemExit(told.exit_code) from None


app = typer.Typer(
    cls=Commands,
    help="From your team's labelled text to a model of your own.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DATA_HELP = "A csv, tsv, jsonl, parquet or xlsx file; a folder of splits; hub:OWNER/NAME[/CONFIG]; or sample."
MODEL_HELP = "Folder of a bundle or of a run."
EXTRA_HELP = "A table whose rows are added to train, and never to validation or test."
BACKBONE_HELP = "A name that `smallprint backbones` lists, a folder, a .gguf file or a Hub name; tfidf; or stack."
PROTOCOL_HELP = "Train as somebody else did: lexglue. Other settings win over it."
Text = Annotated[str | None, typer.Option("--text", help="Column with the text.")]
Labels = Annotated[str | None, typer.Option("--labels", help="Column with the labels, or several 0/1 columns: a,b,c.")]
Task = Annotated[str | None, typer.Option("--task", help="binary, multiclass or multilabel; found out when left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting; repeatable.")]


@app.command()
def train(
    data: Annotated[str | None, typer.Argument(help=DATA_HELP)] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings as YAML; see `smallprint config`.")] = None,
    settings: Sets = None,
    task: Task = None,
    text: Text = None,
    labels: Labels = None,
    group: Annotated[str | None, typer.Option("--group", help="Column whose rows stay in one split.")] = None,
    extra: Annotated[str | None, typer.Option("--extra", metavar="FILE", help=EXTRA_HELP)] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help=BACKBONE_HELP)] = None,
    adapter: Annotated[str | None, typer.Option("--adapter", help="full, lora or frozen.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Longest training in epochs.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="One seed for everything.")] = None,
    protocol: Annotated[str | None, typer.Option("--protocol", help=PROTOCOL_HELP)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run.")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with a run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train, evaluate, package and report.

    Thresholds are tuned on validation; test is opened once, at the end.
    """
    flags = {
        "data.task": task,
        "data.text": text,
        "data.labels": labels,
        "data.group": group,
        "data.extra": extra,
        "model.backbone": backbone,
        "model.adapter": adapter,
        "training.epochs": epochs,
        "training.seed": seed,
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
    overrides = [*(settings or []), *(f"{key}={_quoted(value)}" for key, value in given.items())]
    chosen = load_config(config, overrides, below)
    from smallprint import api, runs

    result = api.train(data, config=chosen, out=out, resume=resume, say=_say, command=_typed())
    for line in runs.tell(result):
        _say(line)
    if as_json:
        places = {"run": result.run, "bundle": result.bundle, "report": result.report, "metrics": result.metrics_file}
        scores = {"validation": result.validation.values, "test": result.test.values}
        _print_json({**{name: str(path) for name, path in places.items()}, **scores})


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    data: Annotated[str, typer.Argument(help=DATA_HELP)],
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    text: Text = None,
    labels: Labels = None,
    task: Task = None,
    as_json: AsJson = False,
) -> None:
    """Score a bundle on labelled data."""
    from smallprint import api, runs
    from smallprint.core.settings import load_config

    given = {"data.text": text, "data.labels": labels, "data.task": task}
    overrides = [f"{key}={_quoted(value)}" for key, value in given.items() if value is not None]
    config = load_config(None, overrides, api.load_config_of(model)).data if overrides else None
    metrics, _ = api.evaluate(model, data, split=split, config=config, say=_say)
    if as_json:
        _print_json(metrics.to_dict())
    else:
        print("\n".join(runs.table(metrics)))


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="csv, tsv, jsonl, parquet, txt; - is standard input.")
    ] = "-",
    out: Annotated[str, typer.Option("-o", "--out", help="File for the rows; - is standard output.")] = "-",
    text: Text = None,
    output_format: Annotated[str | None, typer.Option("--format", help="csv, tsv, jsonl or parquet.")] = None,
    actions: Annotated[Path | None, typer.Option("--actions", help="YAML of what is done with findings.")] = None,
    outbox: Annotated[Path | None, typer.Option("--outbox", help="File that remembers what was delivered.")] = None,
) -> None:
    """Add labels and scores to every row.

    Order and columns are kept, and the file may be larger than memory.
    """
    from smallprint import api, decide

    engine = api.load(model)
    if source == "-" and sys.stdin.isatty():
        _say("Reading texts from the keyboard, one a line; end with Ctrl-D.")
    if actions is None:
        api.predict_file(engine, source, out, text=text, output_format=output_format, say=_say)
        return
    counts = decide.act(engine, source, out, actions, outbox, text=text, output_format=output_format, say=_say)
    if counts["dead"]:
        raise SystemExit(1)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Which table: unfair-tos.")],
    data: Annotated[str | None, typer.Option("--data", help="Its folder; the Hub's copy when left out.")] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows", help="Some of linear, frozen, light, lora, full, upper, stack, mpnet, best, distilled: a,b,c."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=50, help="Trainings of each system.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Only the rows that cost minutes.")] = False,
    mpnet: Annotated[
        str | None, typer.Option("--mpnet", help="Folder of mpnet-base, for mpnet, best, distilled.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of runs and results.")] = Path("runs/bench"),
    as_json: AsJson = False,
) -> None:
    """Print a published table and our own rows.

    What is trained in --out already is not trained again; what was stopped goes on.
    """
    from smallprint.bench.command import run_bench

    chosen = rows.split(",") if rows else None
    figure, lines = run_bench(name, data, chosen, seeds, quick=quick, mpnet=mpnet, out=out, say=_say)
    if as_json:
        _print_json(figure)
    else:
        print("\n".join(lines))


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Write the HTML report of a run again."""
    from smallprint import api

    print(api.report(run))


@app.command()
def config(
    file: Annotated[Path | None, typer.Option("--config", help="Settings to start from.")] = None, settings: Sets = None
) -> None:
    """Print every setting with its explanation, as YAML."""
    from smallprint.core.settings import load_config, render_config

    print(render_config(load_config(file, settings or [])), end="")


@app.command()
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
    command = ["server", "--backend-store-uri", f"sqlite:///{store}", "--host", "127.0.0.1", "--port", str(port)]
    raise SystemExit(subprocess.call([sys.executable, "-m", "mlflow", *command]))


app.command()(policy)
app.command()(backbones)


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
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("DO_NOT_TRACK", "1"),
        ("MLFLOW_LOGGING_LEVEL", "ERROR"),
    ):
        os.environ.setdefault(name, value)
    global _words
    _words = sys.argv[1:] if arguments is None else arguments
    app(args=arguments, prog_name="smallprint")


def _quoted(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, ensure_ascii=False))


def _typed() -> str:
    import shlex

    return shlex.join(["smallprint", *_words])
