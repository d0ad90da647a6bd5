"""A table in, the same table with labels and scores out, however large: memory holds some thousand rows.

Rows keep their order and columns their values. It trains nothing and compares with no truth: that is `evaluate`.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import polars as pl

from smallprint.core.config import Config
from smallprint.core.data_config import UTF_8
from smallprint.core.errors import ConfigError, DataError
from smallprint.core.parts import Parts
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.data.row_writer import OutputFormat, RowWriter, find_output_format
from smallprint.data.stream import RowStream, open_rows
from smallprint.inference.engine import Engine, open_model

SAY_SECONDS = 5.0
Take = Callable[[list[dict[str, Any]]], None]
DECISION = "decision"  # column of what a policy decides
LABEL_SCORE = "label_score"  # column of how sure a multiclass label is


@dataclass(frozen=True)
class PredictSummary:
    """What was written.

    Attributes:
        rows: All rows.
        skipped_empty: Those without text; their label and scores are null.
        output: The file, or '-'.
        truncated: Rows whose text was cut at the model's longest input.
    """

    rows: int
    skipped_empty: int
    output: str
    truncated: int = 0


def predict_file(
    engine: Engine | str | Path,
    input: str | Path,
    output: str | Path,
    *,
    text: str | None = None,
    output_format: str | None = None,
    parts: Parts | None = None,
    found: Take | None = None,
    encoding: str | None = None,
    say: Say = say_nothing,
) -> PredictSummary:
    """Writes the rows of a table with `label` (multilabel: `labels`; multiclass: also its score, `label_score`) and `score_NAME` for each
    output of the model.

    Where the model has a policy, `decision` says 'cleared', 'flagged' or 'person'.

    Args:
        engine: An engine, the folder of a bundle or run, or NAME@ALIAS.
        input: A CSV, TSV, JSON Lines, Parquet or .txt file, or '-' for standard input.
        output: A file, which is whole or not there, or '-' for standard output.
        text: The text column; found by name when left out.
        output_format: csv, tsv, jsonl or parquet; by the suffix of `output`, else as the input, when left out.
        parts: Own parts of a bundle that is loaded here.
        encoding: Of input that is not UTF-8; that of the data that the model was trained on when left out. Output is UTF-8.
        found: Takes the findings of every chunk: a label that was given, or the likeliest of a text that goes to a person.
        say: Takes a line every few seconds, and one at the end.

    Raises:
        DataError: The input cannot be read, has a column of the same name, or a value that is not text.
        ConfigError: The output's format cannot be told.
        BundleError: The bundle is damaged.
    """
    engine = open_model(engine, parts)
    rows = skipped = 0
    cut_before, last_said = engine.n_truncated, time.monotonic()
    with open_rows(input, text=text, encoding=encoding_of(engine, encoding)) as stream:
        chosen = choose_format(output, output_format, stream)
        with RowWriter(output, chosen, exact=stream.columns, separator=choose_separator(stream)) as writer:
            for frame in stream:
                scored, empty = score_frame(engine, frame, stream.text, rows)
                writer.exact |= set(frame.columns)
                writer.write(scored)
                if found is not None:
                    found(_findings(engine, scored, stream.text, str(input), rows))
                rows, skipped = rows + frame.height, skipped + empty
                if time.monotonic() - last_said >= SAY_SECONDS:
                    last_said = time.monotonic()
                    say(f"{rows:,} rows done")
    summary = PredictSummary(rows, skipped, str(output), engine.n_truncated - cut_before)
    say(tell_summary(summary, engine.max_length, encoding_of(engine, encoding)))
    return summary


def tell_summary(summary: PredictSummary, max_length: int | None, encoding: str, how: str = "") -> str:
    """Gives what was written as a line.

    Args:
        summary: Of it.
        max_length: The model's longest input, in tokens.
        encoding: Of input that is not UTF-8.
        how: It was predicted, such as ' in 3 shards'.
    """
    notes = [f"{summary.skipped_empty:,} without text, left without a label"] if summary.skipped_empty else []
    notes += [f"{summary.truncated:,} cut at {max_length} tokens"] if summary.truncated else []
    told = "" if codecs.lookup(encoding) == codecs.lookup(UTF_8) else f" in UTF-8, not in {encoding}"
    where = [] if summary.output == "-" else [f"written to {summary.output}{told}"]
    return "; ".join([f"{counted(summary.rows, 'row')} predicted{how}", *notes, *where])


def choose_format(output: str | Path, wanted: str | None, stream: RowStream) -> OutputFormat:
    for known in get_args(OutputFormat):
        if wanted == known:
            return known  # type: ignore[no-any-return]
    if wanted is not None:
        known_formats = ", ".join(get_args(OutputFormat))
        raise ConfigError(f"The output format {wanted!r} is not known.", known_formats, "Choose one of these.")
    if str(output) != "-" and Path(output).suffix:
        return find_output_format(output)
    if stream.format == "text" or (stream.format == "parquet" and str(output) == "-"):
        return "jsonl"
    return stream.format


def choose_separator(stream: RowStream) -> str:
    """Gives what stands between the fields of a CSV that is written: what stood there in one that was read, else a comma."""
    return stream.separator if stream.format == "csv" and stream.separator else ","


def encoding_of(engine: Engine, wanted: str | None) -> str:
    """Gives the encoding of what is not UTF-8: the wanted one, else that of the model's own data."""
    return wanted or (engine.config or Config()).data.encoding


