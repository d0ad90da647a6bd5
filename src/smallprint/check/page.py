"""The findings for a person: a table in the terminal, or one HTML page that needs nothing else. In: a report. Out: text."""

from __future__ import annotations

from functools import cache
from typing import Any

from smallprint.check.command import Report
from smallprint.evaluation.page_text import printable

MARKS = {"error": "ERROR  ", "warning": "WARNING", "note": "note   "}


def tell_report(report: Report, places: int = 3) -> list[str]:
    """Gives the report as lines of text, with the first places of each finding."""
    counts = ", ".join(f"{n:,} {split}" for split, n in report.rows.items())
    lines = [report.said or report.data, f"Rows: {counts}"]
    for finding in report.findings:
        lines += [f"{MARKS[finding.severity]} {finding.found}", f"        {finding.do}"]
        for place in finding.places[:places]:
            detail = f"  ({place.detail})" if place.detail else ""
            lines.append(f"          {place.where}{detail}: {place.text[:80]}")
        if len(finding.places) > places:
            lines.append(f"          and {len(finding.places) - places} more; `--html FILE` shows them")
    worst = {severity: sum(finding.severity == severity for finding in report.findings) for severity in MARKS}
    told = ", ".join(f"{n} {severity}{'s' if n != 1 else ''}" for severity, n in worst.items() if n)
    code = " (the exit code says so with --strict)" if worst["error"] else ""
    lines.append(f"{told or 'Nothing found'}{code}; {sum(report.seconds.values()):.1f} s")
    return [printable(line) for line in lines]


def render_page(report: Report) -> str:
    """Gives the HTML page; it quotes texts, so it goes where these may go and no further."""
    findings = [
        {
            **finding.to_dict(),
            "places": [{**place.__dict__, "text": printable(place.text)} for place in finding.places],
        }
        for finding in report.findings
    ]
    return str(_template().render(report=report, findings=findings))


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loaders = [PackageLoader("smallprint", "check"), PackageLoader("smallprint", "evaluation")]
    from jinja2 import ChoiceLoader

    environment = Environment(loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html.j2")


__all__ = ["render_page", "tell_report"]
