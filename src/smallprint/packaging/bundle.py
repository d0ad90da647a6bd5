"""The folder that is shipped: a model, settings, thresholds and a manifest with the hash of every file.

In: a fitted scorer and what belongs to it. Out: the folder, or the same scorer again, checked file by file. It holds no
pickle and no code, and no code that it names is ever run.

    manifest.json       family, task, label names, thresholds, calibration, versions, data, metrics, sha256 of all other files
    config.yaml         the settings, without tracking
    train_texts.u64     64-bit hashes of the texts that it was trained on
    reference.safetensors  numbers of validation texts, for `monitor`: see `reference.py`
    model.safetensors   and more, by family: see `encoder_files.py`, `onnx_files.py`, `linear_files.py`, `static_files.py`, `stack_files.py`
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint import __version__
from smallprint.core.config import Config, TrackingConfig
from smallprint.core.errors import BundleError, SmallprintError
from smallprint.core.files import atomic_folder, sha256_file, write_json, write_text
from smallprint.core.parts import Parts
from smallprint.core.settings import config_of_member, load_config, render_config
from smallprint.core.telemetry import switch_off_telemetry
from smallprint.data.labels import LabelSet
from smallprint.evaluation.calibration import Calibration
from smallprint.evaluation.policy import Policy
from smallprint.evaluation.thresholds import DEFAULT
from smallprint.modeling.linear import LinearClassifier
from smallprint.modeling.onnx_scorer import OnnxScorer
from smallprint.modeling.scorer import Scorer
from smallprint.modeling.stack_scorer import StackScorer
from smallprint.modeling.static import StaticClassifier
from smallprint.packaging.calibration_files import read_calibration
from smallprint.packaging.linear_files import load_linear, save_linear
from smallprint.packaging.manifest import (
    AGAIN,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    SETTINGS,
    LinearManifest,
    Manifest,
    OnnxManifest,
    StackManifest,
    StaticManifest,
    check_files,
    check_manifest,
    files_in,
    read_manifest,
    unreadable,
)
from smallprint.packaging.onnx_files import ONNX, load_onnx, save_onnx
from smallprint.packaging.reference import Reference, save_reference
from smallprint.packaging.registered import read_word, registered_bundle
from smallprint.packaging.stack_files import STACK_FILE, SaveMember, load_stack, save_stack
from smallprint.packaging.static_files import load_static, save_static

KNOWN = "train_texts.u64"


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory.

    Attributes:
        folder: Where it lies.
        scorer: The model, ready to score; its scores are not calibrated yet.
        labels: Task and label names.
        thresholds: float64 `[n_outputs]`, for calibrated scores.
        calibration: To be applied to the scorer's scores, or None.
        policy: What the model may decide alone, or None.
        known_texts: Hashes of the texts that it was trained on, uint64, sorted; None in bundles of older versions.
        config: Settings of the training; tracking stands at its defaults.
        manifest: All of manifest.json.
    """

    folder: Path
    scorer: Scorer
    labels: LabelSet
    thresholds: NDArray[np.float64]
    calibration: Calibration | None
    policy: Policy | None
    known_texts: NDArray[np.uint64] | None
    config: Config
    manifest: dict[str, Any]