def score_frame(engine: Engine, frame: pl.DataFrame, column: str, rows_before: int) -> tuple[pl.DataFrame, int]:
    """Gives a chunk with the new columns, and the number of its rows without text."""
    labels = engine.labels
    several = labels.task == "multilabel"
    label_name, score_names = "labels" if several else "label", [f"score_{name}" for name in labels.score_names]
    decided = [DECISION] if engine.policy is not None else []
    best = [LABEL_SCORE] if labels.task == "multiclass" else []
    if taken := [name for name in (label_name, *best, *decided, *score_names) if name in frame.columns]:
        raise DataError(
            f"The input already has a column {taken[0]!r}, which the prediction would write.",
            f"no column named {' or '.join(repr(name) for name in (label_name, *best, *decided))} or 'score_...'",
            f"Rename {taken[0]!r} in the input.",
        )
    texts = list(frame[column])
    for place, text in enumerate(texts):
        if text is not None and not isinstance(text, str):
            raise DataError(
                f"Row {rows_before + place + 1:,}: column {column!r} holds a {type(text).__name__}.",
                "text",
                "Turn it into a string, or name another column with --text.",
            )
    full = [place for place, text in enumerate(texts) if text is not None and text.strip()]
    prediction = engine.predict([texts[place] for place in full])

    def spread(values: Sequence[Any]) -> list[Any]:
        """Gives the values of the rows with a text at their places, None between them."""
        rows: list[Any] = [None] * len(texts)
        for place, value in zip(full, values, strict=True):
            rows[place] = value
        return rows

    if several:
        new = [_lists(label_name, spread(prediction.labels))]
    else:
        new = [pl.Series(label_name, spread([names[0] for names in prediction.labels]), dtype=pl.String)]
    if best:  # so that what is unsure can be sorted out without knowing every label
        new.append(pl.Series(LABEL_SCORE, spread(prediction.scores.max(axis=1).tolist()), dtype=pl.Float32))
    if prediction.decisions is not None:
        new.append(pl.Series(DECISION, spread(prediction.decisions), dtype=pl.String))
    columns = zip(score_names, prediction.scores.T.tolist(), strict=True)
    new += [pl.Series(name, spread(scores), dtype=pl.Float32) for name, scores in columns]
    return frame.with_columns(new), len(texts) - len(full)


def _lists(name: str, found: list[list[str] | str | None]) -> pl.Series:
    """Gives lists of labels as a column; each combination is made once, as a column of lists costs more than their scores."""
    kinds: dict[tuple[str, ...], int] = {}
    rows = [None if names is None else kinds.setdefault(tuple(names), len(kinds)) for names in found]
    lists = pl.Series(name, [list(kind) for kind in kinds], dtype=pl.List(pl.String))
    return lists.gather(pl.Series(rows, dtype=pl.UInt32))


def _findings(engine: Engine, frame: pl.DataFrame, column: str, source: str, before: int) -> list[dict[str, Any]]:
    """Gives what actions are done with, in the order of the rows: document, row (from 1), label, score, decision, text."""
    several, names = engine.labels.task == "multilabel", list(engine.labels.score_names)
    findings: list[dict[str, Any]] = []
    for place, row in enumerate(frame.iter_rows(named=True), start=before + 1):
        given = row["labels" if several else "label"]
        if given is None:
            continue
        decision = row.get(DECISION) if engine.policy is not None else None
        labels = [name for name in (given if several else [given]) if name in names]
        if not labels and decision == "person":
            labels = [max(names, key=lambda name: row[f"score_{name}"])]
        for label in labels:
            finding = {"document": source, "row": place, "label": label, "score": row[f"score_{label}"]}
            findings.append({**finding, "decision": decision, "text": row[column]})
    return findings


__all__ = ["PredictSummary", "predict_file"]
