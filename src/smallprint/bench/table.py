"""From measured systems to the table: rows in, JSON, Markdown and a chart out. Every number comes from a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from smallprint.bench.collect import Collected, Cost, Truth
from smallprint.bench.measure import MEASURES, RANKED, SeedResult, counts_of, interval_of, measure_seed, seed_mean
from smallprint.bench.published import read_published
from smallprint.core.config import EvaluationConfig
from smallprint.core.progress import counted
from smallprint.evaluation.compare import almost_stochastic_order, approximate_randomisation, paired_bootstrap

WITH_INTERVAL = ("nine_macro", "nine_macro_tuned", "eight_macro", "binary_f1")
COMPARED = {"nine_macro": "macro F1, 9, at 0.5", "nine_macro_tuned": "macro F1, 9, tuned"}
SHOWN = (
    ("nine_micro", "micro, 9"),
    ("nine_macro", "macro, 9"),
    ("nine_micro_tuned", "micro, 9, tuned"),
    ("nine_macro_tuned", "macro, 9, tuned"),
    ("eight_micro", "micro, 8, tuned"),
    ("eight_macro", "macro, 8, tuned"),
    ("binary_f1", "binary F1, tuned"),
    ("binary_ap", "binary PR-AUC"),
    ("ece_calibrated", "ECE, %"),
)


def published_rows() -> list[dict[str, Any]]:
    """Gives the published systems, scores in [0, 1]."""
    return [
        {
            "title": row["model"],
            "source": row["source"],
            "mean": {"nine_micro": float(row["micro_f1"]) / 100, "nine_macro": float(row["macro_f1"]) / 100},
        }
        for row in read_published()
    ]


def measured_row(
    title: str, results: Sequence[SeedResult], groups: Sequence[object] | None, cost: Cost | None = None
) -> dict[str, Any]:
    """Gives a row of ours: each seed, mean, spread (standard deviation over seeds), the seed that validation chooses, intervals."""
    names = [name for name in (*MEASURES, *RANKED) if name in results[0].values]
    table = {name: [result.values[name] for result in results] for name in names}
    best = max(results, key=lambda result: result.chosen_by)
    intervals = {name: interval_of(results, name, groups) for name in WITH_INTERVAL if name in names}
    row: dict[str, Any] = {
        "title": title,
        "source": "measured",
        "n_test": len(results[0].counts["nine"]),
        "seeds": [result.seed for result in results],
        "by_seed": table,
        "mean": {name: float(np.mean(values)) for name, values in table.items()},
        "spread": {name: float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for name, values in table.items()},
        "interval": {name: [part.low, part.high] for name, part in intervals.items() if part},
        "best_by_validation": {"seed": best.seed, **best.values},
    }
    if cost:
        row["cost"] = asdict(cost)
    return row


def compare_rows(
    ours: Sequence[SeedResult], baseline: Sequence[SeedResult], groups: Sequence[object] | None, measure: str
) -> dict[str, Any]:
    """Gives how a system stands to the baseline by one measure: paired difference over documents, its interval, p, and ASO over seeds."""
    what, statistic = MEASURES[measure]
    seeds = min(len(ours), len(baseline))
    a, b = counts_of(baseline[:seeds], what), counts_of(ours[:seeds], what)
    mean = seed_mean([statistic] * seeds)
    paired = paired_bootstrap(a, b, mean, groups=groups)
    row: dict[str, Any] = {
        "difference": paired.difference,
        "interval": [paired.low, paired.high],
        "better": paired.better,
        "p_randomisation": approximate_randomisation(a, b, mean, groups=groups),
    }
    if seeds > 1:
        scores = ([r.values[measure] for r in part[:seeds]] for part in (ours, baseline))
        row["aso_epsilon"] = almost_stochastic_order(*(np.array(part) for part in scores))
    return row


def build_rows(systems: Sequence[Collected], truth: Truth) -> list[dict[str, Any]]:
    """Gives the rows of all systems, each beside the linear baseline where that was trained."""
    groups = truth.test_groups if any(group is not None for group in truth.test_groups) else None
    measured = {
        part.system.name: [
            measure_seed(seed, truth.validation, truth.test, truth.validation_groups) for seed in part.seeds
        ]
        for part in systems
    }
    rows = []
    for part in systems:
        results = measured[part.system.name]
        row = {"name": part.system.name, **measured_row(part.system.title, results, groups, part.cost)}
        row["thresholds"] = EvaluationConfig().threshold
        if part.system.note:
            row["note"] = part.system.note
        if "linear" in measured and part.system.name != "linear":
            row["against_linear"] = {name: compare_rows(results, measured["linear"], groups, name) for name in COMPARED}
        rows.append(row)
    return rows


def render_figure(figure: dict[str, Any]) -> str:
    """Gives the table, the notes that have to stand beside it, and how each row stands to the linear one, as Markdown."""
    parts = [render_markdown(figure), "\n".join(f"- {note}" for note in render_notes(figure)), render_pairs(figure)]
    return "\n\n".join(part for part in parts if part)


def render_markdown(figure: dict[str, Any]) -> str:
    """Gives the table as Markdown: percent, mean over seeds, ± the spread over seeds, [95% interval over documents]."""
    heads = [title for _, title in SHOWN]
    lines = [
        "| system | " + " | ".join(heads) + " | seeds | training | MB | clauses/s |",
        "|---" * (len(heads) + 5) + "|",
    ]
    for row in figure["rows"]:
        cells = [_cell(row, name) for name, _ in SHOWN]
        cost = row.get("cost")
        tail = [
            str(len(row["seeds"])) if "cost" in row else "",
            _duration(cost["train_seconds"]) if cost and cost["train_seconds"] else "",
            f"{cost['size_mb']:.0f}" if cost and cost["size_mb"] else "",
            f"{cost['clauses_per_second']:,.0f}" if cost and cost["clauses_per_second"] else "",
        ]
        lines.append(f"| {row['title']} | " + " | ".join([*cells, *tail]) + " |")
        if len(row.get("seeds", [])) > 1:
            best = [_percent(row["best_by_validation"].get(name)) for name, _ in SHOWN]
            lines.append(
                f"| _its best of {len(row['seeds'])} by validation_ | " + " | ".join([*best, *[""] * 4]) + " |"
            )
    return "\n".join(lines)


def render_notes(figure: dict[str, Any]) -> list[str]:
    """Gives what has to stand beside the table, in words: n, duplicates, what the brackets are, who is better."""
    data = figure["data"]
    known = data["documents"] is not None
    documents = f"{data['documents']} documents" if known else "documents that the data does not name"
    drawn = "documents" if known else "clauses, which makes it too narrow: clauses of a document are alike"
    lines = [
        f"Test: {data['n_test']:,} clauses of {documents}; {data['test_in_train']} stand word for word in train.",
        f"Mean over seeds ± standard deviation; in brackets the 95% interval by bootstrap over {drawn}.",
        "ECE: adaptive calibration error over all labels, after calibration on validation.",
        "Clauses a second: the trained bundle itself, by torch; what `smallprint export` writes is faster.",
        "Columns without 'tuned' use 0.5, as LexGLUE does; 'tuned' are thresholds from examples that were not learned from, where these "
        "pay, else 0.5. The chat model's are its plain answers.",
    ]
    if trained := figure.get("trained"):
        parts = f", {trained['resumed']} of them without what they took before a stop" if trained["resumed"] else ""
        lines.append(
            f"{counted(trained['n'], 'training')} of {', '.join(trained['rows'])} took {_duration(trained['seconds'])} "
            f"one after the other{parts}."
        )
    if older := [row["title"] for row in figure["rows"] if "name" in row and "thresholds" not in row]:
        lines.append(f"Measured when thresholds were always tuned, and not again: {'; '.join(older)}.")
    if standing := _beside_published(figure["rows"]):
        lines.append(standing)
    lines += [f"{row['title']}: {row['note']}." for row in figure["rows"] if "note" in row]
    return lines


def render_pairs(figure: dict[str, Any]) -> str:
    """Gives how each row stands to the linear baseline as Markdown: paired difference in points, its interval, p and ASO; empty where
    nothing was compared.
    """
    paired = [row for row in figure["rows"] if row.get("against_linear")]
    if not paired:
        return ""
    seeds = max(len(row["seeds"]) for row in paired)
    heads = [cell for words in COMPARED.values() for cell in (words, "p", "ASO")]
    lines = [f"| beside the linear baseline | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for row in paired:
        few = f", by the first {len(row['seeds'])} seeds of both" if len(row["seeds"]) < seeds else ""
        cells = [cell for name in COMPARED for cell in _pair_cells(row["against_linear"].get(name))]
        lines.append(f"| {row['title']}{few} | {' | '.join(cells)} |")
    told = (
        "Points [95% interval], over the same documents and seeds. 'Better' and 'worse' are said where the interval leaves out 0, without "
        "correction for so many comparisons; p: how often a difference as large comes up where whole documents' answers change sides by "
        "chance; ASO (almost stochastic order over seeds): 0 where every seed is above the baseline's, 1 where none is."
    )
    return "\n".join([*lines, "", told])


def _pair_cells(against: dict[str, Any] | None) -> list[str]:
    if against is None:
        return ["", "", ""]
    low, high = (100 * value for value in against["interval"])
    verdict = "better" if against["better"] else "worse" if high < 0 else "not shown to differ"
    aso = f"{against['aso_epsilon']:.2f}" if "aso_epsilon" in against else ""
    return [
        f"{100 * against['difference']:+.1f} [{low:+.1f}, {high:+.1f}], {verdict}",
        f"{against['p_randomisation']:.3f}",
        aso,
    ]


def _beside_published(rows: Sequence[dict[str, Any]]) -> str | None:
    """Gives a sentence on our best mean beside the best published run."""
    measure = "nine_macro"
    ours = [row for row in rows if "cost" in row]
    published = [row for row in rows if "cost" not in row and row.get("source") != "measured" and "seeds" not in row]
    if not ours or not published:
        return None
    best, theirs = (max(part, key=lambda row: float(row["mean"][measure])) for part in (ours, published))
    seeds = len(best["seeds"])
    which = f"mean of {seeds} seeds" if seeds > 1 else "one seed"
    told = f"Highest of ours by macro F1 of nine columns at 0.5: {best['title']}, {_cell(best, measure)} ({which})"
    value = float(theirs["mean"][measure])
    said = f"{told}. Highest of LexGLUE's table: {theirs['title']}, {_percent(value)}, one run, its interval unknown"
    low = best.get("interval", {}).get(measure, [0.0])[0]
    return f"{said}; ours is {'above it' if low > value else 'not shown to be above it'}."


def _cell(row: dict[str, Any], name: str) -> str:
    value = row["mean"].get(name)
    if value is None:
        return ""
    text = _percent(value)
    if len(row.get("seeds", [])) > 1:
        text += f" ±{100 * row['spread'][name]:.1f}"
    if name in row.get("interval", {}):
        low, high = row["interval"][name]
        text += f" [{100 * low:.1f}, {100 * high:.1f}]"
    return text


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