def save_bundle(
    folder: str | Path,
    *,
    scorer: Scorer,
    labels: LabelSet,
    thresholds: NDArray[Any],
    config: Config,
    data: Mapping[str, Any],
    metrics: Mapping[str, Any],
    calibration: Calibration | None = None,
    known_texts: NDArray[np.uint64] | None = None,
    reference: Reference | None = None,
    head_is_own: bool = False,
    stored: Mapping[str, Path] | None = None,
) -> Path:
    """Writes a bundle, whole or not at all, and gives its folder; a bundle that is already there is replaced.

    Args:
        folder: The new folder.
        scorer: An `EncoderScorer`, whose adapters are merged first, for good, or a scorer of another family.
        labels: Task and label names.
        thresholds: `[n_outputs]`.
        config: Settings of the training. Paths and addresses (tracking, teacher, extra rows) are left out.
        data: Summary of the data, JSON-ready.
        metrics: JSON-ready.
        calibration: Of the whole model's scores; the bundles of a stack's members have none.
        known_texts: Hashes of the texts that it was trained on (`text_hashes`), by which `evaluate` knows them again.
        reference: Numbers of texts that it was not trained on, with which `monitor` compares new ones.
        head_is_own: The head is an object of your own, whatever the settings name.
        stored: Bundles that hold a stack's members already, by name: they are copied as they are.

    Raises:
        BundleError: The folder holds something else, or the scorer is of a family that bundles do not know.
        TrainingError: A weight that int8 shall hold is not finite.
        SmallprintError: The disk is full or may not be written.
    """
    folder = Path(folder)
    check_replaceable(folder)
    shipped = _without_places(config)
    with atomic_folder(folder) as temporary:

        def save_member(place: Path, name: str, member: Scorer) -> None:
            if stored is not None:
                _copy(stored[name], place)
                return
            save_bundle(
                place,
                scorer=member,
                labels=labels,
                thresholds=np.full(labels.n_outputs, DEFAULT),
                config=config_of_member(config, name),
                data=data,
                metrics={},
            )

        model = _save_model(temporary, scorer, config, head_is_own, save_member)
        write_text(temporary / SETTINGS, render_config(shipped))
        if known_texts is not None:
            (temporary / KNOWN).write_bytes(np.unique(known_texts).astype("<u8").tobytes())
        if reference is not None:
            save_reference(temporary, reference)
        tree = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **model,
            "task": labels.task,
            "label_names": list(labels.names),
            "thresholds": [float(value) for value in thresholds],
            "calibration": None if calibration is None else calibration.to_dict(),
            "versions": {
                "python": platform.python_version(),
                **model["versions"],
                "smallprint": __version__,
            },
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "data": dict(data),
            "metrics": dict(metrics),
            "files": {name: sha256_file(temporary / name) for name in files_in(temporary)},
        }
        check_manifest(tree, folder)
        write_json(temporary / MANIFEST, tree)
    return folder


def find_bundle(path: str | Path) -> Path:
    """Gives the bundle's folder for that folder itself, for the run that made it, or for NAME@ALIAS of a registered one.

    This is the one place where the word MODEL of a command becomes a folder.

    Raises:
        BundleError: There is none, or the registry does not answer.
    """
    if (word := read_word(path)) is not None:
        return registered_bundle(word)
    path = Path(path).expanduser()
    for folder in (path, path / "bundle"):
        if (folder / MANIFEST).is_file():
            return folder
    expected = f"a bundle (a folder with {MANIFEST}), or a run that was trained to its end"
    if (path / "run.json").is_file():
        raise BundleError(
            f"The run {path} has no bundle yet.", expected, f"Go on with: smallprint train --resume {path}"
        )
    found = "holds no bundle" if path.is_dir() else "is a file" if path.exists() else "does not exist"
    raise BundleError(f"{path} {found}.", expected, "Check the path; `smallprint train` prints where the bundle is.")


def load_bundle(folder: str | Path, parts: Parts | None = None) -> Bundle:
    """Gives a bundle after checking every file against its hash.

    Args:
        folder: The bundle's folder.
        parts: Own head, backbone or tokenizer of an encoder. A head of your own must be given here: it is never
            imported because a file names it. Weights are loaded into a backbone that is given.

    Raises:
        BundleError: Anything in it is missing, changed, added, too new, or does not fit the rest.
    """
    switch_off_telemetry()
    folder, parts = Path(folder), parts or Parts()
    tree = read_manifest(folder)
    manifest = check_manifest(tree, folder)
    if isinstance(manifest, StackManifest):
        check_files(folder, manifest.files, (STACK_FILE, SETTINGS))
    elif isinstance(manifest, OnnxManifest):
        check_files(folder, manifest.files, (ONNX, SETTINGS))
    else:
        check_files(folder, manifest.files)
    labels, thresholds = _labels_of(manifest, folder)
    entry = manifest.calibration
    calibration = None if entry is None else read_calibration(entry, labels, folder / MANIFEST)
    try:
        config = load_config(folder / SETTINGS)
    except SmallprintError as error:
        raise unreadable(folder / SETTINGS, error.found) from None
    if isinstance(manifest, LinearManifest):
        scorer: Scorer = load_linear(folder, labels)
    elif isinstance(manifest, StaticManifest):
        scorer = load_static(folder, labels)
    elif isinstance(manifest, StackManifest):
        scorer = load_stack(folder, labels, load_bundle)
    elif isinstance(manifest, OnnxManifest):
        scorer = load_onnx(folder, manifest, labels)
    else:
        from smallprint.packaging.encoder_files import load_encoder

        scorer = load_encoder(folder, manifest, labels, config, parts)
    policy, known = _policy_of(manifest, folder), _known_texts(folder)
    return Bundle(folder, scorer, labels, thresholds, calibration, policy, known, config, tree)


