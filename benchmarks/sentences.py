"""Where sentences end in terms of service, judged by hand: ours, nupunkt's, pysbd's and a regular expression's. Writes
benchmarks/results/sentences.json.

    python benchmarks/sentences.py

Judged is every stop within a paragraph at the beginning of the six documents (tests/documents/boundaries.jsonl); ends of paragraphs,
which all find, are not counted. Seconds are of all six documents whole.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from readme import ROOT, write_section
from smallprint.core.files import write_json
from smallprint.documents.sentences import split_sentences

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared")) / "tos_documents"
RESULTS = ROOT / "benchmarks" / "results" / "sentences.json"


def by_expression(text: str) -> set[int]:
    return {match.end() for match in re.finditer(r"[.!?][\"”’)]*(?=\s+[A-Z“\"(])", text)}


def by_nupunkt(text: str) -> set[int]:
    import nupunkt

    return {end - len(text[start:end]) + len(text[start:end].rstrip()) for start, end in nupunkt.sent_spans(text)}


def by_pysbd(text: str) -> set[int]:
    import pysbd

    splitter = pysbd.Segmenter(language="en", clean=False, char_span=True)
    ends, position = set(), 0
    for line in text.splitlines(keepends=True):
        for span in splitter.segment(line):
            ends.add(position + span.start + len(span.sent.rstrip()))
        position += len(line)
    return ends


def main() -> None:
    judged = [
        json.loads(line)
        for line in (ROOT / "tests/documents/boundaries.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(DATA.glob("*.txt"))}
    splitters: dict[str, Callable[[str], set[int]]] = {
        "smallprint": lambda text: {end for _, end in split_sentences(text)},
        "nupunkt": by_nupunkt,
        "pysbd": by_pysbd,
        "regular expression": by_expression,
    }
    results: dict[str, Any] = {"judged": len(judged), "boundaries": sum(row["ends"] for row in judged)}
    for name, split in splitters.items():
        split("Once. To begin.")
        start = time.perf_counter()
        ends = {document: split(text) for document, text in texts.items()}
        seconds = time.perf_counter() - start
        given = [row["at"] in ends[row["document"]] for row in judged]
        right = sum(row["ends"] and said for row, said in zip(judged, given, strict=True))
        f1 = 2 * right / (sum(row["ends"] for row in judged) + sum(given))
        results[name] = {
            "f1": f1,
            "wrong": sum(r["ends"] != s for r, s in zip(judged, given, strict=True)),
            "seconds": seconds,
        }
        print(f"{name:20} F1 {f1:.4f}  {seconds:.3f} s", flush=True)
    write_json(RESULTS, results)
    write_section("sentences", render(results), ROOT / "docs" / "scan.md")


def render(results: dict[str, Any]) -> str:
    """Gives the table."""
    lines = [
        f"| n = {results['judged']} stops | F1 of boundaries | wrong | seconds, six documents |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['f1']:.4f} | {row['wrong']} | {row['seconds']:.2f} |"
        for name, row in results.items()
        if isinstance(row, dict)
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
