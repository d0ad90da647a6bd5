"""The image is not built here: what it promises is read off its file, and its command is one that there is."""

import json
import re
from pathlib import Path

import typer

from smallprint.cli.app import app

FILE = Path(__file__).parents[2] / "Dockerfile"
LINES = FILE.read_text(encoding="utf-8").splitlines()


def line(word: str) -> str:
    return next(line.removeprefix(word).strip() for line in reversed(LINES) if line.startswith(word))


def test_nobody_is_root_in_it():
    assert line("USER") not in ("root", "0", "")


def test_its_extras_bring_no_torch():
    import tomllib

    table = tomllib.loads((FILE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r'"\.\[([a-z,]+)\]"', FILE.read_text(encoding="utf-8")).group(1).split(",")
    needs = table["dependencies"] + [need for extra in extras for need in table["optional-dependencies"][extra]]
    heavy = {"torch", "transformers", "pytorch-lightning", "mlflow", "polars", "scikit-learn"}
    assert not heavy & {re.split(r"[\[<>=]", need)[0] for need in needs}


def test_its_command_and_check_are_there():
    command = json.loads(line("ENTRYPOINT")) + json.loads(line("CMD"))
    assert command[:2] == ["smallprint", "serve"]
    known = {option for p in typer.main.get_command(app).commands["serve"].params for option in getattr(p, "opts", [])}
    assert {word for word in command[2:] if word.startswith("--")} <= known
    assert "/ready" in next(line for line in LINES if "urlopen" in line)
