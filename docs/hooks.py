"""What mkdocs does beyond Markdown here. In: pages that also read well as plain files. Out: a site that needs nothing outside itself.

- A link to a file of the repository outside docs/ becomes a page of the site that shows the file, with an anchor for each function.
- A picture NAME-light.png has NAME-dark.png beside it, and the theme shows the one that fits.
- A figure (docs/figures/*.svg) is put into the page itself, so that it follows the theme's light and dark.
- reference/commands.md and settings.md are written from the command line and the settings themselves.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(#[^)\s]*)?(?=\))")
FIGURE = re.compile(r'<p>\s*<img alt="([^"]*)" src="[^"]*?([a-z0-9_-]+)\.svg"\s*/?>\s*</p>')
MARK = re.compile(r"<!-- (?:=[a-z0-9_.]+|\.|[a-z0-9_]+: (?:begin|end)) -->")
PICTURE = re.compile(r"(!\[[^\]]*\]\([^)\s]+)-light\.png\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".json": "json", ".yml": "yaml", ".toml": "toml", ".csv": "text", ".jsonl": "json"}
EXIT_CODES = (
    "Written from the command line itself; `smallprint COMMAND --help` says the same. Exit codes: 0 done, 1 a bug (or actions that were "
    "given up), 2 wrong use or settings, 3 data, 4 document, 5 training, 6 bundle, 7 export, 8 something optional is not installed, "
    "9 monitor: something moved, 130 stopped by Ctrl-C."
)
LONGEST = 60_000  # characters of a file that a page shows


def repository_path(link: str, page: str) -> str | None:
    """Gives the path in the repository that a link of a page leads to, where it leads out of docs/ and something is there."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return None if path.startswith("docs/") or path.startswith("..") or not (ROOT / path).exists() else path


def on_config(config: Any) -> Any:
    """Puts every decision, and every how-to page that mkdocs.yml does not name, into the navigation."""
    named = set(re.findall(r"[\w/.-]+\.md", str(config.nav)))
    docs = Path(config.docs_dir)
    more = [f"{path.relative_to(docs)}" for folder in (".", "how-to") for path in sorted((docs / folder).glob("*.md"))]
    for section in config.nav:
        if "How to" in section:
            section["How to"] += [page for page in more if page not in named]
        if "Decisions" in section:
            section["Decisions"] = [f"decisions/{path.name}" for path in sorted((docs / "decisions").glob("*.md"))]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds a page for each linked file of the repository, and the pages that are written from the code."""
    linked = {
        path
        for file in files.documentation_pages()
        for link, _ in LINK.findall(FENCE.sub("", file.content_string))
        if (path := repository_path(link, file.src_uri))
    }
    for path in [path for path in linked if path.endswith(".svg")]:
        files.append(
            File.generated(
                config, f"figures/{posixpath.basename(path)}", content=(ROOT / path).read_text(encoding="utf-8")
            )
        )
        linked.remove(path)
    written = {f"source/{path}.md": show_file(path) for path in sorted(linked)}
    written |= {"reference/commands.md": show_commands(), "reference/settings.md": show_settings()}
    for place, text in written.items():
        files.append(File.generated(config, place, content=text, inclusion=_included(place)))
    return files


def _included(place: str) -> Any:
    from mkdocs.structure.files import InclusionLevel

    return InclusionLevel.NOT_IN_NAV if place.startswith("source/") else InclusionLevel.INCLUDED


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links out of docs/ into links to the pages that show these files; takes out the marks of `benchmarks/pages.py`."""

    def turn(found: re.Match[str]) -> str:
        path = repository_path(found.group(1), page.file.src_uri)
        if path is None:
            return found.group()
        here = posixpath.dirname(page.file.src_uri)
        if path.endswith(".svg"):
            return posixpath.relpath(f"figures/{posixpath.basename(path)}", here or ".")
        return posixpath.relpath(f"source/{path}.md", here or ".") + (found.group(2) or "").lower()

    return LINK.sub(turn, PICTURE.sub(r"\1-light.png#only-light)\n\1-dark.png#only-dark)", MARK.sub("", markdown)))


