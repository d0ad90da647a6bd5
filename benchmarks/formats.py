"""The same terms of service as txt, HTML, DOCX and PDF: do they give the same findings? Writes benchmarks/results/formats.json.

    python benchmarks/formats.py MODEL [--keep-times]

DOCX is written by python-docx, PDF by Chromium's print of the HTML; headings are marked there. Compared are findings as sentence and
labels, white space aside. Bare headings that would be findings without the rule that they are none are listed for reading. A scan of all
six files to HTML by the command line, its start included, is timed too.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from readme import ROOT, write_section
from smallprint.core.files import write_json

RESULTS = ROOT / "benchmarks" / "results" / "formats.json"
DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
STYLE = "<style>body { font: 12pt serif; margin: 2cm }</style>"
PAGE = ROOT / "docs" / "scan.md"


def write_formats(text: str, name: str, folder: Path, browser: str | None) -> list[Path]:
    import docx

    from smallprint.documents.plain import looks_like_heading

    lines = [line for line in text.splitlines() if line.strip()]
    heads = [
        looks_like_heading(line) for line in lines
    ]  # those that the text reader takes for headings are marked as such
    paths = [folder / f"{name}.txt", folder / f"{name}.html", folder / f"{name}.docx"]
    paths[0].write_text(text, encoding="utf-8")
    body = "\n".join(
        f"<{tag}>{html.escape(line)}</{tag}>"
        for line, tag in zip(lines, ["h2" if h else "p" for h in heads], strict=True)
    )
    menu = "<nav><a href='#'>Home</a> <a href='#'>We may change these terms at any time</a></nav>"
    page = f"<!doctype html><html><head><meta charset='utf-8'>STYLE</head><body>MENU{body}</body></html>".replace(
        "STYLE", STYLE
    )
    paths[1].write_text(page.replace("MENU", menu), encoding="utf-8")
    document = docx.Document()
    for line, head in zip(lines, heads, strict=True):
        document.add_heading(line, 2) if head else document.add_paragraph(line)
    document.save(str(paths[2]))
    if browser:
        printed = folder / "print.html"
        printed.write_text(page.replace("MENU", ""), encoding="utf-8")
        paths.append(folder / f"{name}.pdf")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={paths[-1]}", str(printed)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="left out: only write the table from the results file")
    parser.add_argument(
        "--keep-times", action="store_true", help="leave the times that were measured before: the machine is busy"
    )
    given = parser.parse_args()
    if given.model is None:
        write_section("formats", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)
        return
    from smallprint.documents.read import read_documents
    from smallprint.inference.engine import load_engine
    from smallprint.inference.scanner import scan_all, scan_document
    from smallprint.packaging.bundle import find_bundle

    engine = load_engine(find_bundle(given.model))
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    originals = sorted((DATA / "tos_documents").glob("*.txt"))
    found: dict[str, Counter[tuple[str, ...]]] = {}
    sentences, seconds, differing, bare = 0, 0.0, [], []
    with tempfile.TemporaryDirectory() as name:
        for original in originals:
            paths = write_formats(original.read_text(encoding="utf-8"), original.stem, Path(name), browser)
            for path in paths:
                start = time.perf_counter()
                entry, document = next(iter(scan_all(engine, read_documents([path]))))
                spent = time.perf_counter() - start
                kind = path.suffix[1:]
                findings = Counter(
                    ("".join(part["text"].split()), original.stem, *part["labels"]) for part in entry["findings"]
                )
                found.setdefault(kind, Counter()).update(findings)
                if kind == "txt":
                    sentences, seconds = sentences + entry["sentences"], seconds + spent
                    reference, starts = findings, {part["start"] for part in entry["findings"]}
                    assert document is not None
                    every = scan_document(engine, document, headings=True)["findings"]
                    bare += [[original.name, p["text"], *p["labels"]] for p in every if p["start"] not in starts]
                else:
                    differing += [[kind, *key] for key in (reference - findings) + (findings - reference)]
        out = Path(name) / "scan.html"
        start = time.perf_counter()
        command = [sys.executable, "-m", "smallprint", "scan", given.model, *map(str, originals), "-o", str(out)]
        subprocess.run(command, check=True, capture_output=True)
        whole = time.perf_counter() - start
    total = sum(found["txt"].values())
    same = {kind: sum((part & found["txt"]).values()) / total for kind, part in found.items()}
    extra = {kind: sum((part - found["txt"]).values()) for kind, part in found.items()}
    results: dict[str, Any] = {
        "model": type(engine.scorer).__name__,
        "findings": total,
        "sentences": sentences,
        "sentences_a_second": sentences / seconds,
        "same_findings": same,
        "more_findings": extra,
        "bare_headings": bare,
        "six_documents_to_html_seconds": whole,
    }
    if given.keep_times:
        before = json.loads(RESULTS.read_text(encoding="utf-8"))
        results |= {key: before[key] for key in ("sentences_a_second", "six_documents_to_html_seconds")}
    for kind, *rest in differing:
        print(kind, rest[1], rest[2:], rest[0][:100])
    print(results)
    write_json(RESULTS, results)
    write_section("formats", render(results), PAGE)


def render(results: dict[str, Any]) -> str:
    total = results["findings"]
    lines = ["| | the same findings as in txt | more |", "|---|---|---|"]
    for kind, share in results["same_findings"].items():
        lines.append(f"| {kind} | {round(share * total)} of {total} ({share:.1%}) | {results['more_findings'][kind]} |")
    speed = f"{results['sentences_a_second']:.0f} sentences a second (txt, {results['model']})"
    whole = results["six_documents_to_html_seconds"]
    lines += ["", f"{speed}; all six by the command line to HTML, start included: {whole:.1f} s."]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
