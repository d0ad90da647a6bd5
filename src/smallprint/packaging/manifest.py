"""manifest.json: what a bundle is, and the hash of every file in it. In: a folder. Out: its manifest, or a clear error.

It loads no weights, and runs and imports nothing that the manifest names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smallprint.core.config import Task
from smallprint.core.errors import BundleError
from smallprint.core.files import sha256_file

FORMAT: Literal["smallprint-bundle"] = "smallprint-bundle"
FORMAT_VERSION = 5
MANIFEST, SETTINGS, WEIGHTS = "manifest.json", "config.yaml", "model.safetensors"
AGAIN = "Copy or download the bundle again, or train it anew."


class CalibrationEntry(BaseModel):
    """A calibration in manifest.json, as `Calibration.to_dict` writes it; whether it fits the labels `bundle.py` checks."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    task: Task
    slope: list[float]
    intercept: list[float]


class BaseEntry(BaseModel):
    """The backbone below a bundle's adapters, which it does not hold itself."""

    model_config = ConfigDict(extra="forbid")

    name: str
    revision: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What manifest.json must hold, whatever the family."""

    model_config = ConfigDict(allow_inf_nan=False)

    format: Literal["smallprint-bundle"]
    format_version: int
    task: Task
    label_names: list[str]
    thresholds: list[float]
    calibration: CalibrationEntry | None = None
    policy: dict[str, Any] | None = None  # versions 1 to 3 knew none
    versions: dict[str, str]
    created: str
    data: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, str]


class EncoderManifest(Manifest):
    """The same for an encoder with a head."""

    family: Literal["encoder"]
    max_length: Annotated[int, Field(ge=1)]
    pooling: Literal["mean", "cls", "max", "last"]
    long_text: Literal["cut", "windows"] = "cut"  # versions 1 to 3 knew no other
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    head: str
    head_is_own: bool
    n_support: Annotated[int, Field(ge=0)] | None = None
    backbone_is_own: bool
    weights: Literal["fp32", "int8"] = "fp32"  # versions 1 and 2 knew no other
    base: BaseEntry | None = None  # versions 1 to 3 held merged models alone


class OnnxManifest(Manifest):
    """The same for an encoder that was exported to ONNX."""

    family: Literal["onnx"]
    max_length: Annotated[int, Field(ge=1)]
    long_text: Literal["cut", "windows"]
    pad_id: Annotated[int, Field(ge=0)]
    empty_id: Annotated[int, Field(ge=0)]
    weights: Literal["fp32", "int8"]
    runtime: Literal["onnxruntime", "openvino"] = "onnxruntime"  # the first exports knew no other


class LinearManifest(Manifest):
    """The same for TF-IDF and a linear SVM, whose settings stand in terms.json."""

    family: Literal["linear"]


class StaticManifest(Manifest):
    """The same for tables of words, which stand in words.json."""

    family: Literal["static"]


class StackManifest(Manifest):
    """The same for several models: which they are, and how they are combined, stands in stack.json."""

    family: Literal["stack"]


AnyManifest = EncoderManifest | OnnxManifest | LinearManifest | StaticManifest | StackManifest
File = TypeVar("File", bound=BaseModel)
FAMILIES: dict[Any, type[AnyManifest]] = {
    "encoder": EncoderManifest,
    "onnx": OnnxManifest,
    "linear": LinearManifest,
    "static": StaticManifest,
    "stack": StackManifest,
}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Gives what manifest.json holds, as it is.

    Raises:
        BundleError: It is missing, or no JSON object.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} has no {MANIFEST}.", "the folder of a bundle", "Check the path, or copy it again.")
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON ({type(error).__name__}).", "a manifest in JSON", AGAIN) from None
    if not isinstance(tree, dict):
        raise BundleError(f"{path} holds a {type(tree).__name__}.", "a JSON object", AGAIN)
    return tree


def check_manifest(tree: dict[str, Any], folder: Path) -> AnyManifest:
    """Gives the manifest with its types checked; one of version 1, which knew no families, is an encoder's.

    Raises:
        BundleError: It is of another kind, too new, or lacks a key.
    """
    path, version = folder / MANIFEST, tree.get("format_version")
    if tree.get("format") != FORMAT:
        raise BundleError(f"{path} has format {tree.get('format')!r}.", repr(FORMAT), "Name the folder of a bundle.")
    if type(version) is int and version > FORMAT_VERSION:
        made_by = tree.get("versions", {}).get("smallprint", "?") if isinstance(tree.get("versions"), dict) else "?"
        raise BundleError(
            f"{folder} has format version {version}, written by smallprint {made_by}.",
            f"format version {FORMAT_VERSION} at most, which smallprint {installed('smallprint')} reads",
            "Update smallprint, or train the model with this version.",
        )
    family = tree.get("family", "encoder" if version == 1 else None)
    if family not in list(FAMILIES):
        raise BundleError(f"{path} has 'family' {family!r}.", " or ".join(FAMILIES), AGAIN)
    try:
        manifest = FAMILIES[family].model_validate({**tree, "family": family}, strict=True)
    except ValidationError as error:
        problems = [f"'{'.'.join(str(p) for p in e['loc'])}': {e['msg'].lower()}" for e in error.errors()[:5]]
        raise BundleError(
            f"{path} is incomplete or wrong: {'; '.join(problems)}.", "all keys, as written", AGAIN
        ) from None
    if manifest.format_version < 1:
        raise BundleError(f"{path} has format version {version}.", f"1 to {FORMAT_VERSION}", AGAIN)
    return manifest


def check_files(folder: Path, listed: Mapping[str, str], needed: Iterable[str] = (WEIGHTS, SETTINGS)) -> None:
    """Compares every file but the manifest with its hash, sha256 in hex by name.

    Args:
        folder: Of the bundle.
        listed: Hash of each file that the manifest lists.
        needed: Files without which there is no bundle of its family.

    Raises:
        BundleError: A file is missing, changed or not listed.
    """
    present = set(files_in(folder)) - {MANIFEST}
    if missing := sorted((set(listed) | set(needed)) - present):
        raise BundleError(f"{folder} lacks {', '.join(missing)}.", "every file that its manifest lists", AGAIN)
    if extra := sorted(present - set(listed)):
        raise BundleError(
            f"{folder} has files that its manifest does not list: {', '.join(extra[:5])}.",
            "nothing but the bundle's own files",
            "Remove them, if you put them there; else copy the bundle again.",
        )
    for name, expected in sorted(listed.items()):
        try:
            found = sha256_file(folder / name)
        except OSError as error:
            raise unreadable(folder / name, error.strerror or type(error).__name__) from None
        if found != expected:
            raise BundleError(
                f"{folder / name} was changed or damaged: its sha256 is {found[:16]}...", f"{expected[:16]}...", AGAIN
            )


def files_in(folder: Path) -> list[str]:
    """Gives the names of all files, relative to the folder, with `/`."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def read_described(path: Path, kind: type[File]) -> File:
    """Gives what a JSON file beside the manifest holds, checked against its description.

    Raises:
        BundleError: It cannot be read, or holds something else; the first place is named.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise unreadable(path, f"{error.strerror or type(error).__name__}.") from None
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise unreadable(path, f"{f'{place}: ' if place else ''}{problem['msg']}.") from None


def unreadable(path: Path, why: str) -> BundleError:
    """Gives the error of a part of a bundle that cannot be used."""
    return BundleError(f"{path} cannot be read: {why}", "a file as smallprint wrote it", AGAIN)


__all__ = [
    "AnyManifest",
    "CalibrationEntry",
    "EncoderManifest",
    "LinearManifest",
    "Manifest",
    "OnnxManifest",
    "StackManifest",
    "StaticManifest",
    "check_files",
    "check_manifest",
    "files_in",
    "read_described",
    "read_manifest",
    "unreadable",
]
