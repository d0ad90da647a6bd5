"""What actions are done with: a finding for each label that was given. In: answers of a model. Out: findings, and those in the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from smallprint.actions.outbox import Outbox, key_of
from smallprint.actions.rules import Finding, Rule
from smallprint.core.results import Prediction


def of_texts(document: str, texts: Sequence[str], given: Prediction) -> list[dict[str, Any]]:
    """Gives the findings of texts as `predict` gives those of a table's rows: row (from 1), label, score, decision, text.

    A text that goes to a person without a label has its likeliest; a blank one has none.
    """
    names = list(given.label_names)
    decisions: Sequence[str | None] = given.decisions or [None] * len(texts)
    findings = []
    rows = zip(texts, given.labels, given.scores.tolist(), decisions, strict=True)
    for row, (text, labels, scores, decision) in enumerate(rows, start=1):
        if not text.strip():
            continue
        score_of = dict(zip(names, scores, strict=True))
        taken = [name for name in labels if name in score_of]
        if not taken and decision == "person":
            taken = [max(names, key=score_of.__getitem__)]
        for label in taken:
            finding = {"document": document, "row": row, "label": label, "score": score_of[label]}
            findings.append({**finding, "decision": decision, "text": text})
    return findings


def of_document(document: str, found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Gives what a scan found for each of its labels, or for the likeliest where it goes to a person without one."""
    findings = []
    for finding in found:
        scores = finding["scores"]
        labels = finding["labels"] or [max(scores, key=scores.__getitem__)]
        kept = {key: finding[key] for key in ("start", "end", "page", "heading", "decision", "text")}
        findings += [{"document": document, "label": label, "score": scores.get(label), **kept} for label in labels]
    return findings


def put(outbox: Outbox, rules: Iterable[Rule], model: str, findings: Sequence[Finding]) -> None:
    """Puts into the outbox what each action takes of the findings.

    Args:
        outbox: Where to.
        rules: The actions.
        model: What tells the model apart: its weights' hash.
        findings: In order.
    """
    for rule in rules:
        taken = [finding for finding in findings if rule.takes(finding)]
        outbox.add(rule.name, [(key_of(rule.name, model, finding), finding) for finding in taken])


__all__ = ["of_document", "of_texts", "put"]
