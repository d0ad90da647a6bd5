"""Every block of code that the documents show: shell lines parse against the command line, Python compiles, YAML reads, files exist."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from smallprint.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
GROUP = typer.main.get_command(app)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def blocks(text, *languages):
    """Gives the fenced blocks of a page in these languages; blocks in a list are dedented."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [
        re.sub(f"^{indent}", "", code, flags=re.MULTILINE) for indent, language, code in found if language in languages
    ]


def commands(text):
    """Gives each shell command of a page as words, without comments; a pipe and && part commands, a backslash joins lines."""
    for block in blocks(text, "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            start = 0
            for k, word in enumerate([*words, "|"]):
                if word in ("|", "&&", ">", ";"):
                    if words[start:k]:
                        yield words[start:k]
                    start = k + 1


def fault(words):
    """Gives what is wrong with a command, or None; names of programs that are not ours are not judged."""
    while words and ("=" in words[0] or words[0] in ("srun", "export")):
        words = words[1:]
    if words[:2] == ["smallprint", "--version"] or not words:
        return None
    if "-m" in words and words[words.index("-m") + 1 : words.index("-m") + 2] == ["smallprint"]:
        words = words[words.index("-m") + 1 :]  # under torchrun
    if words[0] == "smallprint":
        command = GROUP.commands.get(words[1])
        if hasattr(command, "commands") and len(words) > 2:
            command, words = command.commands.get(words[2]), words[1:]
        if command is None:
            return f"no command {words[1]}"
        try:
            command.make_context(words[1], words[2:])
        except Exception as error:  # click's own, or Typer's copy of it, by version
            if not hasattr(error, "format_message"):
                raise
            return f"{words[1]}: {error.format_message()}"
    if words[0] == "make":
        return next((f"no target {word}" for word in words[1:] if "=" not in word and word not in TARGETS), None)
    if words[0] == "python" and len(words) > 1 and words[1].endswith(".py"):
        return None if (ROOT / words[1]).exists() else f"no file {words[1]}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_so(page):
    text = page.read_text(encoding="utf-8")
    assert [told for words in commands(text) if (told := fault(words))] == []
    for code in blocks(text, "python"):
        compile(code, str(page), "exec")
    for code in blocks(text, "yaml"):
        yaml.safe_load(code)
    for code in blocks(text, "json"):
        json.loads(code)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))
    for script in re.findall(r"python (\S+\.py)", "\n".join(inline)):
        assert (ROOT / script).exists(), script
    for target in re.findall(r"^make ([a-z]+)", "\n".join(inline), re.MULTILINE):
        assert target in TARGETS, target
    for extra in re.findall(r"smallprint\[([a-z,]+)\]", text):
        assert set(extra.split(",")) <= set(EXTRAS), extra


@pytest.mark.parametrize(
    "line",
    [
        "smallprint trian data.csv",
        "smallprint train data.csv --backbon tfidf",
        "smallprint train data.csv --epochs three",
        "smallprint predict",
        "smallprint actions statsu FILE",
        "smallprint actions clear FILE --younger-than 3",
        "make dmeo",
        "python benchmarks/nothing.py",
        "torchrun --nnodes 2 -m smallprint train DATA --devises 4",
    ],
)
def test_the_rule_sees_what_is_wrong(line):
    found = list(commands(f"```sh\n{line}  # a comment\n```"))
    assert len(found) == 1
    assert fault(found[0])


def test_the_rule_reads_pipes_comments_and_lists():
    text = "1. first\n\n    ```sh\n    cat a.txt | smallprint predict M  # said\n    ```\n"
    assert list(commands(text)) == [["cat", "a.txt"], ["smallprint", "predict", "M"]]
