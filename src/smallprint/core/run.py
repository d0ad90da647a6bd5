"""The run folder: what a training leaves, under names that never change. In: settings. Out: paths.

RUN/run.json        data and its fingerprints, extra table, command, seed, MLflow run id: enough to resume
RUN/config.yaml     the settings
RUN/checkpoints/    resumable state (last) and best weights
RUN/bundle/         what is shipped
RUN/metrics.json    identical for identical seeds; times stand in timings.json
RUN/report.html
RUN/README.md       the model card, and DATASHEET.md the data sheet: as they go to the Hub, beside bundle/
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, DataError, TrainingError
from smallprint.core.files import remove_leftovers, write_json, write_text
from smallprint.core.settings import load_config, render_config

HELD_OUT = "held out"  # train and validation, each example scored by models that did not see it


@dataclass(frozen=True)
class Run:
    """One training's folder; of several processes that train together only the first writes into it."""

    folder: Path
    config: Config
    writes: bool = True

    @property
    def name(self) -> str:
        """Its name in tracking."""
        return self.folder.name

    @property
    def checkpoints(self) -> Path:
        """Folder of the resumable state and the best weights."""
        return self.folder / "checkpoints"

    @property
    def bundle(self) -> Path:
        """Folder that is shipped."""
        return self.folder / "bundle"

    @property
    def metrics(self) -> Path:
        """Metrics, without times."""
        return self.folder / "metrics.json"

    @property
    def timings(self) -> Path:
        """Times, memory and padding."""
        return self.folder / "timings.json"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def state(self) -> dict[str, Any]:
        """What `run.json` holds."""
        state: dict[str, Any] = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        return state

    @property
    def is_whole(self) -> bool:
        """Whether it has finished, and what it was trained for is there."""
        return self.state.get("status") == "finished" and self.metrics.is_file() and self.bundle.is_dir()

    def update(self, **values: Any) -> None:
        """Adds `values` to `run.json`, where this process is the one that writes."""
        if self.writes:
            write_json(self.folder / "run.json", {**self.state, **values})


def check_same_data(run: Run, prints: dict[str, str]) -> None:
    """Checks that a run which goes on has the examples that it began with, and keeps their fingerprints when it begins.

    Args:
        run: A run of an older version, which has kept none, goes on with what there is.
        prints: Fingerprints of train and validation; test stays closed.

    Raises:
        DataError: They are others: what was learned from before may stand in test now.
    """
    state = run.state
    began = state.get("fingerprints")
    if began is None:
        run.update(fingerprints=prints)
    elif began != prints:
        raise DataError(
            f"The train and validation rows are not those that {run.folder} began with.",
            "the same rows, in the same order: splits that are carved from others hold test rows that were learned from",
            "Put the table back as it was (and the --extra table), or train anew with another --out.",
        )


def create_run(config: Config, data: str, out: str | Path | None = None) -> Run:
    """Makes the folder of a new run and writes down what a resume needs.

    Args:
        config: Settings of the run.
        data: The data as it was named.
        out: The folder; a new one in the run root when left out.

    Raises:
        ConfigError: The folder already holds a run or other files.
    """
    folder = Path(out) if out is not None else _new_folder(Path(config.tracking.root), data)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        holds_run = (folder / "run.json").exists()
        raise ConfigError(
            f"{folder} is not empty" + (": it holds a run." if holds_run else "."),
            "a new or empty folder for --out",
            f"Go on with that run by --resume {folder}, or name another folder."
            if holds_run
            else "Name another folder.",
        )
    if config.training.teacher is not None:  # found again from any folder
        teacher = str(Path(config.training.teacher).expanduser().absolute())
        config = config.model_copy(update={"training": config.training.model_copy(update={"teacher": teacher})})
    write_text(folder / "config.yaml", render_config(config))
    extra = {"extra": str(Path(config.data.extra).expanduser().absolute())} if config.data.extra else {}
    write_json(folder / "run.json", {"data": data, **extra, "status": "started"})
    return Run(folder, config)


def open_run(folder: str | Path, clear: bool = True) -> Run:
    """Gives a run that exists, with its settings, and clears what a killed process left half-written.

    Args:
        folder: The run's.
        clear: Another process may be writing into it: leave this out.

    Raises:
        TrainingError: There is no run in the folder.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file() or not (folder / "config.yaml").is_file():
        raise TrainingError(
            f"{folder} holds no run.",
            "a folder that `smallprint train` made (it has run.json and config.yaml)",
            "Name the run's own folder, or train anew without --resume.",
        )
    checkpoints = folder / "checkpoints"
    inside = [place for place in checkpoints.rglob("*") if place.is_dir() and not place.name.startswith(".")]
    for place in (folder, checkpoints, *inside) if clear else ():
        remove_leftovers(place)
    return Run(folder, load_config(folder / "config.yaml"))


def _new_folder(root: Path, data: str) -> Path:
    stem = re.sub(r"[^a-z0-9]+", "-", Path(data).stem.lower() if data else "data").strip("-") or "data"
    name = f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"
    folder, number = root / name, 2
    while folder.exists():
        folder, number = root / f"{name}-{number}", number + 1
    return folder


def scores_file(split: str) -> str:
    """Gives the name of the file with a split's texts, truth and scores."""
    return f"{split.replace(' ', '_')}_scores.parquet"
