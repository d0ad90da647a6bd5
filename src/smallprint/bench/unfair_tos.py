"""Figure 1: UNFAIR-ToS, the eight published systems, a chat model and ours. In: data and rows. Out: one JSON-ready dict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from smallprint.bench.blended import blend_seed, blended_cost, member_folders, members_finished, train_members
from smallprint.bench.collect import (
    Collected,
    Truth,
    check_same_examples,
    is_finished,
    measure_cost,
    read_run,
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
        ConfigError: Nothing is there.
    """
    collected: dict[str, Collected] = {}
    truth: Truth | None = None
    cache = VectorCache()
    for system in systems:
        there = [seed for seed in seeds if not finished or _is_there(system, seed, seeds[0], root)]
        if not there:
            continue
        scores, folders = [], []
        for seed in there:
            if system.averages:
                places = member_folders(system, seed, seeds[0], root)
                if not finished:
                    places = train_members(system, data, seed, seeds[0], root, cache, say)
                seed_scores, its_truth = blend_seed(places, seed)
            else:
                places = [root / f"{system.name}-seed{seed}"]
                if not finished:
                    places = [train_seed(system, data, seed, root, cache, say)]
                seed_scores, its_truth = read_run(places[0], seed)
            truth = truth or its_truth
            check_same_examples(places[0], its_truth, truth)
            scores.append(seed_scores)
            folders.append(places)
        cost = blended_cost(folders[0]) if system.averages else measure_cost([places[0] for places in folders])
        collected[system.name] = Collected(system, scores, cost)
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
        "rows": rows + build_rows(list(collected.values()), truth),
    }


def _is_there(system: System, seed: int, first: int, root: Path) -> bool:
    if system.averages:
        return members_finished(system, seed, first, root)
    return is_finished(root / f"{system.name}-seed{seed}")


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
