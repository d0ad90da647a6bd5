"""Puts every measured figure of README and docs where it stands.

    python benchmarks/pages.py [--check]

In: benchmarks/results/*.json. Out: pages rewritten, in blocks between `<!-- NAME: begin -->` and `<!-- NAME: end -->` and in sentences with
`<!-- =NAME -->value<!-- . -->`; with --check nothing is written, and the code is 1 where a page is not what the results say.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from readme import README, RESULTS_PAGE, ROOT
from smallprint.bench.table import render_figure

DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
VALUE = re.compile(r"<!-- =([a-z0-9_.]+) -->(.*?)<!-- \. -->")
BEGIN = re.compile(r"<!-- ([a-z0-9_]+): begin -->")


def read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def figure_row(title: str) -> dict[str, Any]:
    """Gives the row of figure 1 whose title begins so."""
    row: dict[str, Any] = next(row for row in read("figure1")["rows"] if row["title"].startswith(title))
    return row


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}"


def with_interval(row: dict[str, Any], name: str) -> str:
    """Gives a mean in percent with its 95% interval."""
    text = percent(row["mean"][name])
    if name in row.get("interval", {}):
        low, high = row["interval"][name]
        text += f" [{percent(low)}, {percent(high)}]"
    return text


# ---- blocks


def figure1_short() -> str:
    """Figure 1 in a table that fits README: each system once, best first."""
    lines = [
        "| system | macro F1, 9 [95%] | micro F1, 9 | unfair or not, F1 [95%] | seeds | training, 2 cores | MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(read("figure1")["rows"], key=lambda row: -float(row["mean"]["nine_macro"])):
        cost, seeds = row.get("cost"), row.get("seeds", [])
        title = f"**{row['title']}**" if cost else row["title"]
        seconds = cost["train_seconds"] if cost else None
        spent = (
            ""
            if not seconds
            else f"{seconds:.0f} s"
            if seconds < 90
            else f"{seconds / 60:.1f} min"
            if seconds < 600
            else f"{seconds / 60:.0f} min"
        )
        f1 = with_interval(row, "binary_f1") if "binary_f1" in row["mean"] else ""
        size = f"{cost['size_mb']:.0f}" if cost and cost["size_mb"] else ""
        cells = [
            with_interval(row, "nine_macro"),
            percent(row["mean"]["nine_micro"]),
            f1,
            str(len(seeds) or ""),
            spent,
            size,
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def commands() -> str:
    """Every command with the first sentence of its help."""
    import typer.main

    from smallprint.cli.app import app

    lines = ["| | |", "|---|---|"]
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        first = (command.help or "").strip().split("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{name}` | {first} |")
    return "\n".join(lines)


def benchmarks() -> str:
    """Every benchmark with how it is called and the first sentence of its docstring."""
    lines = ["| command | measures |", "|---|---|"]
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "__main__" not in text or path == Path(__file__):
            continue
        told = (ast.get_docstring(ast.parse(text)) or "").replace("|", "\\|")
        usage = re.search(r"^ {4}(?:PYTHONPATH\S+ )?(python benchmarks/\S+[^\n]*?)(?: {2,}#.*)?$", told, re.MULTILINE)
        paragraph = told.split("\n\n")[0].replace("\n", " ")
        called = usage.group(1) if usage else f"python benchmarks/{path.name}"
        first = re.split(r"(?<=[a-z)`]{2})[.] ", paragraph)[0].rstrip(".")
        lines.append(f"| `{called}` | {first} |")
    return "\n".join(lines)


def labels_of_data() -> str:
    """UNFAIR-ToS in rows."""
    facts = read("data_facts")["unfair_tos"]
    lines = ["| label | train | validation | test |", "|---|---|---|---|"]
    splits = facts["splits"]
    for k, name in enumerate(facts["labels"]):
        lines.append(f"| {name} | " + " | ".join(str(split["positives"][k]) for split in splits.values()) + " |")
    for key, told in (("with_a_label", "_clauses with a label_"), ("rows", "_clauses_"), ("documents", "_documents_")):
        lines.append(f"| {told} | " + " | ".join(f"{split[key]:,}" for split in splits.values()) + " |")
    return "\n".join(lines)


def metric_trap() -> str:
    """What "flags nothing" scores by each measure, beside a model."""
    floor, model = read("data_facts")["unfair_tos"]["flags_nothing"], figure_row("MiniLM, full")
    linear = figure_row("TF-IDF + linear SVM")
    told = {
        "nine_micro": "micro F1, LexGLUE's nine columns",
        "nine_macro": "macro F1, LexGLUE's nine columns",
        "eight_micro": "micro F1, the eight labels",
        "eight_macro": "macro F1, the eight labels",
    }
    lines = ["| measure on test | flags nothing | TF-IDF + linear SVM | MiniLM |", "|---|---|---|---|"]
    lines += [
        f"| {words} | {percent(floor[name])} | {percent(linear['mean'][name])} | {percent(model['mean'][name])} |"
        for name, words in told.items()
    ]
    return "\n".join(lines)


def split_matters() -> str:
    """The same model, by document and at random."""
    found = read("data_facts")["split"]
    lines = ["| test rows are | macro F1 | average precision |", "|---|---|---|"]
    for name, words in (("by_document", "of documents that train has not seen"), ("at_random", "drawn at random")):
        cells = [
            f"{percent(found[name][key]['mean'])} ±{percent(found[name][key]['spread'])}"
            for key in ("f1_macro", "average_precision_macro")
        ]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def prompt_or_tune() -> str:
    """A large general model that is prompted, beside small ones that were fitted."""
    lines = ["| | macro F1, 9 [95%] | unfair or not, F1 [95%] | clauses a second | MB |", "|---|---|---|---|---|"]
    for title in (
        "GPT-3.5-turbo, zero-shot",
        "GPT-3.5-turbo, 8-shot",
        "TF-IDF + linear SVM",
        "MiniLM, full",
        "MiniLM distilled",
        "stack of linear, frozen mpnet",
    ):
        row = figure_row(title)
        cost = row.get("cost")
        tail = [f"{cost['clauses_per_second']:,.0f}", f"{cost['size_mb']:.0f}"] if cost else ["", ""]
        lines.append(
            f"| {row['title']} | {with_interval(row, 'nine_macro')} | {with_interval(row, 'binary_f1')} | "
            + " | ".join(tail)
            + " |"
        )
    return "\n".join(lines)


def of_benchmark(name: str) -> Callable[[], str]:
    """Gives the block that a benchmark renders from its own results."""

    def block() -> str:
        text: str = importlib.import_module(name).render(read(name))
        return text

    return block


def tour_clause() -> str:
    found = read("tour")
    told = f"{found['train']['epochs']} epochs in {found['train']['seconds'] / 60:.1f} minutes on two cores"
    return f"> {found['clause']}\n\nThe training took {told}, the {found['train']['best_epoch'] + 1}th epoch was kept."


def tour_tokens() -> str:
    """The tokens, indented as the list item that holds them."""
    found = read("tour")
    return f"    `{' '.join(found['tokens'])}`: {len(found['ids'])} tokens, ids `{str(found['ids'][:5])[:-1]}, ...]`."


def tour_shapes() -> str:
    """What each step makes of a batch of three."""
    found = read("tour")
    rows = [
        (
            "ids and mask of the first three clauses",
            "x".join(map(str, found["batch"])),
            f"{found['padding']} are padding",
        ),
        ("vectors", "x".join(map(str, found["vectors"])), ""),
        ("logits", f"{found['vectors'][0]}x{len(found['logits'])}", ""),
    ]
    return "\n".join(["    | | shape | |", "    |---|---|---|", *(f"    | {' | '.join(row)} |" for row in rows)])


def tour_scores() -> str:
    """Logit, score, threshold and decision of each label."""
    found = read("tour")
    lines = ["    | label | logit | score | threshold | |", "    |---|---|---|---|---|"]
    for name, logit, score, threshold in zip(
        found["label_names"], found["logits"], found["scores"], found["thresholds"], strict=True
    ):
        lines.append(
            f"    | {name} | {logit:.2f} | {score:.3f} | {threshold:.3f} | {'**given**' if name in found['labels'] else ''} |"
        )
    return "\n".join(lines)


def tour_evidence() -> str:
    """The words that carried the first label."""
    found = read("tour")
    words = ", ".join(f"**{part['text']}** ({part['weight']:+.2f})" for part in found["evidence"])
    return f"    for _{found['evidence_of']}_: {words}."


BLOCKS: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"commands": commands, "figure1_short": figure1_short},
    ROOT / "CONTRIBUTING.md": {"benchmarks": benchmarks},
    RESULTS_PAGE: {
        "figure1": lambda: render_figure(read("figure1")),
        "first_results": of_benchmark("first_results"),
        "decoder": of_benchmark("decoder"),
        "few_labels": of_benchmark("few_labels"),
        "thresholds": of_benchmark("thresholds"),
    },
    DOCS / "guide" / "overview.md": {"prompt_or_tune": prompt_or_tune},
    DOCS / "guide" / "problem.md": {
        "labels_of_data": labels_of_data,
        "metric_trap": metric_trap,
        "split_matters": split_matters,
    },
    DOCS / "guide" / "tour.md": {
        "tour_clause": tour_clause,
        "tour_tokens": tour_tokens,
        "tour_shapes": tour_shapes,
        "tour_scores": tour_scores,
        "tour_evidence": tour_evidence,
    },
    DOCS / "check.md": {"planted_faults": of_benchmark("planted_faults"), "check": of_benchmark("check")},
    DOCS / "policy.md": {"promises": of_benchmark("promises")},
    DOCS / "export.md": {"inference": of_benchmark("inference")},
    DOCS / "speed.md": {"million": of_benchmark("million")},
    DOCS / "static.md": {"static_tier": of_benchmark("static_tier")},
    DOCS / "scan.md": {name: of_benchmark(name) for name in ("formats", "long_text", "sentences")},
    DOCS / "how-to" / "many-machines.md": {"memory": of_benchmark("memory")},
    DOCS / "sweep.md": {"sweep_killed": of_benchmark("sweep_killed")},
    DOCS / "suggest.md": {"suggest": of_benchmark("suggest")},
}

OWN = {*DOCS.glob("*.md"), *(DOCS / "how-to").glob("*.md")} - {DOCS / "index.md", DOCS / "tutorial.md"}


# ---- values in sentences


def values() -> dict[str, str]:
    """Gives every figure that a sentence may quote."""
    facts, figure, promises = read("data_facts"), read("figure1"), read("promises")
    tos, floor = facts["unfair_tos"], facts["unfair_tos"]["flags_nothing"]
    whole = {key: sum(split[key] for split in tos["splits"].values()) for key in ("rows", "documents", "with_a_label")}
    published = max((row for row in figure["rows"] if "n_test" not in row), key=lambda row: row["mean"]["nine_macro"])
    best = max((row for row in figure["rows"] if "cost" in row), key=lambda row: row["mean"]["nine_macro"])
    against = best["against_linear"]["nine_macro"]
    ninety = next(row for row in promises["rows"] if row["promised"] == 0.9)
    mean = read("suggest")["mean"]
    chosen, drawn = (mean[key]["average_precision"] for key in ("suggest 500", "random 1000"))
    faults, resume, formats, speed = read("planted_faults"), read("resume"), read("formats"), read("inference")
    small, stack = figure_row("MiniLM distilled"), figure_row("stack of linear, frozen mpnet")
    chat = figure_row("GPT-3.5-turbo, 8-shot")
    decoder, first = read("decoder")["all"], read("first_results")["unfair-tos"]["timings"]
    return {
        "tos.rows": f"{whole['rows']:,}",
        "tos.documents": str(whole["documents"]),
        "tos.flagged": f"{whole['with_a_label']:,}",
        "tos.fair_share": percent(1 - whole["with_a_label"] / whole["rows"], 0),
        "tos.test_rows": f"{figure['data']['n_test']:,}",
        "tos.test_documents": str(figure["data"]["documents"]),
        "tos.rarest_test": str(min(tos["splits"]["test"]["positives"])),
        "tos.rarest_train": str(min(tos["splits"]["train"]["positives"])),
        "tos.copies": str(figure["data"]["test_in_train"]),
        "floor.nine_micro": percent(floor["nine_micro"]),
        "floor.nine_macro": percent(floor["nine_macro"]),
        "floor.accuracy": percent(floor["accuracy_fair_or_not"]),
        "split.by_document": percent(facts["split"]["by_document"]["f1_macro"]["mean"]),
        "split.at_random": percent(facts["split"]["at_random"]["f1_macro"]["mean"]),
        "split.flatters": percent(
            facts["split"]["at_random"]["f1_macro"]["mean"] - facts["split"]["by_document"]["f1_macro"]["mean"]
        ),
        "split.seeds": str(facts["split"]["seeds"]),
        "banking.rows": f"{facts['banking77']['train'] + facts['banking77']['test']:,}",
        "banking.labels": str(facts["banking77"]["labels"]),
        "banking.rarest": str(facts["banking77"]["rarest"]),
        "banking.commonest": str(facts["banking77"]["commonest"]),
        "sample.rows": f"{facts['sample']['rows']:,}",
        "sample.companies": str(facts["sample"]["companies"]),
        "published.title": published["title"],
        "published.nine_macro": percent(published["mean"]["nine_macro"]),
        "published.nine_micro": percent(
            max(row["mean"]["nine_micro"] for row in figure["rows"] if "n_test" not in row)
        ),
        "best.title": best["title"],
        "best.nine_macro": with_interval(best, "nine_macro"),
        "best.seeds": str(len(best["seeds"])),
        "best.spread": percent(best["spread"]["nine_macro"]),
        "best.p": f"{against['p_randomisation']:.2f}",
        "stack.nine_macro": with_interval(stack, "nine_macro"),
        "stack.size": f"{stack['cost']['size_mb']:.0f}",
        "best.difference": f"{100 * against['difference']:+.1f} [{100 * against['interval'][0]:+.1f}, {100 * against['interval'][1]:+.1f}]",
        "small.nine_macro": with_interval(small, "nine_macro"),
        "small.size": f"{small['cost']['size_mb']:.0f}",
        "small.speed": f"{small['cost']['clauses_per_second']:.0f}",
        "linear.nine_macro": with_interval(figure_row("TF-IDF + linear SVM"), "nine_macro"),
        "linear.seconds": f"{figure_row('TF-IDF + linear SVM')['cost']['train_seconds']:.0f}",
        "chat.nine_macro": with_interval(chat, "nine_macro"),
        "chat.binary_f1": with_interval(chat, "binary_f1"),
        "chat.rows": f"{chat['n_test']:,}",
        "first.minutes": f"{first['seconds_total'] / 60:.0f}",
        "first.memory": f"{first['peak_memory_mb'] / 1000:.1f}",
        "decoder.nine_macro": percent(decoder["values"]["nine_macro"]),
        "decoder.minutes": f"{decoder['minutes']:.0f}",
        "promise.resplits": str(promises["resplits"]),
        "promise.kept": percent(ninety["kept"]),
        "promise.cleared": percent(ninety["cleared"]),
        "suggest.chosen": percent(chosen[0]),
        "suggest.random": percent(drawn[0]),
        "faults.copies": f"{faults['copies']['found']} of {faults['copies']['planted']}",
        "faults.flips": str(faults["flips"]["among_first_100"]),
        "resume.kills": str(resume["kills"]),
        "resume.identical": str(resume["identical"]),
        "formats.pdf": f"{round(formats['same_findings']['pdf'] * formats['findings'])} of {formats['findings']}",
        "speed.onnx_times": f"{speed['rows']['bundle, onnx int8']['times_default']:.1f}",
    }


# ---- pages


def pages() -> list[Path]:
    return [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def indent_of(head: str) -> str:
    """Gives the white space between the last line end and what follows: a block in a list stays in it."""
    last = head.rpartition("\n")[2]
    return last if not last.strip() else ""


def filled(page: Path, known: dict[str, str]) -> str:
    """Gives a page's text with every block and value as the results say.

    Blocks of how-to pages that are not listed here are left to the benchmark that writes them.

    Raises:
        ValueError: A mark that nothing fills, or a block that no mark holds.
    """
    text = page.read_text(encoding="utf-8")
    blocks = BLOCKS.get(page, {})
    marked = set(BEGIN.findall(text))
    if lost := set(blocks) - marked:
        raise ValueError(f"{page.name}: no marks for {', '.join(sorted(lost))}")
    if page not in OWN and (unknown := marked - set(blocks)):
        raise ValueError(f"{page.name}: nothing fills {', '.join(sorted(unknown))}")
    for name, block in blocks.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        head, _, rest = text.partition(begin)
        _, _, tail = rest.partition(end)
        text = f"{head}{begin}\n{block()}\n{indent_of(head)}{end}{tail}"
    if unknown := {name for name, _ in VALUE.findall(text)} - set(known):
        raise ValueError(f"{page.name}: no value is called {', '.join(sorted(unknown))}")
    return VALUE.sub(lambda found: f"<!-- ={found.group(1)} -->{known[found.group(1)]}<!-- . -->", text)


def stale() -> Iterator[tuple[Path, str]]:
    """Gives every page that is not as it should be, with the text that it should have."""
    known = values()
    for page in pages():
        text = filled(page, known)
        if text != page.read_text(encoding="utf-8"):
            yield page, text


def main() -> None:
    changed = list(stale())
    for page, text in changed:
        print(page.relative_to(ROOT), file=sys.stderr)
        if "--check" not in sys.argv:
            page.write_text(text, encoding="utf-8")
    raise SystemExit(bool(changed) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
