"""A model in another format, proved equal before it is kept. In: a bundle and labelled rows. Out: a folder and what was compared.

Steps of their own beside `api`: convert, compare, decide, write.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from smallprint import runs
from smallprint.core.errors import ConfigError, ExportError
from smallprint.core.files import atomic_folder, check_output, write_json
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.core.results import ScoredSplit
from smallprint.core.run import open_run
from smallprint.data.examples import Examples
from smallprint.data.read import open_source
from smallprint.evaluation.metrics import compute_metrics
from smallprint.inference.engine import Engine
from smallprint.packaging.bundle import Bundle, check_replaceable, find_bundle, load_bundle, save_bundle, store_policy
from smallprint.packaging.reference import load_reference
from smallprint.packaging.registered import read_word

Format = Literal["onnx", "onnx-int8", "openvino-int8", "transformers"]
NEAR = 1e-4  # between two fp32 scores of a text
WEIGHTS = {
    "onnx": ("fp32",),
    "onnx-int8": ("int8", "int8-spared"),
    "openvino-int8": ("int8", "int8-spared"),
}  # the fastest first; the nearer where it does not do
LOSS, AGREE = 0.005, 0.995  # int8: how much macro F1 may fall, and the share of decisions that must stay


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares with the original on the same rows.

    Attributes:
        folder: Of the export.
        to: Its format.
        rows: How many texts were compared, and of which data.
        data: What they are.
        difference: Largest between two scores.
        agreement: Share of decisions (one a label and text; multiclass: one a text) that are the same, in [0, 1].
        same_rows: Share of texts of which all labels are the same, in [0, 1].
        macro_f1: Of original and export, by the model's thresholds (binary: F1); None where the rows have no labels.
        size_mb: Of original and export.
    """

    folder: Path
    to: Format
    rows: int
    data: str
    difference: float
    agreement: float
    same_rows: float
    macro_f1: tuple[float, float] | None
    size_mb: tuple[float, float]


def export(
    model: str | Path,
    to: str,
    out: str | Path | None = None,
    *,
    data: Any = None,
    say: Say = say_nothing,
) -> Exported:
    """Writes a model in another format, if it decides as the original does; otherwise nothing is written.

    Args:
        model: Folder of a run or bundle, or NAME@ALIAS of a registered one.
        to: onnx, onnx-int8, openvino-int8 or transformers.
        out: Folder of the export; beside the bundle, of a registered one in this folder, when left out.
        data: Labelled data whose validation rows are compared; a run's own when left out, and where that is gone the sample
            corpus, by whose texts alone (no labels) fp32 is compared.
        say: Takes lines for a person.

    Raises:
        ConfigError: The format is not known, or int8 was asked for without labelled rows.
        BundleError: There is no bundle, or it is damaged; or the folder holds something else.
        DataError: The data cannot be read.
        ExportError: The model cannot be written in that format, or it decides otherwise.
        MissingExtraError: A package that exporting needs is not installed.
    """
    if to not in get_args(Format):
        raise ConfigError(f"The format {to!r} is not known.", ", ".join(get_args(Format)), "Choose one of these.")
    folder = find_bundle(model)
    bundle = load_bundle(folder)
    out = Path(out) if out is not None else _beside(model, folder, to)
    check_output(out, folder=True)
    if folder.resolve().is_relative_to(out.resolve()):
        raise ConfigError(
            f"{out} holds the model that is read.", "another folder for the export", "Name another with --out."
        )
    if to != "transformers":
        check_replaceable(out)
    elif out.exists() and any(out.iterdir()):
        raise ExportError(f"{out} is there already.", "a new folder", "Name another with --out, or remove it.")
    examples, named = _rows(Path(model), bundle, data)
    if examples.examples is None and to.endswith("-int8"):
        raise ConfigError(
            "int8 rounds the model, and no labelled rows are known by which the loss could be told.",
            "labelled data",
            "Name it: --data DATA (its validation split is used).",
        )
    if to != "transformers":
        from smallprint.packaging.onnx_export import has_encoder

        if not has_encoder(bundle.scorer):
            raise ExportError(
                "This model has no encoder: it needs neither torch nor ONNX as it is.",
                "an encoder",
                "Use the bundle itself.",
            )
    say(f"Exporting; then {counted(len(examples.texts), 'text')} of {named} are scored by both.")
    before = _engine(bundle, bundle.scorer)
    if to == "transformers":
        return _as_transformers(bundle, before, examples, named, folder, out)
    original = before.score(examples.texts)
    from smallprint.packaging.onnx_export import to_onnx

    for weights in WEIGHTS[to]:
        converted = to_onnx(bundle.scorer, weights, say, "openvino" if to.startswith("openvino") else "onnxruntime")
        scores = _engine(bundle, converted).score(examples.texts)
        found = _compare(before, original, scores, examples, named, to, folder, out)
        if weights == WEIGHTS[to][-1] or not _refusal(found):
            break
        say(f"Not near enough ({'; '.join(lines_of(found))}): what loses most by int8 stays in fp32.")
    _accept(found)
    manifest = bundle.manifest
    save_bundle(
        out,
        scorer=converted,
        labels=bundle.labels,
        thresholds=bundle.thresholds,
        config=bundle.config,
        data=manifest["data"],
        metrics={**manifest["metrics"], "export": {**_told(found), "weights": weights}},
        calibration=bundle.calibration,
        known_texts=bundle.known_texts,
        reference=load_reference(folder, bundle.labels.n_outputs),
    )
    if bundle.policy is not None:
        store_policy(out, bundle.policy)
    return _sized(found)