def on_page_content(html: str, **_: Any) -> str:
    """Puts each figure into the page; the page's colours take the place of the figure's own."""

    def put(found: re.Match[str]) -> str:
        file = next((ROOT / folder / f"{found.group(2)}.svg" for folder in ("docs/figures", "benchmarks/results")
                     if (ROOT / folder / f"{found.group(2)}.svg").exists()), None)  # fmt: skip
        if file is None:
            return found.group()
        svg = re.sub(r":root\{.*?\}\}", "", file.read_text(encoding="utf-8"), count=1, flags=re.DOTALL)
        return f'<div class="drawn">{svg}<p>{found.group(1)}</p></div>'

    return FIGURE.sub(put, html)


def show_file(path: str) -> str:
    """Gives a page that shows a file, a heading for each function and class of Python, or lists a folder."""
    file = ROOT / path
    head = f"---\nsearch:\n  exclude: true\nhide: [navigation]\n---\n# {path}\n"
    if file.is_dir():
        names = sorted(child.name for child in file.iterdir() if not child.name.startswith((".", "__")))
        return head + "\n" + "\n".join(f"- `{name}`" for name in names)
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return head + "\n".join(show_python(text))
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "\n... (the file goes on)"
    return head + f"\n````{LANGUAGES.get(file.suffix, 'text')}\n{shown}\n````\n"


def show_python(text: str) -> list[str]:
    """Gives a module in pieces: what stands before the first function, then each function and class under its name."""
    lines, start, parts = text.splitlines(), 1, []
    named = [
        node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    for node in named:
        first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
        parts += _piece(lines[start - 1 : first - 1], start)
        methods = (
            [part.name for part in ast.walk(node) if isinstance(part, ast.FunctionDef)]
            if isinstance(node, ast.ClassDef)
            else []
        )
        anchors = "".join(f'<span id="{node.name.lower()}.{name.lower()}"></span>' for name in dict.fromkeys(methods))
        parts += [
            f"\n## {node.name} {{#{node.name.lower()}}}\n",
            anchors,
            *_piece(lines[first - 1 : node.end_lineno], first),
        ]
        start = (node.end_lineno or 0) + 1
    return [*parts, *_piece(lines[start - 1 :], start)]


def _piece(lines: list[str], start: int) -> list[str]:
    while lines and not lines[0].strip():
        lines, start = lines[1:], start + 1
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return [f'\n````python linenums="{start}"\n' + "\n".join(lines) + "\n````\n"] if lines else []


def show_commands() -> str:
    """Gives the reference of the command line from the Typer application."""
    import typer.main

    from smallprint.cli.app import app

    parts = ["# Commands", "", EXIT_CODES, ""]
    for name, command in _commands(typer.main.get_command(app)):
        usage = " ".join(_argument(part) for part in command.params if part.param_type_name == "argument")
        parts += [
            f"## {name}",
            "",
            f"`smallprint {name} {usage}`".replace(" `", "`"),
            "",
            (command.help or "").strip(),
            "",
        ]
        rows = [
            f"| {', '.join(f'`{flag}`' for flag in option.opts + option.secondary_opts)} | {_cell(option.help)} | {_default(option)} |"
            for option in command.params
            if option.param_type_name == "option" and option.name != "help"
        ]
        rows = [
            f"| `{_argument(part)}` | {_cell(part.help)} | |"
            for part in command.params
            if part.param_type_name == "argument"
        ] + rows
        if rows:
            parts += ["| option | does | default |", "|---|---|---|", *rows, ""]
    return "\n".join(parts)


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every command with its words; one that holds others is those."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} ")
        else:
            yield f"{before}{name}", command


def _argument(part: Any) -> str:
    name = part.metavar or (part.name or "").upper()
    return f"[{name}]" if not part.required else f"{name}..." if part.nargs == -1 else name


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


def _default(option: Any) -> str:
    value = option.default
    return "" if value is None or value is False or value == () or callable(value) else f"`{value}`"


def show_settings() -> str:
    """Gives the reference of the settings: what `smallprint config` prints."""
    from smallprint.core.settings import render_config

    return (
        "# Settings\n\nWhat `smallprint config` prints: every setting with its default and a sentence. A YAML file is given with "
        "`--config`, single ones with `--set section.key=value`; the nearest valid name is told where one is misspelt.\n\n"
        f"```yaml\n{render_config()}```\n"
    )
