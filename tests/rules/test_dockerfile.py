"""What the image promises is read off its file; `benchmarks/image.py` builds and runs it where podman is."""

import fnmatch
import json
import re
import tomllib
from pathlib import Path

import pytest
import typer

from smallprint.cli.app import app
from smallprint.core.telemetry import OFF

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def steps() -> list[tuple[str, str]]:
    """Gives instructions with their arguments, lines that go on joined."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", FILE, flags=re.M)).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


STEPS = steps()
LAST = STEPS[max(number for number, (word, _) in enumerate(STEPS) if word == "FROM") :]


def of(word: str, among: list[tuple[str, str]] = LAST) -> list[str]:
    return [rest for each, rest in among if each == word]


def test_every_instruction_is_one():
    known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL"}
    assert {word for word, _ in STEPS} <= known | {"ENTRYPOINT", "CMD"}


def test_its_user_is_a_number_and_not_root():
    assert [user.isdigit() and int(user) > 0 for user in of("USER")] == [True]  # a number: Kubernetes checks it
    after = LAST[[word for word, _ in LAST].index("USER") :]
    assert not {"RUN", "COPY"} & {word for word, _ in after}
    assert f"--uid {of('USER')[0]} " in " ".join(of("RUN"))


def test_both_stages_stand_on_one_base_with_a_version():
    (base,) = of("ARG", STEPS)
    assert re.fullmatch(r"BASE=python:3\.\d+-slim", base)
    assert [each.split()[0] for each in of("FROM", STEPS)] == ["${BASE}", "${BASE}"]
    assert of("COPY") == ["--from=build /opt/smallprint /opt/smallprint"]


def test_what_is_installed_is_pinned_and_brings_no_torch():
    (install,) = [rest for rest in of("RUN", STEPS) if "pip" in rest]
    assert "-c constraints.txt" in install
    assert "--no-cache-dir" in install
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r'"\.\[([a-z,]+)\]"', install).group(1).split(",")
    needs = table["dependencies"] + [need for extra in extras for need in table["optional-dependencies"][extra]]
    names = {re.split(r"[\[<>=]", need)[0].replace("_", "-").lower() for need in needs}
    assert not {"torch", "transformers", "pytorch-lightning", "mlflow", "polars", "scikit-learn"} & names
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    assert {name for name in names if f"\n{name}==" not in f"\n{pins}"} == set()


def test_its_command_and_check_are_there():
    command = json.loads(of("ENTRYPOINT")[0]) + json.loads(of("CMD")[0])
    assert command[:2] == ["smallprint", "serve"]
    known = {option for p in typer.main.get_command(app).commands["serve"].params for option in getattr(p, "opts", [])}
    assert {word for word in command[2:] if word.startswith("--")} <= known
    assert command[command.index("--port") + 1] == of("EXPOSE")[0]
    assert of("STOPSIGNAL") == ["SIGTERM"]


def test_its_check_fails_where_nothing_answers(loopback):
    (check,) = of("HEALTHCHECK")
    program = json.loads(check.partition(" CMD ")[2])
    assert program[:2] == ["python", "-c"]
    assert f"127.0.0.1:{of('EXPOSE')[0]}/ready" in program[2]
    with pytest.raises(OSError, match="refused"):
        exec(program[2].replace(f":{of('EXPOSE')[0]}/", ":1/"))


def test_it_reports_to_nobody():
    assert f"ORT_DISABLE_TELEMETRY={OFF['ORT_DISABLE_TELEMETRY']}" in of("ENV")[0].split()


def test_only_what_is_copied_is_sent_to_the_builder():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {name for rest in of("COPY", STEPS) if "--from" not in rest for name in rest.split()[:-1]}
    assert let_in == copied
    assert all((ROOT / name).exists() for name in copied)
    assert any(fnmatch.fnmatch("**/__pycache__", line) for line in ignored)
