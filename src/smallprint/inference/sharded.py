"""Scoring a table by many workers, on one machine or a cluster, by Ray Data. In: a bundle, a table. Out: the same file as by one process.

The table is cut into shards that `predict_file` would score as one chunk, so that the answers are the same to the bit. A shard that is
scored is a file of its own: what was stopped goes on with those that are missing. On a cluster the folder of shards and the bundle must be
where every machine finds them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import polars as pl

from smallprint.core.errors import ConfigError, DataError
from smallprint.core.extras import import_extra
from smallprint.core.files import atomic_path, disk_errors, sha256_file, write_json
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.core.settings import load_config
from smallprint.data.row_writer import RowWriter
from smallprint.data.stream import open_rows
from smallprint.inference.core_lines import without_idle_lines
from smallprint.inference.engine import Engine, load_engine
from smallprint.inference.predictor import PredictSummary, choose_format, choose_separator, score_frame, tell_summary
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.manifest import MANIFEST

PLAN = "shards.json"
OURS = re.compile(r"rows-\d+\.parquet|\.shards\.json\..*\.tmp")  # what a stop leaves before there is a plan
SAY_SECONDS = 5.0


class ShardScorer:
    """A worker: loads the bundle once, and scores shards.

    Args:
        bundle: Folder of it.
        text: The text column.
    """

    def __init__(self, bundle: str, text: str) -> None:
        self.engine: Engine = load_engine(Path(bundle))
        self.text = text

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Scores one shard, writes down how many of its rows have no text or were cut, and gives its number.

        Raises:
            DataError: As for `predict_file`.
        """
        before = self.engine.n_truncated
        try:
            frame = pl.read_parquet(row["rows"])
            scored, empty = score_frame(self.engine, frame, self.text, int(row["before"]))
            counts = {"empty": empty, "cut": self.engine.n_truncated - before, "max_length": self.engine.max_length}
            write_json(_counts_of(row), counts)
            with atomic_path(Path(row["scored"])) as path:
                scored.write_parquet(path)
        except DataError as error:  # Ray would wrap it, with a traceback
            return {"shard": row["shard"], "error": json.dumps([error.found, error.expected, error.do])}
        return {"shard": row["shard"], "error": ""}


def predict_sharded(
    model: str | Path,
    input: str | Path,
    output: str | Path,
    *,
    text: str | None = None,
    output_format: str | None = None,
    encoding: str | None = None,
    workers: int | None = None,
    address: str | None = None,
    folder: Path | None = None,
    say: Say = say_nothing,
) -> PredictSummary:
    """Writes what `predict_file` writes, by several workers.

    Args:
        model: Folder of a bundle or run, or NAME@ALIAS.
        input: A CSV, TSV, JSON Lines, Parquet or .txt file.
        output: A file.
        text: The text column; found by name when left out.
        output_format: csv, tsv, jsonl or parquet; by the suffix of `output` when left out.
        encoding: Of input that is not UTF-8; that of the data that the model was trained on when left out.
        workers: How many; the processors that there are when left out.
        address: Of a Ray cluster; a local one is started when left out, which listens on this machine alone.
        folder: Of the shards; OUTPUT.shards when left out. Removed once the output is whole.
        say: Takes lines for a person.

    Raises:
        ConfigError: Standard input or output, or shards of another input or model.
        DataError: As for `predict_file`.
        MissingExtraError: Ray is not installed.
    """
    if str(input) == "-" or str(output) == "-":
        raise ConfigError("Shards need files.", "INPUT and -o FILE", "Name both, or leave out --engine ray.")
    ray = _import_ray()
    bundle = find_bundle(model).absolute()
    folder = folder or Path(f"{output}.shards")
    encoding = encoding or load_config(bundle / "config.yaml").data.encoding
    # before hours of work: what cannot be written is told now
    with open_rows(input, text=text, encoding=encoding) as stream:
        form, exact, separator = choose_format(output, output_format, stream), stream.columns, choose_separator(stream)
    plan = _plan(bundle, Path(input).expanduser(), folder, text, encoding, say)
    missing = [shard for shard in plan["shards"] if not (Path(shard["scored"]).exists() and _counts_of(shard).exists())]
    if len(missing) < len(plan["shards"]):
        say(f"{counted(len(plan['shards']) - len(missing), 'shard')} of {len(plan['shards']):,} are scored already.")
    with without_idle_lines():
        if missing:
            _score(ray, bundle, plan["text"], missing, workers, address, say)
    rows = 0
    with RowWriter(output, form, exact=exact, separator=separator) as writer:
        for shard in plan["shards"]:
            scored = pl.read_parquet(shard["scored"])
            writer.exact |= set(pl.read_parquet_schema(shard["rows"]))
            writer.write(scored)
            rows += scored.height
    counts = [json.loads(_counts_of(shard).read_text(encoding="utf-8")) for shard in plan["shards"]]
    empty, cut = (sum(count[name] for count in counts) for name in ("empty", "cut"))
    shutil.rmtree(folder)
    summary = PredictSummary(rows, empty, str(output), cut)
    max_length = counts[0]["max_length"] if counts else None
    say(tell_summary(summary, max_length, encoding, f" in {counted(len(counts), 'shard')}"))
    return summary


