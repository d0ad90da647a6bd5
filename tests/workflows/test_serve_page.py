"""The page in a real browser: paste, drop, filter, correct, export; nothing asked of anybody else, nothing said on the console.

With SMALLPRINT_SCREENSHOTS=FOLDER it leaves pictures for the docs there.
"""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from smallprint.inference.scan_page import is_legal, reasons

playwright = pytest.importorskip("playwright.sync_api")
from test_serve import Server  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="there is no browser"),
    pytest.mark.usefixtures("loopback"),
]
TEXT = "COLOURS\n\nWe may use scarlet at any time. Nothing is here.\n\n<b>You will see</b> the ocean 😀 and moss. We may use crimson ink."
SCREENSHOTS = os.environ.get("SMALLPRINT_SCREENSHOTS")


@pytest.fixture(scope="module")
def server(toy_run):
    # for pictures the real thing
    server = Server(f"terms={os.environ['SMALLPRINT_BUNDLE']}" if SCREENSHOTS else f"toy={toy_run}")
    yield server
    server.end()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    context = browser.new_context(accept_downloads=True, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.said, page.asked, acted_on = [], [], []
    page.on("console", lambda message: page.said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.on(
        "request", lambda each: acted_on.append(each.url) if each.headers.get("smallprint-actions") != "none" else None
    )
    page.goto(server.url)
    page.wait_for_selector("#version:not(:empty)")
    yield page
    assert page.said == []
    assert [url for url in page.asked if not url.startswith((server.url, "data:", "blob:"))] == []
    assert [url for url in acted_on if "/v1/" in url] == [], "what a person tries is not acted on"
    context.close()


def read(page, text=TEXT):
    page.fill("#text", text)
    page.click("#read")
    page.wait_for_selector("#result:not([hidden])")


def saved(page, button):
    with page.expect_download() as found:
        page.click(button)
    return Path(found.value.path()).read_text(encoding="utf-8")


def marks(page):
    return page.eval_on_selector_all("mark", "all => all.map(each => each.firstChild.textContent)")


@pytest.mark.parametrize(
    ("names", "legal"),
    [
        (["red", "green"], False),
        (["Arbitration", "other"], True),
        (["none", "unfair"], True),
        (["unfair", "rude"], False),
    ],
)
def test_labels_of_law_alone_are_said_to_be_no_legal_advice(page, server, names, legal):
    known = {name: " ".join(reasons()[name.lower()]) for name in names if name.lower() in reasons()}
    page.route("**/v1/labels*", lambda route: route.fulfill(json={"labels": names, "reasons": known}))
    with page.expect_response("**/v1/labels*"):
        page.reload()
    page.wait_for_function(f"document.getElementById('legal').hidden !== {str(legal).lower()}")
    page.wait_for_timeout(100)
    assert ("no legal advice" in page.locator("footer").inner_text()) == legal == is_legal(names)


def test_paste_filter_correct_export(page):
    read(page)
    found = marks(page)
    assert "We may use scarlet at any time." in found
    assert any("😀" in text for text in found), "offsets count characters, whatever JavaScript counts"
    assert page.locator("article b").count() == 0, "text stays text"
    n = page.locator("#list li").count()
    assert page.locator("#count").inner_text() == f"{n} findings"
    # filter
    page.locator("#filters input[value=red]").uncheck()
    assert "We may use crimson ink." not in marks(page) or page.locator("#list li").count() < n
    page.locator("#filters input[value=red]").check()
    assert page.locator("#list li").count() == n
    # slider
    counts = []
    for point in range(5):
        page.locator("#point").fill(str(point))
        counts.append(page.locator("#list li").count())
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[4]
    page.locator("#point").fill("2")
    # a finding, its words, a correction
    page.locator("mark", has_text="crimson ink").click()
    assert page.locator("#detail").is_visible()
    page.click("#explain")
    page.locator("#evidence", has_text="For ").wait_for()
    assert "crimson" in page.locator("#detail-text u").all_inner_texts()
    for box in page.locator("#correct input:checked").all():
        box.uncheck()
    page.locator("#correct input[value=green]").check()
    page.click("#keep")
    assert page.locator("mark.corrected").count() == 1
    [row] = csv.DictReader(saved(page, "#save-corrections").splitlines())
    assert (row["text"], row["labels"], row["document"]) == ("We may use crimson ink.", "green", "pasted text")
    # export
    rows = [*csv.DictReader(saved(page, "#save-csv").splitlines())]
    assert [row["text"] for row in rows] == marks(page)
    tree = json.loads(saved(page, "#save-json"))
    assert [finding["text"] for finding in tree["findings"]] == marks(page)
    html = saved(page, "#save-html")
    assert "scarlet" in html
    assert "<b>You" not in html
    assert "<script" not in html


def test_what_was_corrected_trains_the_next_model(page, labelled_frame, tmp_path):
    from smallprint import api
    from smallprint.core.settings import build_config

    read(page)
    page.locator("mark", has_text="crimson ink").click()
    for box in page.locator("#correct input:checked").all():
        box.uncheck()
    page.locator("#correct input[value=green]").check()
    page.click("#keep")
    (tmp_path / "more.csv").write_text(saved(page, "#save-corrections"), encoding="utf-8")
    labelled_frame("multilabel", 160).write_parquet(tmp_path / "d.parquet")
    tree = {
        "model": {"backbone": "tfidf"},
        "tracking": {"enabled": False},
        "data": {"extra": str(tmp_path / "more.csv")},
    }
    api.train(str(tmp_path / "d.parquet"), config=build_config(tree), out=tmp_path / "run")


@pytest.mark.parametrize("kind", ["txt", "html", "pdf"])
def test_a_file_is_read(page, browser, tmp_path, kind):
    file = tmp_path / f"terms.{kind}"
    if kind == "pdf":
        other = browser.new_page()
        other.set_content("<p>We may use scarlet at any time.</p><p>Nothing is here.</p>")
        other.pdf(path=str(file))
        other.close()
    else:
        file.write_text("<html><body><p>We may use scarlet at any time.</p></body></html>" if kind == "html" else TEXT)
    page.set_input_files("#file", str(file))
    page.wait_for_selector("#result:not([hidden])")
    assert "We may use scarlet at any time." in marks(page)
    assert page.locator("article h2").inner_text() == file.name


def test_a_file_that_cannot_be_read_is_told(page, tmp_path):
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 broken")
    page.set_input_files("#file", str(tmp_path / "bad.pdf"))
    page.wait_for_selector("#result:not([hidden])")
    assert "bad.pdf" in page.locator("article p").inner_text()
    page.click("#read")
    assert page.locator("#said").inner_text() == "There is no text yet."


def test_by_keyboard_alone(page):
    page.locator("#text").focus()
    page.keyboard.insert_text(TEXT)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "MARK"
    page.keyboard.press("Enter")
    assert page.locator("#detail").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#detail").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_no_serious_barrier_and_no_sideways_scrolling(page, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 850})
    where = "" if not SCREENSHOTS else Path(os.environ["SMALLPRINT_DOCUMENT"]).read_text(encoding="utf-8")
    read(page, where or TEXT)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/serve-{width}-{scheme}.png")
    for opened in (False, True):
        if opened:
            page.locator("mark").first.click()
        found = axe.Axe().run(page).response["violations"]
        serious = [
            (each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")
        ]
        assert serious == []
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/serve-finding-{width}-{scheme}.png")


def test_a_key_is_asked_for_and_kept_in_the_tab(browser, server, tmp_path):
    from smallprint.serve.keys import make_key

    key = make_key("anna", tmp_path / "keys.txt")
    bundle = server.process.args[4]
    other = Server(bundle, "--keys", tmp_path / "keys.txt")
    try:
        page = browser.new_page()
        page.goto(other.url)
        page.wait_for_selector("#key-form:not([hidden])")
        page.fill("#key", key)
        page.press("#key", "Enter")
        page.wait_for_selector("#version:not(:empty)")
        assert page.evaluate("localStorage.length") == 0
        read(page)
        assert marks(page)
    finally:
        other.end()
