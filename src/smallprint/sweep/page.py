"""The page of a sweep. In: what sweep.json holds. Out: one HTML page that needs nothing else; it quotes no texts of examples."""

from __future__ import annotations

from functools import cache
from typing import Any

from smallprint.evaluation.page_text import printable
from smallprint.runs import HEADLINES
from smallprint.sweep.plots import plot_importances, plot_parallel, plot_trials
from smallprint.sweep.result import settings_of, told, verdict


def render_page(found: dict[str, Any]) -> str:
    """Gives the page."""
    from markupsafe import Markup

    importances = found["importances"]
    values = found["test"]["values"]
    return str(
        _template().render(
            found=found,
            verdict=verdict(found),
            winner_settings=settings_of(found["best"]["settings"]) if found["difference"] else "",
            trials_plot=Markup(plot_trials(found)),
            importances_plot=Markup(plot_importances(importances)) if importances else None,
            parallel=Markup(plot_parallel(found)),
            ranked=sorted(found["trials"], key=lambda t: (t["state"] != "complete", -(t["value"] or 0.0), t["index"])),
            headlines=[(name, values[name]) for name in HEADLINES if name in values],
            domains={key: describe_domain(domain) for key, domain in found["space"].items()},
        )
    )


def describe_domain(domain: dict[str, Any]) -> str:
    """Gives a domain in words."""
    if "choices" in domain:
        words = ", ".join(told(choice) for choice in domain["choices"])
    else:
        words = f"{domain['low']:g} to {domain['high']:g}" + (", by factors" if domain.get("log") else "")
    when = "; ".join(f"{key} is {' or '.join(map(told, values))}" for key, values in domain.get("when", {}).items())
    return f"{words} (where {when})" if when else words


@cache
def _template() -> Any:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("smallprint", "sweep"), PackageLoader("smallprint", "evaluation")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {"told": told, "score": lambda value: "–" if value is None else f"{value:.4f}"}
    return environment.get_template("page.html.j2")
