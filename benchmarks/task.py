"""Opens a task for the benchmarks that train without a run: its train and validation splits and its labels; test stays closed."""

from __future__ import annotations

import os
from pathlib import Path

from readme import ROOT
from smallprint.core.config import Config
from smallprint.data.extra import add_extra
from smallprint.data.labels import LabelSet
from smallprint.data.read import open_source
from smallprint.data.schema import detect_schema
from smallprint.data.split import Splits, split_source

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
FOLDERS = {"banking77": "banking77", "unfair-tos": "unfair_tos"}


def open_task(name: str, config: Config, seed: int | None = None) -> tuple[Splits, LabelSet]:
    """Gives splits and labels of one of `FOLDERS`; `seed` parts what is not parted yet, the config's when left out."""
    source = open_source(DATA / FOLDERS[name])
    schema = detect_schema(source, config.data)
    splits = split_source(source, schema, config.data, config.training.seed if seed is None else seed)
    if config.data.extra is not None:
        splits = add_extra(splits, source, schema, config.data.extra)
    return splits, LabelSet(schema.task, schema.names)
