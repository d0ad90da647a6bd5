"""The site builds without a network and without a warning, asks nobody for anything, and can be searched."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site's builder is not installed: pip install '.[docs]'")

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the built site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    environment = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?([^\"'\s>]+)", html)
        loaded += re.findall(r"<link\b(?![^>]*rel=[\"']?canonical)[^>]*\bhref=[\"']?([^\"'\s>]+)", html)
        assert [place for place in loaded if re.match(r"(?:https?:)?//", place)] == [], page.name
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"url\([\"']?https?:", styles)


def test_every_page_is_there_and_marks_are_not(site):
    for path in (ROOT / "docs").rglob("*.md"):
        html = (site / path.relative_to(ROOT / "docs")).with_suffix(".html").read_text(encoding="utf-8")
        assert ": begin --" not in html
        assert "<!-- =" not in html
    tour = (site / "guide" / "tour.html").read_text(encoding="utf-8")
    assert "../source/src/smallprint/api.py.html#train" in tour
    assert 'id="train"' in (site / "source" / "src" / "smallprint" / "api.py.html").read_text(encoding="utf-8")
    assert 'id="textclassifier.embed"' in (site / "source/src/smallprint/modeling/classifier.py.html").read_text(
        encoding="utf-8"
    )
    assert "<svg" in (site / "guide" / "architecture.html").read_text(encoding="utf-8")


def test_commands_settings_and_functions_are_in_the_reference(site):
    commands, settings, python = (
        (site / "reference" / f"{name}.html").read_text(encoding="utf-8") for name in ("commands", "settings", "python")
    )
    assert 'id="train"' in commands
    assert "--backbone" in commands
    assert "warmup_ratio" in settings
    assert 'id="smallprint.api.train"' in python
    assert "Gives a model of your own" in python


def test_the_search_finds_what_pages_say(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert any("bootstrap" in entry["text"] for entry in index["docs"])
    assert not any(entry["location"].startswith("source/") for entry in index["docs"])


@pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no chromium")
def test_a_browser_searches_from_the_disk_in_the_dark_and_asks_nobody(site):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_context(color_scheme="dark").new_page()
        asked, failed = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto((site / "guide" / "architecture.html").as_uri())
        assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
        ink = page.evaluate("getComputedStyle(document.querySelector('.drawn svg text')).fill")
        assert min(map(int, re.findall(r"\d+", ink)[:3])) > 150, "dark words on a dark page"
        page.click(".md-search__input")
        page.keyboard.type("directive consumer")
        page.wait_for_selector(".md-search-result__item", timeout=20_000)
        found = [link.get_attribute("href") for link in page.locator(".md-search-result__link").all()]
        assert any("guide/problem" in place for place in found)
        browser.close()
    assert failed == []
    assert [place for place in asked if not place.startswith(("file:", "data:", "blob:"))] == []
