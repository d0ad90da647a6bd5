"""NAME@ALIAS and NAME@VERSION. In: such a word. Out: the folder of that bundle, copied from MLflow's registry once and kept.

It registers nothing and moves no alias. MLflow is imported only when a word is such a one.

A copy lies in the folder `registry` of the cache (core/kept.py), by store, name, version and hash of its manifest.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallprint.core.errors import BundleError
from smallprint.core.files import disk_errors, sha256_file
from smallprint.core.kept import cache_root
from smallprint.core.mlflow_store import open_client, shown, store_errors, tracking_uri, used
from smallprint.packaging.manifest import MANIFEST, check_files, check_manifest, read_manifest

WORD = re.compile(r"(?!\.{1,2}@)(?P<name>[^@/\\:]+)@(?P<which>[^@/\\:]+)")  # the name is a folder's too, of copies
DIGEST = re.compile(r"[0-9a-f]{64}")
HASH = "smallprint.manifest_sha256"  # tag of a version
PLACE = "bundle"  # in an MLflow model's `artifacts` folder
Stamp = tuple[str, int, str]


@dataclass(frozen=True)
class Word:
    """A model as it stands in a registry.

    Attributes:
        name: Of the registered model.
        which: An alias, or a version's number.
    """

    name: str
    which: str

    @property
    def is_version(self) -> bool:
        """Whether `which` is a number: what it names never changes."""
        return self.which.isdecimal()

    def __str__(self) -> str:
        return f"{self.name}@{self.which}"


@dataclass(frozen=True)
class Registered:
    """One version.

    Attributes:
        word: By which it was found.
        uri: Of the store.
        version: Its number.
        manifest_hash: sha256 of its manifest.json.
        entry: As MLflow gives it.
    """

    word: Word
    uri: str
    version: int
    manifest_hash: str
    entry: Any

    @property
    def stamp(self) -> Stamp:
        """Tells whether it is still the same."""
        return f"{self.uri} {self.word.name}", self.version, self.manifest_hash


def read_word(text: str | Path) -> Word | None:
    """Gives NAME@ALIAS or NAME@VERSION in parts; None for a path, and for whatever lies on the disk under that name."""
    found = None if isinstance(text, Path) and text.is_absolute() else WORD.fullmatch(str(text))
    return None if found is None or Path(text).exists() else Word(found["name"], found["which"])


def find_version(word: Word, uri: str | None = None) -> Registered:
    """Gives the version that a word names at this moment.

    Args:
        word: The word.
        uri: The store; MLFLOW_TRACKING_URI, else runs/mlflow.db, when left out.

    Raises:
        BundleError: There is no such model, alias or version, or the store does not answer.
    """
    uri = uri or tracking_uri()
    with store_errors(uri):
        client = open_client(uri)
        from mlflow.exceptions import MlflowException

        try:
            if word.is_version:
                entry = client.get_model_version(word.name, word.which)
            else:
                entry = client.get_model_version_by_alias(word.name, word.which)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise _no_such(client, word, uri) from None
    digest = entry.tags.get(HASH)
    if not digest or not DIGEST.fullmatch(digest):  # it becomes part of a path
        raise BundleError(
            f"{word.name} version {entry.version} in {shown(uri)} was not registered by smallprint.",
            "a version that `smallprint promote` made",
            "Name another, or promote a run.",
        )
    return Registered(word, uri, int(entry.version), digest, entry)


def registered_bundle(word: Word, uri: str | None = None) -> Path:
    """Gives the folder of a registered bundle; it is downloaded where no sound copy of it is here.

    Raises:
        BundleError: There is no such model, alias or version, the store does not answer, or what it has is damaged.
    """
    found = find_version(word, uri)
    folder = cache_folder(found)
    if _is_sound(folder, found.manifest_hash):
        return folder
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=folder.parent) as temporary:
            fresh = _download(found, Path(temporary))
            if sha256_file(fresh / MANIFEST) != found.manifest_hash:
                raise BundleError(
                    f"The manifest of {word.name} version {found.version} is not the one that was registered.",
                    f"sha256 {found.manifest_hash[:16]}...",
                    "Somebody changed it in the store: promote the run again.",
                )
            manifest = check_manifest(read_manifest(fresh), Path(f"{word.name} version {found.version}"))
            check_files(fresh, manifest.files, ())
            if not _is_sound(folder, found.manifest_hash):  # else another process was faster
                shutil.rmtree(folder, ignore_errors=True)
                fresh.replace(folder)
    return folder


def cache_folder(found: Registered) -> Path:
    """Gives where the copy of a version lies."""
    store = hashlib.sha256(found.uri.encode()).hexdigest()[:12]
    return cache_root() / "registry" / store / found.word.name / f"{found.version}-{found.manifest_hash[:16]}"


def _is_sound(folder: Path, manifest_hash: str) -> bool:
    """Whether a copy is there and every file of it as its manifest says."""
    if not (folder / MANIFEST).is_file() or sha256_file(folder / MANIFEST) != manifest_hash:
        return False
    try:
        check_files(folder, check_manifest(read_manifest(folder), folder).files, ())
    except BundleError:
        return False
    return True


def _download(found: Registered, folder: Path) -> Path:
    with store_errors(found.uri), used(found.uri):
        from mlflow.artifacts import download_artifacts

        place = open_client(found.uri).get_model_version_download_uri(found.word.name, str(found.version))
        uri = f"{place.rstrip('/')}/artifacts/{PLACE}"
        fresh = Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=found.uri))
        if not (fresh / MANIFEST).is_file():
            raise BundleError(
                f"The bundle of {found.word.name} version {found.version} is no longer in the store {shown(found.uri)}.",
                "its files, as they were registered",
                "Promote the run again.",
            )
        return fresh


def _no_such(client: Any, word: Word, uri: str) -> BundleError:
    """Gives the error of a word that names nothing, with what there is."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(word.name)
    except MlflowException:
        names = ", ".join(model.name for model in client.search_registered_models(max_results=10)) or "none"
        return BundleError(
            f"There is no registered model '{word.name}' in {shown(uri)}; there are: {names}.",
            "a folder, or NAME@ALIAS of a registered model",
            "Check the name: `smallprint models` lists them; or set MLFLOW_TRACKING_URI to the store that has it.",
        )
    aliases = ", ".join(f"{alias} (version {version})" for alias, version in sorted(model.aliases.items())) or "none"
    what = f"version {word.which}" if word.is_version else f"alias '{word.which}'"
    return BundleError(
        f"The model '{word.name}' has no {what}.",
        f"one of its aliases: {aliases}; or a version",
        f"`smallprint models {word.name}` lists them; `smallprint promote RUN --as {word.name} --alias ALIAS` sets one.",
    )


__all__ = [
    "HASH",
    "PLACE",
    "Registered",
    "Stamp",
    "Word",
    "cache_folder",
    "find_version",
    "read_word",
    "registered_bundle",
]
