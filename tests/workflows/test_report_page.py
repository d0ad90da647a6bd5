"""Report and comparison in a real browser: nothing on the console, nothing asked of anybody, no sideways scrolling, no barrier.

With SMALLPRINT_SCREENSHOTS=FOLDER it leaves pictures there.
"""

import os
import shutil

import polars as pl
import pytest

from smallprint import papers, versus
from smallprint.core.run import open_run

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="there is no browser"),
    pytest.mark.usefixtures("loopback"),
]
SCREENSHOTS = os.environ.get("SMALLPRINT_SCREENSHOTS")


@pytest.fixture(scope="module")
def pages(toy_run, labelled_frame, tmp_path_factory):
    """A report of each task and a comparison."""
    from smallprint import api
    from smallprint.core.settings import build_config

    root = tmp_path_factory.mktemp("pages")
    found = {"multilabel": papers.write_report(open_run(toy_run), "smallprint train x")}
    for task in ("binary", "multiclass"):
        frame = labelled_frame(task, 120)
        names = sorted(set(frame["label"]))
        wrong = [names[(names.index(name) + (row % 7 == 0)) % len(names)] for row, name in enumerate(frame["label"])]
        frame.with_columns(pl.Series("label", wrong)).write_csv(
            root / f"{task}.csv"
        )  # so that there are errors to show
        config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
        found[task] = api.train(str(root / f"{task}.csv"), config=config, out=root / task).report
    found["comparison"] = root / "comparison.html"
    versus.compare_models(root / "binary", root / "binary", out=found["comparison"])
    return found


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (360, "dark")])
@pytest.mark.parametrize("name", ["multilabel", "binary", "multiclass", "comparison"])
def test_a_page_stands_alone_and_bars_nobody(browser, pages, name, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    unnamed = page.eval_on_selector_all(
        "svg", "all => all.filter(each => !each.querySelector('title') || !each.getAttribute('role'))"
    )
    assert unnamed == []
    figures = page.locator("figure").count()
    assert page.locator("figure + details table, figure + .scroll table").count() == figures, (
        "a table behind each picture"
    )
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}-{width}-{scheme}.png", full_page=True)
    context.close()


def test_reports_are_small(pages):
    assert all(path.stat().st_size < 3_000_000 for path in pages.values())
