"""`smallprint check`: what is wrong with the data, before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallprint.cli.terminal import (
    DATA_HELP,
    AsJson,
    Encoding,
    Group,
    Labels,
    Sets,
    Settings,
    Task,
    Text,
    overrides,
    print_json,
    say,
)


def check(
    data: Annotated[str, typer.Argument(help=DATA_HELP)],
    text: Text = None,
    labels: Labels = None,
    task: Task = None,
    group: Group = None,
    encoding: Encoding = None,
    config: Settings = None,
    settings: Sets = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Find labels in doubt and texts alike in meaning too; takes a minute or more."),
    ] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with the rows; it quotes texts.")] = None,
    fix: Annotated[Path | None, typer.Option("--fix", help="Write a cleaned copy into this new folder.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 3 where there are errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with the data.

    Rows, copies, labels, groups and splits. Nothing is changed; --fix writes a copy and a log of every change.
    """
    from smallprint.check.command import check_data, clean_data
    from smallprint.check.page import render_page, tell_report
    from smallprint.check.rows import BLANK
    from smallprint.core.files import check_new, check_output, write_text
    from smallprint.core.progress import counted
    from smallprint.core.settings import load_config
    from smallprint.data.read import data_files

    check_output(html, data_files(data), "Name another with --html.")
    if fix is not None:
        check_new(fix)
    flags = {
        "data.text": text,
        "data.labels": labels,
        "data.task": task,
        "data.group": group,
        "data.encoding": encoding,
    }
    columns = load_config(config, overrides(settings, flags)).data
    report = check_data(data, columns, deep=deep, say=say)
    if as_json:
        print_json(report.to_dict())
    else:
        print("\n".join(tell_report(report)))
    if html is not None:
        write_text(html, render_page(report))
        say(f"Page: {html}")
    if fix is not None:
        for change, count in clean_data(data, columns, fix).items():
            say(f"{count:,} x {change}")
        say(f"Cleaned copy: {fix}; every change stands in {fix / 'changes.jsonl'}")
        left = [
            found
            for found in report.findings
            if found.severity == "error"
            and (found.kind != BLANK or any(place.split == "test" for place in found.places))
        ]
        if left:
            say(
                f"{counted(len(left), 'error')} of the above that only you can mend {'is' if len(left) == 1 else 'are'} in it as well."
            )
    if strict and any(finding.severity == "error" for finding in report.findings):
        raise SystemExit(3)
