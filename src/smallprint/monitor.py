"""Are new texts still of the kind that a model knows? In: a model and a table of new texts. Out: a `Drift`.

A step of its own beside `api`. The reference is in the bundle, or is made here from labelled data; nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smallprint.core.config import Config
from smallprint.core.errors import BundleError, ConfigError, DataError
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.data.columns import GROUP_NAMES, require_column
from smallprint.data.stream import open_rows
from smallprint.evaluation.drift import NAMES, Drift
from smallprint.inference.engine import Engine, load_engine
from smallprint.inference.monitor import monitor_texts
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.reference import Reference, build_reference, load_reference

MOST = 5_000  # new texts that are compared


def monitor(
    model: str | Path,
    new_texts: str | Path,
    *,
    reference: Any = None,
    text: str | None = None,
    group: str | None = None,
    alpha: float = 0.01,
    limits: Mapping[str, float] | None = None,
    seed: int = 0,
    say: Say = say_nothing,
) -> Drift:
    """Gives what moved between the texts that a model knows and new ones.

    Args:
        model: Folder of a bundle or run.
        new_texts: A CSV, TSV, JSON Lines, Parquet or .txt file, or '-' for standard input.
        reference: Labelled data whose validation split is compared with; what the bundle holds when left out.
        text: The text column of the new texts; found by name when left out.
        group: Their document column; the training's, or found by name, when left out; '' takes each text as independent.
        alpha: Probability of an alarm where nothing moved, over all measures together.
        limits: Size by which a measure may move without being over its limit.
        seed: Of everything that is drawn.
        say: Takes lines for a person.

    Raises:
        BundleError: There is no bundle, it is damaged, or holds no reference while none was given.
        ConfigError: A limit for something that is not measured, or alpha out of range.
        DataError: The new texts cannot be read, or are too few.
    """
    check_limits(limits or {}, alpha)
    folder = find_bundle(model)
    engine = load_engine(folder)
    known = (
        load_reference(folder, engine.labels.n_outputs) if reference is None else read_reference(engine, reference, say)
    )
    if known is None:
        raise BundleError(
            f"{folder} holds no reference: it was written by an older version, or evaluation.reference was off.",
            "numbers of its validation texts",
            "Name the data that it was trained on: --reference DATA.",
        )
    texts, groups, column = read_new(new_texts, text, group, engine, say)
    if groups is not None and known.groups is not None and not group:
        say(f"Texts of one '{column}' are taken together; --group '' takes each as independent.")
    if len(texts) > MOST:
        chosen = np.sort(np.random.default_rng(seed).choice(len(texts), MOST, replace=False))
        say(f"{MOST:,} of {len(texts):,} new texts, drawn at random, are compared.")
        texts, groups = [texts[i] for i in chosen], groups and [groups[i] for i in chosen]
    return monitor_texts(engine, known, texts, groups, alpha=alpha, limits=limits, seed=seed, say=say)


def check_limits(limits: Mapping[str, float], alpha: float) -> None:
    """Checks what is asked for.

    Raises:
        ConfigError: A limit for something that is not measured or below 0, or alpha out of range.
    """
    if not 1e-3 <= alpha <= 0.2:
        raise ConfigError(f"alpha is {alpha:g}.", "0.001 to 0.2", "Give --alpha 0.01, for one.")
    for name, value in limits.items():
        if name not in NAMES:
            raise ConfigError(
                f"There is no measure '{name}'.", ", ".join(NAMES), "Name one of these: --limit labels=0.05."
            )
        if not 0 <= value < float("inf"):
            raise ConfigError(f"The limit of {name} is {value:g}.", "0 or more", "Give a share, a distance or an area.")


def read_limits(given: Sequence[str]) -> dict[str, float]:
    """Gives the limits that were typed as MEASURE=SIZE.

    Raises:
        ConfigError: One is written otherwise.
    """
    limits = {}
    for part in given:
        name, _, size = part.partition("=")
        try:
            limits[name.strip()] = float(size)
        except ValueError:
            raise ConfigError(
                f"The limit is {part!r}.", "MEASURE=SIZE", "Write --limit labels=0.05, for one."
            ) from None
    return limits


def read_new(
    source: str | Path, text: str | None, group: str | None, engine: Engine, say: Say
) -> tuple[list[str], list[str | None] | None, str | None]:
    """Gives the texts of a table that are not blank, the document of each where a column has them, and that column.

    Raises:
        DataError: The table cannot be read, or lacks a column.
    """
    texts: list[str] = []
    groups: list[str | None] = []
    blank = 0
    column: str | None = None
    with open_rows(source, text=text, encoding=(engine.config or Config()).data.encoding) as stream:
        wanted = [group] if group is not None else [(engine.config or Config()).data.group, *GROUP_NAMES]
        column = next((name for name in wanted if name in stream.columns and name != stream.text), None)
        if group and column is None:
            require_column(stream.columns, group, "--group", str(source))
            raise DataError(f"{group!r} is the text column too.", "another column", "Name the one with the documents.")
        for frame in stream:
            for row in frame.select(stream.text, *([column] if column else [])).iter_rows():
                if row[0] is None or not str(row[0]).strip():
                    blank += 1
                    continue
                texts.append(str(row[0]))
                named = "" if column is None or row[1] is None else str(row[1]).strip()
                groups.append(named or None)  # a blank cell of a CSV names none
    if blank:
        say(f"{counted(blank, 'row')} without text left out.")
    return texts, groups if column is not None else None, column


def read_reference(engine: Engine, data: Any, say: Say) -> Reference:
    """Gives the reference of labelled data: its validation split, without texts that the model was trained on.

    Raises:
        DataError: The data cannot be read, or nothing is left of it.
    """
    from smallprint import runs  # with it comes all of training
    from smallprint.data.read import open_source
    from smallprint.unseen import read_unseen

    config = engine.config or Config()
    source = open_source(data, config.data.encoding)
    examples = read_unseen(engine, source, say)
    learned = None
    if examples.split == "validation":
        wanted, seed = runs.columns_for(config.data, engine.labels), config.training.seed
        learned = runs.read_split(source, wanted, "train", engine.labels, seed, engine.trained_on).texts
    return build_reference(examples.texts, engine.score(examples.texts), examples.groups, learned)


__all__ = ["check_limits", "monitor", "read_limits", "read_new", "read_reference"]
