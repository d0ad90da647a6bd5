"""A split's texts, truth and scores on disk. In: a `ScoredSplit`. Out: a file in the run folder, and the same again.

It is never tracked: texts stay on this machine. The report, a policy and distilling read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smallprint.core.errors import BundleError
from smallprint.core.files import atomic_path
from smallprint.core.results import ScoredSplit
from smallprint.core.run import HELD_OUT, scores_file


def write_scores(folder: Path, scored: ScoredSplit, groups: Sequence[str | None]) -> None:
    """Writes a split's texts, truth and scores into the run folder (never tracked), for the report and for distilling."""
    import polars as pl

    frame = pl.DataFrame(
        {
            "text": scored.texts,
            "group": list(groups),
            "targets": np.asarray(scored.targets).tolist(),
            "scores": scored.scores.tolist(),
        },
        schema_overrides={"group": pl.String},
    )
    with atomic_path(folder / scores_file(scored.split)) as temporary:
        frame.write_parquet(temporary)


def read_scores(folder: Path, split: str, saved: dict[str, Any]) -> tuple[ScoredSplit, list[str | None]]:
    """Gives what `write_scores` wrote of a split, and each example's group.

    Args:
        folder: Of the run.
        split: validation, test, or what is held out.
        saved: What the run's metrics.json holds.
    """
    import polars as pl

    frame = pl.read_parquet(folder / scores_file(split))
    task = saved["task"]
    scored = ScoredSplit(
        split,
        task,
        list(saved["data"]["label_names"]),
        frame["text"].to_list(),
        np.array(frame["targets"].to_list(), dtype=np.int64 if task == "multiclass" else np.int8),
        np.array(frame["scores"].to_list(), dtype=np.float32),
    )
    return scored, frame["group"].to_list()


def unseen_scores(folder: Path) -> tuple[ScoredSplit, list[str | None]]:
    """Gives a run's scores of examples that its model did not learn from, and each one's group.

    Raises:
        BundleError: It is no finished run.
    """
    split = next((name for name in (HELD_OUT, "validation") if (folder / scores_file(name)).exists()), None)
    metrics = folder / "metrics.json"
    if split is None or not metrics.exists():
        raise BundleError(
            f"{folder} is not a finished run.",
            "a run, whose folder holds scores of examples that the model did not learn from",
            "Give labelled data too: its validation split is scored.",
        )
    frame = json.loads(metrics.read_text(encoding="utf-8"))
    return read_scores(folder, split, frame)


def units(groups: Sequence[str | None]) -> list[object]:
    """Gives what is drawn together: the group, or the row where it has none."""
    return [group if group is not None else row for row, group in enumerate(groups)]
