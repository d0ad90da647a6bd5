"""Documents in, findings out: every sentence is read, and those that the model labels are given with their places.

In: an engine and documents. Out: plain dicts, the same for JSON, CSV, the terminal and the page (`scan_page.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from smallprint.core.errors import ConfigError, DocumentError
from smallprint.core.progress import counted
from smallprint.documents.document import Document
from smallprint.documents.headings import bare_headings
from smallprint.documents.sentences import split_sentences
from smallprint.inference.engine import Asked
from smallprint.inference.evidence import tell_evidence
from smallprint.inference.long_texts import read_whole

REVIEW = ("text", "labels", "document", "place")
Weigh = Callable[[Asked, str, str], list[dict[str, Any]]]
EXPLAINED = 200  # findings of a document whose words are weighed: each costs as many sentences as it has words


def scan_document(
    engine: Asked,
    document: Document,
    explain: bool = False,
    every: bool = False,
    weigh: Weigh = tell_evidence,
    headings: bool = False,
) -> dict[str, Any]:
    """Gives the findings of one document, in its order.

    Args:
        engine: Any.
        document: As `read_documents` gives them.
        explain: Say which words carried each finding's first label.
        every: Give `scored` too: start, end and scores (in the order of `labels.score_names`) of every sentence that can be a finding.
        weigh: How words are weighed: `tell_evidence` or `gradients.tell_gradients`.
        headings: A bare heading ("14. Arbitration"), which is no clause, can be a finding too; else a note says how many would be.

    Returns:
        `name`, `characters`, `pages`, `sentences`, `notes`, and `findings`, each with `text`, `start`, `end` (half-open, in
        characters of the extracted text), `page` (from 1, or null), `heading` (or null), `labels`, `scores` (of every label),
        `decision` (null without a policy), of a sentence that is longer than the model reads at once `window` (`start`, `end`
        in characters of the extracted text, `of`: how many there are) that scores its first label highest, and with `explain`
        `evidence` (`start`, `end` in the sentence, `text`, `weight`).
    """
    spans = split_sentences(document.text)
    texts = [document.text[start:end] for start, end in spans]
    reading = read_whole(engine, texts)
    given = reading.given
    names, several = list(given.label_names), engine.labels.task == "multilabel"
    fair = "" if several or engine.labels.task == "multiclass" else engine.labels.names[0]
    bare = set() if headings else bare_headings(document, spans)
    passed = 0
    findings: list[dict[str, Any]] = []
    for i, (start, end) in enumerate(spans):
        decision = None if given.decisions is None else given.decisions[i]
        labels = [label for label in given.labels[i] if label != fair]
        if not labels and decision != "person":
            continue
        if i in bare:
            passed += 1
            continue
        scores = dict(zip(names, given.scores[i].astype(float).round(6).tolist(), strict=True))
        finding: dict[str, Any] = {
            "text": texts[i],
            "start": start,
            "end": end,
            "page": document.page_of(start),
            "heading": document.heading_of(start),
            "labels": sorted(labels, key=lambda label: -scores.get(label, 0.0)),
            "scores": scores,
            "decision": decision,
        }
        label = _first_label(finding)
        place = (0, len(texts[i]))
        if i in reading.windows:
            place = reading.windows[i].best(names.index(label))
            finding["window"] = {
                "start": start + place[0],
                "end": start + place[1],
                "of": len(reading.windows[i].places),
            }
        if explain and len(findings) < EXPLAINED:
            finding["evidence"] = _evidence(engine, texts[i], place, label, weigh)
        findings.append(finding)
    notes = [*document.notes]
    long = f"longer than the model reads at once ({engine.max_length} tokens)"
    if reading.windows:
        notes.append(f"{counted(len(reading.windows), 'sentence')} {long} and read in windows.")
    if reading.cut:
        notes.append(f"{counted(reading.cut, 'sentence')} {long}; the end was not read.")
    if passed:
        notes.append(
            f"{counted(passed, 'bare heading')} would be flagged or sent to a person, and {'is' if passed == 1 else 'are'} no finding."
        )
    entry = {
        "name": document.name,
        "characters": len(document.text),
        "pages": len(document.pages) or None,
        "sentences": len(spans),
        "notes": notes,
        "findings": findings,
    }
    if every:
        rows = given.scores.astype(float).round(6).tolist()
        entry["scored"] = [[*spans[i], rows[i]] for i in range(len(spans)) if i not in bare]
    return entry


def scan_all(
    engine: Asked,
    read: Iterable[tuple[str, Document | DocumentError]],
    explain: bool = False,
    every: bool = False,
    weigh: Weigh = tell_evidence,
    headings: bool = False,
) -> Iterable[tuple[dict[str, Any], Document | None]]:
    """Gives findings and text of each document; of one that could not be read `name` and `error`, and no text."""
    for name, document in read:
        if isinstance(document, DocumentError):
            error = {"found": document.found, "expected": document.expected, "do": document.do}
            yield {"name": name, "error": error}, None
        else:
            yield scan_document(engine, document, explain, every, weigh, headings), document


def weigher(engine: Asked, name: str | None) -> Weigh:
    """Gives the way to weigh words by its name, 'occlusion' or 'gradients'; None is occlusion.

    Raises:
        ConfigError: There is no such way, or this model has no gradients.
        MissingExtraError: captum, which gradients need, is not installed.
    """
    if name in (None, "occlusion"):
        return tell_evidence
    if name != "gradients":
        raise ConfigError(f"Words cannot be weighed by {name!r}.", "occlusion or gradients", "Choose one of these.")
    from smallprint.inference.gradients import check_gradients, tell_gradients

    check_gradients(engine)
    return tell_gradients


def for_review(scanned: Iterable[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Gives rows for a person to correct: text, labels (joined by '|'), document and place, as `REVIEW` names them.

    Where the model has a policy these are the sentences that it leaves to a person, else all findings. The corrected table goes
    into the next training by `--extra`.
    """
    return [
        (finding["text"], "|".join(finding["labels"]), entry["name"], f"{finding['start']}-{finding['end']}")
        for entry in scanned
        for finding in entry.get("findings", ())
        if finding["decision"] in (None, "person")
    ]


def _first_label(finding: dict[str, Any]) -> str:
    """Gives the label that is explained: the likeliest that was given and has a score, else the likeliest."""
    scores: dict[str, float] = finding["scores"]
    return next((name for name in finding["labels"] if name in scores), max(scores, key=scores.__getitem__))


def _evidence(engine: Asked, text: str, place: tuple[int, int], label: str, weigh: Weigh) -> list[dict[str, Any]]:
    """Gives the evidence of the part of a text that the model read, with places in the whole."""
    start, end = place
    return [
        {**part, "start": part["start"] + start, "end": part["end"] + start}
        for part in weigh(engine, text[start:end], label)
    ]


__all__ = ["REVIEW", "Weigh", "for_review", "scan_all", "scan_document", "weigher"]
