"""The comparison of two models for a person: one HTML page, or lines. In: a `Comparison` and both names. Out: text.

The page needs nothing else: no network, no script. It quotes texts, so it goes where these may go and no further.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from smallprint.evaluation.report import template_of
from smallprint.evaluation.report_measures import TASKS
from smallprint.evaluation.side_by_side import KINDS, Comparison, Row


def render_comparison(comparison: Comparison, a: dict[str, Any], b: dict[str, Any]) -> str:
    """Gives the page.

    Args:
        comparison: Of both.
        a: Of the first model: `name`, and any of `command`, `seed`, `fingerprint`, `versions`, `git_commit`.
        b: Of the second.
    """
    pairs = [
        (key, f"Any label: {text}" if heading.startswith("Any label") else text)
        for heading, group in TASKS[comparison.task].items()
        for key, text in group.items()
    ]
    often = Counter(text for _, text in pairs)
    words = {key: f"{text} ({key})" if often[text] > 1 else text for key, text in pairs}
    return template_of("side_by_side.html.j2").render(
        comparison=comparison,
        a=a,
        b=b,
        words=words,
        verdict=verdict(comparison, str(a["name"]), str(b["name"])),
        examples={kind: [each for each in comparison.examples if each.kind == kind] for kind in KINDS},
    )


def verdict(comparison: Comparison, a: str, b: str) -> str:
    """Gives in a sentence which is better by the leading measure, where the interval allows it."""
    lead = comparison.lead
    if not lead.verdict:
        return f"Neither is shown to be better than the other by {_name(lead)}."
    better, other = (b, a) if lead.verdict == "B" else (a, b)
    return f"{better} is better than {other} by {_name(lead)}."


def tell_comparison(comparison: Comparison, a: str, b: str) -> list[str]:
    """Gives the comparison as lines of text."""
    drawn = f"{comparison.units:,} {'groups' if comparison.over_groups else 'examples'}"
    lines = [
        f"A: {a}",
        f"B: {b}",
        f"{comparison.n_examples:,} test examples; differences are B - A, {comparison.level:.0%} intervals over {drawn}",
    ]
    lines += [comparison.shared] if comparison.shared else []
    width = max(len(row.measure) for row in [*comparison.measures, *comparison.labels])
    for row in [*[row for row in comparison.measures if row.paired], *comparison.labels]:
        assert row.paired is not None
        told = f"{row.paired.difference:+.3f} [{row.paired.low:+.3f}, {row.paired.high:+.3f}]"
        better = f"  {row.verdict} better" if row.verdict else ""
        lines.append(f"{row.measure:<{width}}  {row.a:.3f}  {row.b:.3f}  {told}{better}")
    lines.append(", ".join(f"{kind}: {n:,}" for kind, n in comparison.differing.items()))
    return [*lines, verdict(comparison, a, b)]


def _name(row: Row) -> str:
    return {"f1_macro": "macro F1", "f1": "F1", "accuracy": "accuracy"}.get(row.measure, row.measure)


__all__ = ["render_comparison", "tell_comparison", "verdict"]