def store_policy(folder: str | Path, policy: Policy | None) -> None:
    """Writes into a bundle what its model may decide alone, in the place of what was there; None takes it out.

    Raises:
        BundleError: There is no bundle, or it is damaged.
    """
    folder = Path(folder)
    tree = read_manifest(folder)
    check_manifest(tree, folder)
    tree["policy"] = None if policy is None else policy.to_dict()
    tree["format_version"] = FORMAT_VERSION
    write_json(folder / MANIFEST, tree)


def _known_texts(folder: Path) -> NDArray[np.uint64] | None:
    path = folder / KNOWN
    if not path.is_file():
        return None
    content = path.read_bytes()
    if len(content) % 8:
        raise unreadable(path, f"It has {len(content):,} bytes, and each hash has 8.")
    return np.frombuffer(content, dtype="<u8").astype(np.uint64)


def _policy_of(manifest: Manifest, folder: Path) -> Policy | None:
    if manifest.policy is None:
        return None
    try:
        return Policy.from_dict(manifest.policy)
    except (TypeError, AttributeError, SmallprintError):
        raise BundleError(f"{folder / MANIFEST} has a policy of another form.", "what `policy` stores", AGAIN) from None


def _copy(folder: Path, place: Path) -> None:
    """Copies all files: not by copytree, whose error hides that the disk is full, and which hands on who may write."""
    for name in files_in(folder):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, place / name)


def _save_model(
    folder: Path, scorer: Scorer, config: Config, head_is_own: bool, save_member: SaveMember
) -> dict[str, Any]:
    """Writes the files of the scorer's family and gives what the manifest says of it."""
    if isinstance(scorer, LinearClassifier):
        return save_linear(folder, scorer)
    if isinstance(scorer, StaticClassifier):
        return save_static(folder, scorer)
    if isinstance(scorer, StackScorer):
        return save_stack(folder, scorer, save_member)
    if isinstance(scorer, OnnxScorer):
        return save_onnx(folder, scorer)
    # a linear model needs no torch: what does is imported where an encoder is at hand
    from smallprint.modeling.encoder_scorer import EncoderScorer
    from smallprint.packaging.encoder_files import save_encoder

    if isinstance(scorer, EncoderScorer):
        return save_encoder(folder, scorer, config, head_is_own)
    raise BundleError(
        f"A bundle cannot hold a {type(scorer).__name__}.",
        "an EncoderScorer, an OnnxScorer, a LinearClassifier, a StaticClassifier or a StackScorer",
        "Keep a scorer of your own by your own means.",
    )


def _without_places(config: Config) -> Config:
    """Gives the settings without what names places on the machine that trained."""
    training = config.training.model_copy(update={"teacher": None})
    data = config.data.model_copy(update={"extra": None})
    return config.model_copy(update={"tracking": TrackingConfig(), "training": training, "data": data})


def check_replaceable(folder: Path) -> None:
    """Refuses, by a BundleError, a folder that holds anything but a bundle: no bundle takes its place."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        ours = read_manifest(folder).get("format") == FORMAT
    except BundleError:
        ours = False
    if not ours:
        expected = "a new folder, or a bundle to replace"
        raise BundleError(f"{folder} holds other files.", expected, "Name another folder.")


def _labels_of(manifest: Manifest, folder: Path) -> tuple[LabelSet, NDArray[np.float64]]:
    try:
        labels = LabelSet(manifest.task, list(manifest.label_names))
    except SmallprintError as error:
        raise BundleError(f"{folder / MANIFEST}: {error.found}", error.expected, AGAIN) from None
    if len(manifest.thresholds) != labels.n_outputs:
        raise BundleError(
            f"{folder / MANIFEST} has {len(manifest.thresholds)} thresholds for {len(labels.names)} labels.",
            f"{labels.n_outputs}, one per output",
            AGAIN,
        )
    return labels, np.array(manifest.thresholds, dtype=np.float64)


__all__ = ["Bundle", "check_replaceable", "find_bundle", "load_bundle", "save_bundle", "store_policy"]