def _counts_of(shard: dict[str, Any]) -> Path:
    """Gives where it stands how many rows of a shard have no text or were cut, beside its scores."""
    return Path(shard["scored"]).with_suffix(".json")


def _plan(bundle: Path, input: Path, folder: Path, text: str | None, encoding: str, say: Say) -> dict[str, Any]:
    """Gives the shards of a table, cut now or found cut: rows in, rows scored, and how many rows come before."""
    state = input.stat() if input.exists() else None
    source = {
        "input": str(input.absolute()),
        "bytes": state.st_size if state else 0,
        "changed": state.st_mtime_ns if state else 0,
        "model": sha256_file(bundle / MANIFEST),  # thresholds and policy too, which stand in no other file
        "column": text,
        "encoding": encoding,
    }
    if (folder / PLAN).exists():
        plan: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        if plan["source"] != source:
            raise ConfigError(
                f"{folder} holds shards of another input or model.",
                "shards of this one",
                "Remove it, or name another output.",
            )
        return plan
    _clear(folder)
    shards, before = [], 0
    with open_rows(input, text=text, encoding=encoding) as stream:
        column = stream.text
        for number, frame in enumerate(stream):
            place = folder / f"rows-{number:06}.parquet"
            try:
                frame.write_parquet(place)
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                raise DataError(
                    f"Rows from {before + 1:,} on hold values that fit into no column ({str(error).splitlines()[0]}).",
                    "columns of one type each",
                    "Leave out --engine ray: one process writes them as they are.",
                ) from None
            scored = str((folder / f"scored-{number:06}.parquet").absolute())
            shards.append({"shard": number, "rows": str(place.absolute()), "scored": scored, "before": before})
            before += frame.height
    say(f"{counted(before, 'row')} in {counted(len(shards), 'shard')}")
    plan = {"source": source, "text": column, "shards": shards}
    write_json(folder / PLAN, plan)
    return plan


def _clear(folder: Path) -> None:
    """Makes the folder, or empties it of rows that were not cut to the end.

    Raises:
        ConfigError: It holds anything else.
    """
    with disk_errors(folder):
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is a file.", "a place for shards", "Move it, or name another output.")
        folder.mkdir(parents=True, exist_ok=True)
        there = sorted(folder.iterdir())
        if other := [path.name for path in there if not OURS.fullmatch(path.name) or path.is_dir()]:
            raise ConfigError(
                f"{folder} holds other files: {', '.join(other[:5])}.",
                "a place for shards, which are removed at the end",
                "Move them, or name another output.",
            )
        for path in there:
            path.unlink()


def _import_ray() -> Any:
    """Gives Ray, silent: what it logs while it works is no user's."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import_extra("ray.data", "Scoring by many workers needs", "ray")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return import_extra("ray", "Scoring by many workers needs", "ray")


def _score(
    ray: Any,
    bundle: Path,
    column: str,
    shards: list[dict[str, Any]],
    workers: int | None,
    address: str | None,
    say: Say,
) -> None:
    """Has the shards scored."""
    mine = not ray.is_initialized()
    if mine and address is None:
        try:
            ray.init(
                num_cpus=workers or os.cpu_count(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                _node_ip_address="127.0.0.1",
            )
        except Exception as error:  # Ray raises a bare one where its processes do not come up
            raise ConfigError(
                f"Ray did not start on this machine ({str(error).splitlines()[0] if str(error) else type(error).__name__}).",
                "processor time and memory for its processes",
                "Try again when the machine is less busy: scored shards are kept. Or leave out --engine ray.",
            ) from None
    elif mine:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(
                f"There is no Ray cluster at {address} ({first}).", "one that answers", "Leave out --address."
            ) from None
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        most = min(len(shards), workers or max(1, int(ray.cluster_resources().get("CPU", 1))))
        given = ray.data.from_items(shards, override_num_blocks=len(shards))
        answers = given.map(
            ShardScorer,
            fn_constructor_args=(str(bundle), column),
            compute=ray.data.ActorPoolStrategy(size=most),
            num_cpus=1,
        )
        start = said = time.monotonic()
        for done, answer in enumerate(answers.iter_rows(), start=1):
            if answer["error"]:
                raise DataError(*json.loads(answer["error"]))
            if time.monotonic() - said >= SAY_SECONDS and done < len(shards):
                said = time.monotonic()
                left = (said - start) / done * (len(shards) - done)
                say(f"{done:,} of {len(shards):,} shards done, about {left:,.0f} s left")
    finally:
        if mine:
            ray.shutdown()


__all__ = ["ShardScorer", "predict_sharded"]