def _beside(model: str | Path, folder: Path, to: str) -> Path:
    if (word := read_word(model)) is None:
        return folder.with_name(f"{folder.name}-{to}")
    return Path.cwd() / f"{word.name}-{folder.name.partition('-')[0]}-{to}"  # its own folder is but a copy


def _as_transformers(bundle: Bundle, engine: Engine, rows: _Rows, named: str, folder: Path, out: Path) -> Exported:
    """Writes weights, config and tokenizer by transformers itself, reads them back by its own classes, and compares these."""
    from smallprint.packaging.transformers_export import score_folder, to_transformers

    model, tokenizer = to_transformers(bundle.scorer, bundle.labels)
    original = engine.score(rows.texts)
    with atomic_folder(out) as temporary:
        try:
            model.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        except Exception as error:  # safetensors has an error of its own for what the system refuses
            if "No space left" in str(error):
                raise OSError(errno.ENOSPC, "no space left") from error
            raise
        decisions = {
            "task": bundle.labels.task,
            "label_names": list(bundle.labels.names),
            "thresholds": bundle.thresholds.tolist(),
            "calibration": None if bundle.calibration is None else bundle.calibration.to_dict(),
        }
        write_json(temporary / "smallprint.json", decisions)
        scores = score_folder(temporary, rows.texts, bundle.labels.task)
        if bundle.calibration is not None:
            scores = bundle.calibration.apply(scores)
        found = _compare(engine, original, scores, rows, named, "transformers", folder, out)
        _accept(found)
    return _sized(found)


@dataclass(frozen=True)
class _Rows:
    texts: list[str]
    examples: Examples | None


def _rows(model: Path, bundle: Bundle, data: Any) -> tuple[_Rows, str]:
    """Gives what is compared, and what it is called: named data, the run's own, or the sample corpus."""
    if data is None and (model / "run.json").is_file():
        state = open_run(model).state
        known = state.get("data")
        if isinstance(known, str) and (known == "sample" or Path(known).expanduser().exists()):
            data = known
    if data is None:
        return _Rows(open_source("sample").read(None)["text"].to_list(), None), "the sample corpus"
    config = bundle.config
    wanted = runs.columns_for(config.data, bundle.labels)
    trained_on = bundle.manifest["data"].get("fingerprints", {}).get("train")
    source = open_source(data, wanted.encoding)
    examples = runs.read_split(source, wanted, "validation", bundle.labels, config.training.seed, trained_on)
    return _Rows(examples.texts, examples), f"{data} ({examples.split})"


def _engine(bundle: Bundle, scorer: Any) -> Engine:
    return Engine(scorer, bundle.labels, bundle.thresholds, calibration=bundle.calibration, config=bundle.config)


def _compare(
    engine: Engine, original: Any, scores: Any, rows: _Rows, named: str, to: Any, folder: Path, out: Path
) -> Exported:
    decided, anew = (engine.labels.decode(part, engine.thresholds) for part in (original, scores))
    same = np.array([one == other for one, other in zip(decided, anew, strict=True)])
    cells = same
    if engine.labels.task == "multilabel":
        cells = (original >= engine.thresholds) == (scores >= engine.thresholds)
    quality = None
    if rows.examples is not None:
        targets = engine.labels.encode(rows.examples.labels)
        both = [
            compute_metrics(
                ScoredSplit("validation", engine.labels.task, engine.labels.names, rows.texts, targets, part),
                engine.thresholds,
            ).values
            for part in (original, scores)
        ]
        name = "f1" if engine.labels.task == "binary" else "f1_macro"
        quality = (both[0][name], both[1][name])
    return Exported(
        out,
        to,
        len(rows.texts),
        named,
        float(np.abs(original - scores).max()),
        float(cells.mean()),
        float(same.mean()),
        quality,
        (_size_mb(folder), 0.0),
    )


def _accept(found: Exported) -> None:
    """Lets pass an export that decides as the original does.

    Raises:
        ExportError: It does not.
    """
    if refused := _refusal(found):
        raise refused


def _refusal(found: Exported) -> ExportError | None:
    told = "; ".join(lines_of(found))
    if not found.to.endswith("-int8"):
        if found.difference <= NEAR:
            return None
        return ExportError(
            f"The exported model gives other scores: {told}.",
            f"differences of at most {NEAR:g}",
            "Use the bundle itself, and tell us of the backbone.",
        )
    fall = 0.0 if found.macro_f1 is None else found.macro_f1[0] - found.macro_f1[1]
    if found.agreement >= AGREE and fall <= LOSS:
        return None
    return ExportError(
        f"The model rounded to int8 decides otherwise: {told}.",
        f"at least {AGREE:.1%} of the decisions the same, and macro F1 at most {100 * LOSS:.1f} points lower",
        "Export it as fp32: --to onnx.",
    )


def lines_of(found: Exported) -> list[str]:
    """Gives the comparison in words."""
    lines = [
        f"{found.rows:,} texts of {found.data}: scores differ by up to {found.difference:.2g}",
        f"{found.agreement:.2%} of the decisions and {found.same_rows:.2%} of the texts are the same",
    ]
    if found.macro_f1 is not None:
        lines.append(f"macro F1 {100 * found.macro_f1[0]:.2f} before and {100 * found.macro_f1[1]:.2f} after")
    return lines


def _told(found: Exported) -> dict[str, Any]:
    return {
        "to": found.to,
        "rows": found.rows,
        "difference": found.difference,
        "agreement": found.agreement,
        "same_rows": found.same_rows,
        "macro_f1": None if found.macro_f1 is None else list(found.macro_f1),
    }


def _sized(found: Exported) -> Exported:
    return replace(found, size_mb=(found.size_mb[0], _size_mb(found.folder)))


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


__all__ = ["Exported", "Format", "export", "lines_of"]
