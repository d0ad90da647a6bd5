"""Figure 1: UNFAIR-ToS, the eight published systems, a chat model and ours. In: data and rows. Out: one JSON-ready dict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from smallprint.bench.blended import blend_seed, blended_cost, runs_of
from smallprint.bench.collect import (
    Collected,
    Truth,
    check_same_examples,
    check_settings,
    is_finished,
    measure_cost,
    measure_trainings,
    read_run,
    run_folder,
    train_seed,
)
from smallprint.bench.measure import measure_decisions
from smallprint.bench.systems import System
from smallprint.bench.table import build_rows, measured_row, published_rows
from smallprint.core.errors import ConfigError
from smallprint.core.progress import Say
from smallprint.core.results import Array
from smallprint.data.read import open_source
from smallprint.training.stored import VectorCache

CHAT = (("GPT-3.5-turbo, zero-shot", "zero_shot"), ("GPT-3.5-turbo, 8-shot", "few_shot_8"))


def run_unfair_tos(
    data: str, systems: list[System], seeds: list[int], root: Path, say: Say, finished: bool = False
) -> dict[str, Any]:
    """Trains what is not trained yet, and gives the whole figure.

    Args:
        data: Folder of UNFAIR-ToS, or its Hub name.
        systems: Rows of ours.
        seeds: Of each system.
        root: Folder of the runs.
        say: Takes lines for a person.
        finished: Train nothing: each row has the seeds that are there, and a row without any is left out.

    Raises:
        ConfigError: Nothing is there, or a run that is there is of other settings.
    """
    collected: dict[str, Collected] = {}
    truth: Truth | None = None
    trained: list[Path] = []
    cache = VectorCache()
    for system in systems:
        parts = {seed: runs_of(system, seed, seeds[0]) for seed in seeds}
        places = {seed: [run_folder(root, part.name, own) for part, own in parts[seed]] for seed in seeds}
        there = [seed for seed in seeds if not finished or all(map(is_finished, places[seed]))]
        if not there:
            continue
        scores = []
        for seed in there:
            for (part, own), place in zip(parts[seed], places[seed], strict=True):
                if finished:
                    check_settings(place, part, own)
                else:
                    train_seed(part, data, own, root, cache, say)
            seed_scores, its_truth = (
                blend_seed(places[seed], seed) if system.averages else read_run(places[seed][0], seed)
            )
            truth = truth or its_truth
            check_same_examples(places[seed][0], its_truth, truth)
            scores.append(seed_scores)
        cost = (
            blended_cost(places[there[0]])
            if system.averages
            else measure_cost([folder for seed in there for folder in places[seed]])
        )
        collected[system.name] = Collected(system, scores, cost)
        trained += [folder for seed in there for folder in places[seed]]
    if truth is None:
        raise ConfigError(f"No finished run is in {root}.", "runs of these rows", "Train them first.")
    rows = published_rows() + chat_rows(Path(data) / "gpt-3.5-turbo.parquet", truth)
    return {
        "name": "unfair-tos",
        "data": {
            "n_validation": len(truth.validation),
            "n_test": len(truth.test),
            "documents": len(set(truth.test_groups)) if truth.test_groups[0] is not None else None,
            "label_names": truth.label_names,
            "support": truth.test.sum(axis=0).tolist(),
            "test_in_train": _test_in_train(data, truth),
        },
        "trained": {"rows": list(collected), **measure_trainings(trained)},
        "rows": rows + build_rows(list(collected.values()), truth),
    }


def chat_rows(file: Path, truth: Truth) -> list[dict[str, Any]]:
    """Gives the chat model's rows from its stored answers (Chalkidis 2023), on the test rows that it was asked; none without the file."""
    if not file.is_file():
        return []
    answers = pl.read_parquet(file)
    asked = answers["test_row"].to_numpy().astype(int)
    groups = [truth.test_groups[row] for row in asked]
    kept = groups if any(group is not None for group in groups) else None
    rows = []
    for title, column in CHAT:
        result = measure_decisions(truth.test[asked], _decided(answers[column], truth.test.shape[1]))
        row = measured_row(f"{title} (n={len(asked):,})", [result], kept)
        rows.append({**row, "source": "Chalkidis 2023, scored here", "seeds": []})
    return rows


def _decided(ids: pl.Series, n_labels: int) -> Array:
    import numpy as np

    decided = np.zeros((len(ids), n_labels), dtype=np.int8)
    for row, labels in enumerate(ids.to_list()):
        decided[row, labels] = 1
    return decided


def _test_in_train(data: str, truth: Truth) -> int:
    """Gives how many test rows stand word for word in train."""
    train = open_source(data).read("train", ["text"])["text"]
    return int(pl.Series(truth.test_texts).is_in(train.implode()).sum())
