"""What all commands share: lines for a person, JSON for a program, and the options that several of them take."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from smallprint.core.errors import ConfigError


class Say:
    """Shows lines for a person on standard error, and remembers the last."""

    last = ""

    def __call__(self, line: str) -> None:
        """Shows the line."""
        self.last = line
        print(line, file=sys.stderr, flush=True)


def speak_utf8() -> None:
    """Has standard output be UTF-8 where another program reads it, whatever the system's code page is.

    A terminal keeps its own. What neither can show (half of a character in a file's name) is written as its number, which JSON reads.
    """
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper) and "PYTHONIOENCODING" not in os.environ:
        if stream.isatty():
            stream.reconfigure(errors="backslashreplace")
        else:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


say = Say()
words: list[str] = []  # what was typed

DATA_HELP = "A csv, tsv, jsonl, parquet or xlsx file; a folder of splits; hub:OWNER/NAME[/CONFIG]; or sample."
MODEL_HELP = "Folder of a bundle or of a run; or NAME@ALIAS or NAME@VERSION of a registered model."
Text = Annotated[str | None, typer.Option("--text", help="Column with the text.")]
Labels = Annotated[str | None, typer.Option("--labels", help="Column with the labels, or several 0/1 columns: a,b,c.")]
Task = Annotated[str | None, typer.Option("--task", help="binary, multiclass or multilabel; found out when left out.")]
Group = Annotated[str | None, typer.Option("--group", help="Column whose rows stay in one split.")]
Settings = Annotated[Path | None, typer.Option("--config", help="Settings as YAML; see `smallprint config`.")]
Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        help="A name that `smallprint backbones` lists, a folder, a .gguf file or a Hub name; tfidf; static; or stack.",
    ),
]
ENCODING_HELP = "Of text that is not UTF-8, such as windows-1252."
Encoding = Annotated[str | None, typer.Option("--encoding", help=ENCODING_HELP)]
Adapter = Annotated[str | None, typer.Option("--adapter", help="full, lora or frozen.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting; repeatable.")]


class Command(typer.core.TyperCommand):
    """One command; of an option that takes one value it does not silently take the last of several."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the words after the command's name.

        Raises:
            ConfigError: An option stands twice.
        """
        given = self.make_parser(ctx).parse_args(list(args))[2]
        for option in given:
            one_value = option.param_type_name == "option" and not (
                option.multiple or getattr(option, "is_flag", False)
            )
            if one_value and given.count(option) > 1:
                raise ConfigError(
                    f"{max(option.opts, key=len)} stands {given.count(option)} times.",
                    "one value, as this option takes no more",
                    f"Leave out all but one; `{ctx.command_path} --help` says what it takes.",
                )
        return super().parse_args(ctx, args)


def quoted(value: Any) -> str:
    """Gives a value as YAML reads it back."""
    return json.dumps(value, ensure_ascii=False)


def overrides(settings: list[str] | None, flags: dict[str, Any]) -> list[str]:
    """Gives what `--set` said, and after it, so that they win, the flags that were given."""
    return [*(settings or []), *(f"{key}={quoted(value)}" for key, value in flags.items() if value is not None)]


def print_json(value: Any) -> None:
    """Prints a value on standard output."""
    print(json.dumps(value, ensure_ascii=False))


def typed() -> str:
    """Gives the command line as it was typed."""
    return shlex.join(["smallprint", *words])
