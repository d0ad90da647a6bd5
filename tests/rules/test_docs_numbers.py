"""Every number that README and the guide tell comes from a results file, and is what stands there now."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOLD = [
    ROOT / "README.md",
    ROOT / "docs" / "index.md",
    ROOT / "docs" / "tutorial.md",
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
]
NO_MEASURE = re.compile(  # versions, names, laws, thresholds and levels: chosen, not measured
    r"3\.1[1-4]|GPT-3\.5|CC BY 4\.0|Apache-2\.0|arXiv [\d.]+|127\.0\.0\.1|version 2\.1|"
    r"threshold 0\.5|at 0\.5|use 0\.5|0\.5 (?:is|as)|95% (?:interval|over|by)|95%\]|90% promised|promised 90%"
)
FIGURE = re.compile(r"\d+\.\d+|\d+(?:\.\d+)? ?%")


@pytest.fixture(scope="module")
def pages():
    """benchmarks/pages.py as a module."""
    place = ROOT / "benchmarks" / "pages.py"
    spec = importlib.util.spec_from_file_location("docs_pages", place)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


def typed(text):
    """Gives the measured-looking numbers of a page outside of code, links, marks and filled blocks."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!-- ([a-z0-9_]+): begin -->.*?<!-- \1: end -->", "", text, flags=re.DOTALL)
    text = re.sub(r"<!-- =[a-z0-9_.]+ -->.*?<!-- \. -->", "", text)
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", text)
    return FIGURE.findall(NO_MEASURE.sub("", text))


def test_pages_say_what_the_results_say(pages):
    assert [str(page.relative_to(ROOT)) for page, _ in pages.stale()] == [], "make pages"


@pytest.mark.parametrize("page", TOLD, ids=lambda page: page.name)
def test_no_figure_is_typed_by_hand(page):
    text = page.read_text(encoding="utf-8")
    if page.name != "references.md":
        assert typed(text) == []
    # a line that begins with a comment is no paragraph in Markdown
    assert not re.search(r"^\s*<!-- =", text, re.MULTILINE)


def test_a_changed_result_makes_its_page_stale(pages, monkeypatch):
    known = dict(pages.values())
    readme = ROOT / "README.md"
    assert pages.filled(readme, known) == readme.read_text(encoding="utf-8")
    assert pages.filled(readme, known | {"floor.nine_micro": "12.3"}) != readme.read_text(encoding="utf-8")
    monkeypatch.setitem(pages.BLOCKS[readme], "figure1_short", lambda: "other")
    assert pages.filled(readme, known) != readme.read_text(encoding="utf-8")


def test_marks_that_nothing_fills_are_refused(pages, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("about <!-- =no.such -->1<!-- . -->", encoding="utf-8")
    with pytest.raises(ValueError, match=r"no\.such"):
        pages.filled(page, {})
    page.write_text("<!-- nothing: begin -->\n<!-- nothing: end -->", encoding="utf-8")
    with pytest.raises(ValueError, match="nothing"):
        pages.filled(page, {})


def test_the_rule_sees_typed_figures():
    assert typed("It reaches 84.5, in 97% of cases.") == ["84.5", "97%"]
    assert typed("`--set x=0.3` on Python 3.11; <!-- =a.b -->84.5<!-- . --> points") == []
