"""The report of a run. In: its metrics, its scored test split, what is known of data and run. Out: one HTML page.

The page needs nothing else: no network, no font, no script. Everything from outside is escaped by the template; texts
may hold HTML. It quotes texts of the test split, so it goes where these texts may go and no further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.results import Metrics, ScoredSplit
from smallprint.evaluation.calibration import reliability
from smallprint.evaluation.checks import check_scored, check_thresholds
from smallprint.evaluation.confusion import count_confusion
from smallprint.evaluation.curves import build_curves
from smallprint.evaluation.doubtful import find_doubtful
from smallprint.evaluation.headline import build_headline
from smallprint.evaluation.page_text import printable
from smallprint.evaluation.parts import Part
from smallprint.evaluation.policy import Promise
from smallprint.evaluation.ranking import one_hot
from smallprint.evaluation.report_data import summarise_data
from smallprint.evaluation.report_measures import group_measures
from smallprint.evaluation.report_plots import draw_plots
from smallprint.evaluation.roc import build_roc
from smallprint.evaluation.side_by_side import Row
from smallprint.evaluation.thresholds import DEFAULT
from smallprint.evaluation.workload import ACCURACIES, threshold_curve, workload_curve
from smallprint.evaluation.workload import RECALLS as WORKLOAD_RECALLS
from smallprint.evaluation.worst import KINDS, find_confused_pairs, find_worst_errors

if TYPE_CHECKING:
    from jinja2 import Template

LONG_TABLE = 20
RECALLS = (0.25, 0.5, 0.75, 0.9)
Span = tuple[int, int]


def render_report(
    *,
    title: str,
    run: dict[str, Any],
    data: dict[str, Any],
    history: list[dict[str, float]],
    validation: Metrics,
    test: Metrics,
    scored: ScoredSplit,
    worst: int,
    doubtful: int = 0,
    baseline: Row | None = None,
    promises: Sequence[Promise] = (),
    evidence: Mapping[int, Sequence[Span]] | None = None,
    calibrated: bool = False,
    chosen_on: str = "validation",
    plots: Mapping[str, str] | None = None,
    steps: Sequence[Row] = (),
    members: Sequence[Part] = (),
    sweep: Mapping[str, Any] | None = None,
) -> str:
    """One self-contained HTML page: verdict, data, labels, measures, what each part adds, curves, worst errors, how to repeat it.

    Args:
        title: The page's heading.
        run: Any of `config` (YAML text), `command`, `versions` (a dict), `seed`, `bundle`; other keys are listed too.
        data: See `summarise_data`; `test_groups`, aligned with `scored.texts`, makes the interval one over groups.
        history: One dict an epoch, or none.
        validation: Metrics of the validation split.
        test: Metrics of the split in `scored`; its rows hold the thresholds.
        scored: The test split with texts, truth and scores.
        worst: How many errors to quote.
        doubtful: How many texts nearest to a threshold to quote.
        baseline: The leading measure of a linear baseline (A) and of the model (B) on the same examples, if there is one.
        promises: What each recall costs on new documents, where that can be promised.
        evidence: By row of the split the places of the words that carried an error's score.
        calibrated: Whether the scores were calibrated.
        chosen_on: What calibration and thresholds were chosen on, in words.
        plots: What `draw_plots` gave of this split, where it was drawn before.
        steps: Less than the model (A) beside the model (B) on the same examples; `measure` says in words what answers.
        members: What each member of a stack adds.
        sweep: What a sweep varied before it chose these settings: `trials`, `judged_by`, `verdict`, and `rows` of `key`, `before`,
            `here` and `share`; `weighed` is whether any has a share.

    Raises:
        DataError: A split without texts, arrays that do not fit, or metrics of another number of labels or examples.
    """
    from markupsafe import Markup

    check_scored(scored)
    n_outputs = np.asarray(scored.scores).shape[1]
    thresholds = np.array([row.threshold for row in test.per_label], dtype=np.float64)
    check_thresholds(thresholds, n_outputs)
    n = np.asarray(scored.scores).shape[0]
    if len(scored.texts) != n or test.n_examples != n or test.task != scored.task:
        raise DataError(
            f"The report got {len(scored.texts)} texts, scores of {n} examples ({scored.task}) and metrics of "
            f"{test.n_examples} ({test.task}).",
            "texts, scores and metrics of the same split",
            "Compute the metrics from the same scored split, with its texts.",
        )
    long = len(test.per_label) > LONG_TABLE
    per_label = sorted(test.per_label, key=lambda row: row.f1) if long else test.per_label
    bins = reliability(one_hot(np.asarray(scored.targets), n_outputs), np.asarray(scored.scores))
    errors = find_worst_errors(scored, thresholds, worst)
    workload = workload_curve(scored)
    by_threshold = None if scored.task == "multiclass" else threshold_curve(scored)
    drawn = {name: Markup(plot) for name, plot in (plots or draw_plots(scored, history, thresholds)).items()}
    kinds = [kind for kind in KINDS if any(error.kind == kind for error in errors)]
    return template_of("report.html.j2").render(
        title=title,
        run={"command": None, "config": None, "versions": None} | run,
        task=scored.task,
        label_names=scored.label_names,
        headline=build_headline(scored, thresholds, data.get("test_groups")),
        tuned=bool((thresholds != DEFAULT).any()),
        data=summarise_data(data, scored.label_names, validation, test),
        per_label=per_label,
        long=long,
        measures=group_measures(validation, test),
        history=history,
        history_columns=list(dict.fromkeys(["epoch", *(key for row in history for key in row)])) if history else [],
        learning_curves=drawn.get("learning_curves"),
        precision_recall=drawn["precision_recall"],
        curves=build_curves(scored),
        recalls=RECALLS,
        reliability=bins,
        reliability_plot=drawn["reliability"],
        calibrated=calibrated,
        chosen_on=chosen_on,
        errors={kind: [error for error in errors if error.kind == kind] for kind in kinds},
        n_errors=len(errors),
        pieces={error.row: _pieces(error.text, (evidence or {}).get(error.row, ())) for error in errors},
        doubtful=find_doubtful(scored, thresholds, doubtful),
        explained=bool(evidence),
        baseline=baseline,
        roc=build_roc(scored),
        roc_plot=drawn["roc"],
        confusion=count_confusion(scored, thresholds),
        workload=workload,
        workload_plot=drawn.get("workload"),
        wanted=ACCURACIES if scored.task == "multiclass" else WORKLOAD_RECALLS,
        by_threshold=by_threshold,
        threshold_plot=drawn.get("thresholds"),
        steps=list(steps),
        members=list(members),
        sweep=sweep,
        promises={promise.wanted: promise for promise in promises},
        confused=find_confused_pairs(scored) if scored.task == "multiclass" else [],
    )


@cache
def template_of(name: str) -> Template:
    """Gives a template of this package, with escaping on and the filters that pages share."""
    from importlib.resources import files

    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files("smallprint.evaluation")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"score": _score, "count": lambda number: f"{number:,}", "plural": _plural}
    return environment.get_template(name)


def _pieces(text: str, spans: Sequence[Span]) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is evidence; spans beyond what is quoted are left out."""
    pieces, at = [], 0
    for start, end in sorted(spans):
        if start < at or end > len(text):
            continue
        pieces += [(text[at:start], False), (text[start:end], True)]
        at = end
    return [(piece, marked) for piece, marked in [*pieces, (text[at:], False)] if piece]


def _finalize(value: Any) -> Any:
    """What the template writes: strings without forbidden characters. Markup, made here, stays as it is."""
    return printable(value) if type(value) is str else value


def _score(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)
