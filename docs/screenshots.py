"""Takes pictures of the pages that smallprint makes. In: a run on the sample corpus. Out: docs/figures/{scan,report,serve}-SCHEME.png.

    smallprint train sample --out RUN
    python docs/screenshots.py RUN

and docs/figures/scan-print.png: the printed page, its list and its document.
Needs playwright, pypdfium2 and chromium. The document is a company of the sample corpus that the run has not learned from: no real
company is shown.
Unlike the drawn figures their bytes change with the browser, so no test compares them.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from smallprint.data.read import open_source

FIGURES = Path(__file__).resolve().parent / "figures"
SIZE = {"width": 1180, "height": 720}


def write_document(folder: Path) -> Path:
    """Writes the clauses of a company of the sample's test split as one page of HTML."""
    rows = open_source("sample").read(None).filter(pl.col("split") == "test")
    company = rows["company"][0]
    texts = rows.filter(pl.col("company") == company)["text"].to_list()
    file = folder / "terms.html"
    body = "".join(f"<p>{text}</p>" for text in texts)
    file.write_text(
        f"<html><head><title>{company}</title></head><body><h1>{company}</h1>{body}</body></html>", encoding="utf-8"
    )
    return file


def shoot(browser: Any, address: str, name: str, act: Any = None) -> None:
    """Takes a page in light and dark, after `act(page)`."""
    for scheme in ("light", "dark"):
        page = browser.new_context(color_scheme=scheme, viewport=SIZE).new_page()
        page.goto(address)
        if act:
            act(page)
        page.wait_for_timeout(400)
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.convert("RGB").quantize(96).save(FIGURES / f"{name}-{scheme}.png", optimize=True)


def shoot_print(browser: Any, address: str, name: str) -> None:
    """Prints a page as a PDF, from a dark screen, and takes its first sheet and the first of the document side by side."""
    import pypdfium2

    page = browser.new_context(color_scheme="dark").new_page()
    page.goto(address)
    pdf = pypdfium2.PdfDocument(page.pdf(format="A4"))
    first = next(i for i in range(1, len(pdf)) if "sentences are marked" in pdf[i].get_textpage().get_text_range())
    sheets = [pdf[i].render(scale=1.1).to_pil() for i in (0, first)]
    pdf.close()
    gap = 24
    both = Image.new("RGB", (sum(sheet.width + gap for sheet in sheets) + gap, sheets[0].height + 2 * gap), "#999")
    for i, sheet in enumerate(sheets):
        both.paste(sheet, (gap + i * (sheet.width + gap), gap))
    both.quantize(160).save(FIGURES / f"{name}-print.png", optimize=True)


def to_findings(page: Any) -> None:
    """Goes to a finding amid others, by the page's own key."""
    for _ in range(4):
        page.keyboard.press("j")
        page.wait_for_timeout(200)


def wait_for(address: str) -> None:
    """Returns when the server answers."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{address}/ready", timeout=5)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"{address} does not answer")


def main() -> None:
    from playwright.sync_api import sync_playwright

    run = Path(sys.argv[1]).resolve()
    smallprint = [sys.executable, "-m", "smallprint"]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        document = write_document(folder)
        subprocess.run(
            [*smallprint, "scan", str(run), "terms.html", "--explain", "-o", "findings.html"], check=True, cwd=folder
        )
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shoot(browser, (folder / "findings.html").as_uri(), "scan", to_findings)
        shoot_print(browser, (folder / "findings.html").as_uri(), "scan")
        shoot(browser, (run / "report.html").as_uri(), "report")
        server = subprocess.Popen(
            [*smallprint, "serve", f"terms={run}", "--port", "0"], stderr=subprocess.PIPE, text=True, env=os.environ
        )
        try:
            assert server.stderr is not None
            address = "http://" + server.stderr.readline().partition("http://")[2].partition(";")[0].strip()
            wait_for(address)
            text = "\n\n".join(
                part.partition("</p>")[0] for part in document.read_text(encoding="utf-8").split("<p>")[1:]
            )

            def paste(page: Any) -> None:
                page.wait_for_selector("#version:not(:empty)")
                page.fill("#text", text)
                page.click("#read")
                page.wait_for_selector("#result:not([hidden])")
                page.locator("body").click(position={"x": 5, "y": 5})
                to_findings(page)

            shoot(browser, address, "serve", paste)
        finally:
            server.terminate()
        browser.close()


if __name__ == "__main__":
    main()
