"""Settings are explained, and every command, flag and setting that the documents show exists."""

import re
from pathlib import Path

import pytest
import typer
import yaml

from smallprint.cli.app import app
from smallprint.core.config import Config
from smallprint.core.settings import build_config, render_config, setting_names

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", *(ROOT / "docs").rglob("*.md")]
GROUP = typer.main.get_command(app)


def shown(text: str) -> list[list[str]]:
    """Gives the words of each `smallprint ...` command in a text, up to a comment, a pipe or the end of code."""
    found = re.findall(r"(?:^|[`\s/])smallprint ([a-z][^`\n|#>)]*)", text, re.MULTILINE)
    return [command.replace("'", "").replace(chr(34), "").split() for command in found]


def wrong_parts(words: list[str]) -> list[str]:
    """Gives the parts of a command that the command line does not know."""
    command = GROUP.commands.get(words[0])
    if hasattr(command, "commands") and len(words) > 1:
        return _wrong(command.commands.get(words[1]), words[1:])
    return _wrong(command, words)


def _wrong(command, words):
    if command is None:
        return [words[0]]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }
    flags = [word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)]
    return [flag for flag in flags if flag not in options]


def code_of(path: Path) -> str:
    """Gives the code of a document: fenced blocks and back-ticked words of Markdown, all of a Makefile."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        return text
    fences = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*fences, *spans])


def test_every_setting_has_a_sentence():
    def check(section, place):
        for name, field in section.model_fields.items():
            assert field.description, f"{place}{name}"
            assert field.description.endswith("."), f"{place}{name}"
            if hasattr(field.annotation, "model_fields"):
                check(field.annotation, f"{place}{name}.")

    check(Config, "")


def test_what_config_prints_reads_back_as_the_defaults():
    assert build_config(yaml.safe_load(render_config())) == Config()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_documents_show_exists(path):
    code = code_of(path)
    assert [wrong for words in shown(code) for wrong in wrong_parts(words)] == []
    sections = "|".join(Config.model_fields)
    assert set(re.findall(rf"\b((?:{sections})\.[a-z_.]+)=", code)) <= set(setting_names())


def test_the_rule_sees_commands_and_what_is_wrong_with_them():
    assert len(shown(code_of(ROOT / "README.md"))) >= 5
    assert wrong_parts(["trian", "d"]) == ["trian"]
    assert wrong_parts(["train", "d", "--epoch", "3", "--text", "t"]) == ["--epoch"]
    assert wrong_parts(["actions", "statsu", "f"]) == ["statsu"]
    assert wrong_parts(["actions", "status", "f", "--jsn"]) == ["--jsn"]
    assert wrong_parts(["predict", "m", "-o", "out.csv"]) == []
