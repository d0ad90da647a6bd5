"""Two models against each other. In: two runs, or two models and labelled data. Out: a `Comparison`, and a page of it.

Of runs their own test scores are taken, so nothing is scored again; where their test splits differ, what both hold is compared.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from smallprint import papers
from smallprint.core.errors import DataError
from smallprint.core.files import write_text
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import Array, ScoredSplit
from smallprint.core.run import open_run
from smallprint.evaluation.score_files import units
from smallprint.evaluation.shared import LEAST, Shared, match_examples, rows_of
from smallprint.evaluation.side_by_side import Comparison, align_labels, check_same, compare_splits
from smallprint.evaluation.side_by_side_page import render_comparison

Side = tuple[ScoredSplit, Array, list[str | None], dict[str, Any]]


def compare_models(
    a: str | Path,
    b: str | Path,
    data: Any = None,
    *,
    split: str = "test",
    out: str | Path | None = None,
    say: Say = say_nothing,
) -> tuple[Comparison, dict[str, Any], dict[str, Any]]:
    """Gives how B differs from A, and what each is called and was made by.

    Args:
        a: Folder of a finished run; with `data` of a bundle too.
        b: The other.
        data: Labelled data on which both are scored; their own test scores when left out.
        split: Of `data`.
        out: HTML file to be written.
        say: Takes lines for a person.

    Raises:
        TrainingError: A run has not finished.
        DataError: They do not stand on the same examples, and their test splits share too few; it says what differs.
        BundleError: A bundle is damaged.
    """
    sides = [_own(Path(a)), _own(Path(b))] if data is None else _scored((Path(a), Path(b)), data, split, say)
    shared = _share(sides) if data is None else None
    (scored_a, limits_a, groups_a, known_a), (scored_b, limits_b, groups_b, known_b) = sides
    if known_a["name"] == known_b["name"]:
        known_a["name"], known_b["name"] = str(a), str(b)
    groups = groups_a if any(group is not None for group in groups_a) else groups_b
    drawn = units(groups) if any(group is not None for group in groups) else None
    if drawn is not None and len(drawn) != len(scored_a.texts):
        check_same(scored_a, scored_b)
        raise DataError("The groups do not fit the examples.", "one group an example", "Score both with --data.")
    most = open_run(a, clear=False).config.evaluation.worst_errors * 2 if data is None else 50
    found = compare_splits(scored_a, scored_b, (limits_a, limits_b), drawn, most=most)
    if shared is not None:
        examples = [replace(each, row=int(shared.rows_a[each.row])) for each in found.examples]
        found = replace(found, examples=examples, shared=shared.said)
    if out is not None:
        write_text(out, render_comparison(found, known_a, known_b))
    return found, known_a, known_b


def _share(sides: list[Side]) -> Shared | None:
    """Leaves both sides the examples that they share, if their test splits differ and share enough; else gives None."""
    (a, limits_a, groups_a, known_a), (b, limits_b, groups_b, known_b) = sides
    b, limits_b = align_labels(a, b, limits_b)
    alike = a.texts == b.texts and np.array_equal(a.targets, b.targets)
    if alike or a.task != b.task or a.label_names != b.label_names:
        return None
    shared = match_examples(a, b)
    if len(shared.rows_a) < LEAST:
        return None
    groups_a, groups_b = (
        [groups[row] for row in rows] for groups, rows in ((groups_a, shared.rows_a), (groups_b, shared.rows_b))
    )
    sides[0] = rows_of(a, shared.rows_a), limits_a, groups_a, known_a
    sides[1] = rows_of(b, shared.rows_b), limits_b, groups_b, known_b
    return shared


def _own(folder: Path) -> Side:
    """A run's own test scores."""
    run = open_run(folder, clear=False)
    scored, groups, saved = papers.read_test(run)
    state = run.state
    known = {
        "name": folder.absolute().name,
        "command": state.get("command"),
        "seed": saved["seed"],
        "test_fingerprint": saved["data"]["fingerprints"]["test"],
        "versions": state.get("versions"),
        "git_commit": state.get("commit"),
    }
    return scored, np.asarray(saved["thresholds"], dtype=np.float64), groups, known


def _scored(folders: tuple[Path, Path], data: Any, split: str, say: Say) -> list[Side]:
    """Both models' scores of the same rows of labelled data.

    Where one of the models was trained on this very table, its test rows are taken for both: of these it has seen none.
    """
    from smallprint import api, runs
    from smallprint.core.config import Config
    from smallprint.data.examples import fingerprint
    from smallprint.data.normalise import text_hashes
    from smallprint.data.read import open_source

    engines = [api.load(folder) for folder in folders]
    read = []
    for engine in engines:
        config = engine.config or Config()
        wanted = runs.columns_for(config.data, engine.labels)
        seed = config.training.seed
        source = open_source(data, wanted.encoding)
        read.append(runs.read_split(source, wanted, split, engine.labels, seed, engine.trained_on))
    examples = next((each for each in read if each.split != "all"), read[0])
    sides: list[Side] = []
    for folder, engine in zip(folders, engines, strict=True):
        say(f"{folder}: scoring {len(examples):,} rows of '{examples.split}'.")
        if engine.known_texts is not None:
            learned = int(np.isin(text_hashes(examples.texts), engine.known_texts).sum())
            if learned:
                say(f"{folder} learned from {learned:,} of these texts: its scores of them prove nothing.")
        place = folder.absolute()
        known = {
            "name": (place.parent if place.name == "bundle" else place).name,
            "split": examples.split,
            "test_fingerprint": fingerprint(examples),
        }
        sides.append((api.score_examples(engine, examples), engine.thresholds, list(examples.groups), known))
    return sides


__all__ = ["compare_models"]
