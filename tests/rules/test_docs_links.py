"""Links of README, docs and the files beside them lead somewhere: to a file, a heading, or a function of the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CODE_OF_CONDUCT")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
WRITTEN = {ROOT / "docs" / "reference" / name for name in ("commands.md", "settings.md")}  # by the site's hooks


def plain(text):
    """Gives a page without code."""
    return re.sub(r"`[^`\n]*`", "code", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


def links(text):
    return re.findall(r"\]\(([^)\s]+)\)", plain(text))


def headings(text):
    """Gives the anchors of a page, as both GitHub and the site's table of contents make them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


def names(path):
    """Gives functions, classes and methods of a module in lower case, methods as class.method."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name.lower())
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}".lower() for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


def broken(page, link):
    """Gives why a link leads nowhere, or None."""
    if re.match(r"https?:", link):
        return None
    target, _, anchor = link.partition("#")
    path = (page.parent / target).resolve() if target else page
    if path in WRITTEN:
        return None
    if not path.exists():
        return f"{link}: no such file"
    if anchor:
        known = names(path) if path.suffix == ".py" else headings(path.read_text(encoding="utf-8"))
        if anchor.lower() not in known:
            return f"{link}: no such place"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert [told for link in links(page.read_text(encoding="utf-8")) if (told := broken(page, link))] == []


def test_the_tour_goes_through_the_source():
    tour = links((ROOT / "docs" / "guide" / "tour.md").read_text(encoding="utf-8"))
    files = {link.partition("#")[0] for link in tour if ".py#" in link}
    assert len(files) >= 20
    for part in (
        "data",
        "modeling",
        "training",
        "evaluation",
        "packaging",
        "inference",
        "documents",
        "actions",
        "serve",
    ):
        assert any(f"/{part}/" in file for file in files), part


def test_the_rule_sees_what_is_wrong():
    page = ROOT / "README.md"
    assert broken(page, "docs/nothing.md")
    assert broken(page, "#no-such-heading")
    assert broken(page, "src/smallprint/api.py#no_such_function")
    assert broken(page, "src/smallprint/api.py#train") is None
    assert broken(page, "#two-commands") is None
    assert links("`[no](link)` and [yes](docs/x.md)") == ["docs/x.md"]


def test_readme_can_be_read_in_one_go():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


def test_no_section_is_empty():
    for page in PAGES:
        text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"))
        parts = re.split(
            r"^(#+) .+$", re.sub(r"^```.*?^```", "code", text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE
        )
        for mark, body, deeper in zip(parts[1::2], parts[2::2], [*parts[3::2], ""], strict=True):
            assert body.strip() or len(deeper) > len(mark), f"{page.name}: an empty section"
