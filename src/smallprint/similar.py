"""The training texts of a model, read again where they lie. In: a run, or labelled data. Out: a `Similar`.

A step of its own beside `api`: a bundle holds no training texts, so that this needs the data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smallprint import runs
from smallprint.core.config import Config
from smallprint.core.errors import DataError, SmallprintError
from smallprint.core.progress import Say, say_nothing
from smallprint.core.run import open_run
from smallprint.data.examples import fingerprint
from smallprint.data.read import open_source
from smallprint.inference.engine import Engine
from smallprint.inference.similar import Similar


def read_similar(engine: Engine, model: str | Path, data: Any = None, say: Say = say_nothing) -> Similar:
    """Gives the labelled training texts of a model, to be asked for what is like a finding.

    Args:
        engine: The model.
        model: Folder of its run, whose data is read where `data` is left out.
        data: Labelled data.
        say: Takes a line where the data is not what the model was trained on.

    Raises:
        DataError: There is no data, or it cannot be read.
    """
    if data is None:
        data = _data_of(Path(model))
    config = engine.config or Config()
    wanted = runs.columns_for(config.data, engine.labels)
    examples = runs.read_split(
        open_source(data, wanted.encoding), wanted, "train", engine.labels, config.training.seed, engine.trained_on
    )
    if engine.trained_on is not None and fingerprint(examples) != engine.trained_on:
        say(
            "The data is not what the model was trained on, or has changed since: similar texts are of the data as it is."
        )
    return Similar(examples.texts, examples.labels)


def _data_of(model: Path) -> Any:
    for folder in (model, model.parent):
        if not (folder / "run.json").is_file():
            continue
        try:
            return open_run(folder, clear=False).state["data"]
        except (SmallprintError, KeyError):
            break
    raise DataError(
        f"Where the training texts of {model} lie is not known.",
        "a run, which names its data (a bundle holds no texts)",
        "Name the data: --training DATA.",
    )


__all__ = ["read_similar"]
