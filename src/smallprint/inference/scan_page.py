"""Findings for a person: lines for the terminal, rows of a table, or one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from smallprint.core.files import csv_text
from smallprint.documents.document import Document
from smallprint.evaluation.page_text import printable, shorten

COLUMNS = ("document", "page", "start", "end", "heading", "labels", "score", "decision", "text")
SHOWN = 160
Scanned = Sequence[tuple[dict[str, Any], Document | None]]


def tell_scan(entry: dict[str, Any]) -> list[str]:
    """Gives one document's findings as lines of text."""
    if "error" in entry:
        return [f"{entry['name']}: not read"]
    lines = [f"{entry['name']}: {len(entry['findings']):,} findings in {entry['sentences']:,} sentences"]
    lines += [f"  note: {note}" for note in entry["notes"]]
    for finding in entry["findings"]:
        text = finding["text"] if len(finding["text"]) <= SHOWN else finding["text"][: SHOWN - 1] + "…"
        where = f"page {finding['page']}, " if finding["page"] else ""
        decision = f" [{finding['decision']}]" if finding["decision"] else ""
        labels = ", ".join(f"{label} {_score(finding, label):.2f}" for label in finding["labels"]) or "for a person"
        lines.append(f"  {where}{finding['start']}-{finding['end']}  {labels}{decision}")
        lines.append(f"      {printable(text)}")
        if window := finding.get("window"):
            lines.append(
                f"      in {window['start']}-{window['end']}, one of {window['of']} windows of a long sentence"
            )
        if finding.get("evidence"):
            lines.append(f"      by: {', '.join(part['text'] for part in finding['evidence'])}")
        for like in finding.get("similar", ()):
            said = ", ".join(like["labels"]) or "no label"
            lines.append(f"      like ({like['likeness']:.2f}, {said}): {printable(shorten(like['text'], SHOWN))}")
    return lines


def csv_of(entries: Sequence[dict[str, Any]]) -> str:
    """Gives a table of all findings."""
    rows: list[Sequence[Any]] = [COLUMNS]
    for entry in entries:
        for finding in entry.get("findings", ()):
            labels = finding["labels"]
            score = _score(finding, labels[0]) if labels else max(finding["scores"].values())
            values = {**finding, "document": entry["name"], "labels": "|".join(labels), "score": f"{score:.6f}"}
            rows.append([values[name] for name in COLUMNS])
    return csv_text(rows)


def render_scan(scanned: Scanned, model: str, names: Sequence[str] = ()) -> str:
    """Gives the page: each document with its sentences marked, a list to jump by, filters, and why each kind matters.

    Args:
        scanned: Documents and what was found in them.
        model: Its name.
        names: The model's labels: where they are of law, the page says that it is no legal advice.
    """
    counts: Counter[str] = Counter()
    documents = []
    number = 0
    for entry, document in scanned:
        findings = []
        for finding in entry.get("findings", ()):
            number += 1
            shown = finding["labels"] or ["for a person"]
            counts.update(shown)
            extra: dict[str, Any] = {"number": number, "shown": shown}
            if (window := finding.get("window")) and document is not None:
                inside = printable(document.text[window["start"] : window["end"]])
                extra["window"] = {"text": shorten(inside, SHOWN)}
            similar = [
                {**like, "text": printable(shorten(like["text"], 2 * SHOWN))} for like in finding.get("similar", ())
            ]
            findings.append({"evidence": None, "window": None, **finding, **extra, "similar": similar})
        blocks = [] if document is None else _blocks(document, findings)
        documents.append({"error": None, **entry, "findings": findings, "blocks": blocks})
    labels = [name for name, _ in counts.most_common()]
    hues = {name: round(i * 360 / max(len(labels), 1)) for i, name in enumerate(labels)}
    why = {name: reasons().get(name.lower()) for name in labels}
    template = _template()
    return str(
        template.render(
            documents=documents,
            labels=labels,
            counts=counts,
            total=number,
            hues=hues,
            reasons=why,
            model=model,
            legal=is_legal(names),
        )
    )


def _blocks(document: Document, findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gives paragraphs as runs of text, each with its finding or None; no sentence goes over a line end."""
    blocks: list[dict[str, Any]] = []
    position, headings, i = 0, dict(document.headings), 0
    pages = set(document.pages)
    for line in document.text.split("\n"):
        end, at = position + len(line), position
        runs: list[tuple[str, dict[str, Any] | None]] = []
        while i < len(findings) and findings[i]["start"] < end:
            finding = findings[i]
            if finding["start"] > at:
                runs.append((printable(document.text[at : finding["start"]]), None))
            runs.append((printable(document.text[finding["start"] : finding["end"]]), finding))
            at, i = finding["end"], i + 1
        if at < end:
            runs.append((printable(document.text[at:end]), None))
        page = document.page_of(position) if position in pages else None
        blocks.append({"heading": position in headings, "runs": runs, "page": page})
        position = end + 1
    return blocks


def _score(finding: dict[str, Any], label: str) -> float:
    return float(finding["scores"].get(label, max(finding["scores"].values())))


@cache
def reasons() -> dict[str, list[str]]:
    """Gives for the label, in small letters, why it matters and on what legal basis."""
    found: dict[str, list[str]] = json.loads(
        (files("smallprint.inference") / "reasons.json").read_text(encoding="utf-8")
    )
    return found


def is_legal(names: Sequence[str]) -> bool:
    """Gives whether labels are of law: of one the legal basis is known, or they are fair and unfair; page.js has the same rule."""
    found = {name.lower() for name in names}
    return bool(found & reasons().keys()) or ("unfair" in found and found <= {"fair", "none", "unfair"})


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("smallprint", "inference"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("scan.html.j2")


__all__ = ["csv_of", "is_legal", "reasons", "render_scan", "tell_scan"]
