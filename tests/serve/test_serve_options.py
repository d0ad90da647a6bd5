"""The command's options are the server's limits: each has one, with the same default."""

import inspect
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from smallprint.cli.app import app
from smallprint.cli.serve_command import serve
from smallprint.serve import run
from smallprint.serve.settings import ServeSettings

OWN = {"models", "rate", "rules", "reload_seconds"}  # made by the command or the server itself


@pytest.fixture
def settings(monkeypatch):
    """`settings(*options)`: what the command would serve with."""
    seen = []
    monkeypatch.setattr(run, "run", lambda given, say: seen.append(given) or 0)

    def give(*options):
        done = CliRunner().invoke(app, ["serve", "toy=nowhere", *options])
        assert done.exit_code == 0, done.output
        return seen.pop()

    return give


def test_every_limit_is_an_option_with_its_default(settings):
    assert settings() == ServeSettings((("toy", "nowhere"),))
    assert {field.name for field in fields(ServeSettings)} - OWN <= {*inspect.signature(serve).parameters}


NUMBERS = [field.name for field in fields(ServeSettings) if field.type in ("int", "float") and field.name not in OWN]


@pytest.mark.parametrize("name", [*NUMBERS, "rate"])
def test_an_option_is_heard(settings, name):
    assert getattr(settings(f"--{name.replace('_', '-')}", "7"), name) == 7
