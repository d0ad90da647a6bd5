"""A run becomes a version that an alias names, and an alias goes back. In: a run or bundle, a name. Out: the version.

open -> load candidate -> compare with the champion -> log as MLflow model -> register -> lock -> look again -> move the alias
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smallprint.core.errors import BundleError, ConfigError
from smallprint.core.mlflow_store import open_client, shown, store_errors, tracking_uri
from smallprint.core.progress import Say, say_nothing
from smallprint.core.run import Run, open_run
from smallprint.inference.engine import load_engine
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.manifest import read_manifest
from smallprint.packaging.registered import Registered, Word, find_version, read_word, registered_bundle
from smallprint.registry.contest import MARGIN, Verdict, compare_models, find_test_rows
from smallprint.registry.history import LOCK, locked, read_history, write_history
from smallprint.registry.register import Candidate, register

CHAMPION = "champion"
ALIAS = re.compile(r"(?!v?\d+$)(?!latest$)[A-Za-z0-9_-]{1,255}", re.IGNORECASE)
# in MLflow's filters it stands in double quotes, which know no escape
NAME = re.compile(r'[^@/\\:="\s][^@/\\:="]{0,200}')
TIMES = 5  # looks at who is champion, where others promote at the same time


@dataclass(frozen=True)
class Promoted:
    """What was promoted.

    Attributes:
        name: Of the registered model.
        version: Its number.
        alias: What names it now.
        before: The version that the alias named before, or None.
        verdict: How it did beside that, or None where nothing was compared.
        store: Address of the registry.
    """

    name: str
    version: int
    alias: str
    before: int | None
    verdict: Verdict | None
    store: str

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        kept = {key: getattr(self, key) for key in ("name", "version", "alias", "before", "store")}
        return {**kept, "verdict": None if self.verdict is None else self.verdict.to_dict()}


def promote(
    model: str | Path,
    name: str,
    alias: str = CHAMPION,
    *,
    force: bool = False,
    margin: float = MARGIN,
    say: Say = say_nothing,
) -> Promoted:
    """Registers a run's bundle as a new version of `name` and lets `alias` name it, if it is as good as the one before.

    Args:
        model: Folder of a run or bundle; or NAME@ALIAS or NAME@VERSION of the same name: then only the alias moves.
        name: Of the registered model; it is made where there is none.
        alias: What shall name the version.
        force: Compare with nothing.
        margin: By how much it may be measured lower than the one before.
        say: Takes lines for a person.

    Raises:
        BundleError: It is worse than the one before, cannot be compared with it, or the store does not answer. Nothing moved.
        ConfigError: A name that cannot be used.
    """
    check_names(name, alias)
    candidate = _open_candidate(model, name)
    uri = registry_uri(candidate.run)
    version = None if candidate.registered is None else candidate.registered.version
    compared: dict[int, Verdict | None] = {}
    for _ in range(TIMES):
        champion = _version_of(uri, name, alias)
        if champion is not None and champion.version != version and champion.version not in compared:
            compared[champion.version] = None if force else _contest(champion, candidate, margin, say)
        if version is None:
            version = register(uri, name, candidate, say)
        before = None if champion is None else champion.version
        verdict = None if before is None else compared.get(before)
        notes = _notes(alias, verdict, force and before is not None) if before != version else _notes(alias)
        if _move(uri, name, alias, version, before, notes):
            return Promoted(name, version, alias, before, verdict, shown(uri))
        say(f"Somebody else moved {name}@{alias} meanwhile: looking again.")
    raise BundleError(
        f"{name}@{alias} was moved by others {TIMES} times meanwhile; version {version} is registered.",
        "an alias that stays",
        f"Then: smallprint promote {name}@{version} --as {name} --alias {alias}",
    )


def rollback(name: str, alias: str = CHAMPION) -> tuple[int, int]:
    """Lets an alias go back to the version that it named before; gives both, the new one first.

    Called again it goes back further.

    Raises:
        BundleError: There is none before it, or the store does not answer.
    """
    check_names(name, alias)
    uri = tracking_uri()
    now = find_version(Word(name, alias), uri).version
    with store_errors(uri):
        client = open_client(uri)
        with locked(client, name):
            history = read_history(client.get_registered_model(name), alias)
            there = {int(entry.version) for entry in client.search_model_versions(f'name = "{name}"')}
            now = history[-1] if history else now
            before = [version for version in history[:-1] if version in there]
            if not before:
                raise BundleError(
                    f"{name}@{alias} is version {now}, and named none before it.",
                    "an alias that was moved by `smallprint promote`",
                    f"Let it name another: smallprint promote {name}@VERSION --as {name} --alias {alias}",
                )
            client.set_registered_model_alias(name, alias, str(before[-1]))
            write_history(client, name, alias, before)
            client.set_model_version_tag(name, str(now), f"smallprint.rolled_back.{alias}", _now())
    return before[-1], now


def check_names(name: str, alias: str) -> None:
    """Refuses names that no word NAME@ALIAS could hold.

    Raises:
        ConfigError: One of them is such a name.
    """
    if not NAME.fullmatch(name) or name.endswith(" ") or LOCK in name:
        raise ConfigError(f"A model cannot be called {name!r}.", 'a name without @ / \\ : = "', "Choose another --as.")
    if not ALIAS.fullmatch(alias):
        raise ConfigError(
            f"An alias cannot be called {alias!r}.",
            "letters, digits, _ and -; not 'latest', and no version such as 3 or v3",
            "Choose another --alias.",
        )


def registry_uri(run: Run | None) -> str:
    """Gives the store of a promotion: MLFLOW_TRACKING_URI, else the run's own, else runs/mlflow.db here."""
    if os.environ.get("MLFLOW_TRACKING_URI") or run is None:
        return tracking_uri()
    return tracking_uri(run.config)


def _open_candidate(model: str | Path, name: str) -> Candidate:
    word, run, registered = read_word(model), None, None
    if word is not None:
        if word.name != name:
            raise ConfigError(
                f"{word} is a version of '{word.name}'.",
                f"a version of '{name}'",
                f"Give --as {word.name}, or the run.",
            )
        registered = find_version(word)
        bundle = registered_bundle(word)
    else:
        bundle = find_bundle(model)
        for folder in (Path(model).expanduser(), bundle.parent):
            if run is None and (folder / "run.json").is_file() and (folder / "config.yaml").is_file():
                run = open_run(folder, clear=False)
    return Candidate(bundle, read_manifest(bundle), load_engine(bundle), run, registered)


def _version_of(uri: str, name: str, alias: str) -> Registered | None:
    """Gives the version that an alias names now; None where there is none, or no such model."""
    with store_errors(uri):
        from mlflow.exceptions import MlflowException

        client = open_client(uri, make=True)
        try:
            model = client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        if alias not in model.aliases:
            return None
    return find_version(Word(name, str(model.aliases[alias])), uri)


def _contest(champion: Registered, candidate: Candidate, margin: float, say: Say) -> Verdict:
    """Gives the verdict on a candidate.

    Raises:
        BundleError: It is not as good, or cannot be compared.
    """
    folder = registered_bundle(Word(champion.word.name, str(champion.version)), champion.uri)
    engine, tags = load_engine(folder), champion.entry.tags
    prints = read_manifest(folder)["data"].get("fingerprints", {})
    rows = find_test_rows(engine, prints, tags.get("smallprint.data"), tags.get("smallprint.run"), say)
    verdict = compare_models(engine, candidate.engine, rows, margin)
    if not verdict.accepted:
        how = "is worse than" if verdict.worse else "was measured lower than"
        raise BundleError(
            f"Not promoted: the candidate {how} {champion.word.name} version {champion.version}. {verdict}.",
            f"a difference of at least {-margin:+.3f} whose 95% interval reaches 0",
            "Train a better one; or, if you have other reasons, promote with --force. Nothing was moved.",
        )
    better = "better than" if verdict.better else "not shown to be worse than"
    say(f"Compared: {better} version {champion.version}. {verdict}.")
    return verdict


def _move(uri: str, name: str, alias: str, version: int, expected: int | None, notes: dict[str, str]) -> bool:
    """Lets the alias name the version, if it still stands where it did when both were compared; gives whether it did.

    The alias moves last: whoever is cut off before that leaves notes and a history that say more than there is, which
    `read_history` finds out, and never an alias that nobody can account for.
    """
    with store_errors(uri):
        client = open_client(uri)
        with locked(client, name):
            model = client.get_registered_model(name)
            stands = model.aliases.get(alias)
            before = None if stands is None else int(stands)
            if before != expected:
                return False
            for key, value in notes.items():
                client.set_model_version_tag(name, str(version), key, value)
            if before != version:
                write_history(client, name, alias, [*read_history(model, alias), version])
                client.set_registered_model_alias(name, alias, str(version))
            return True


def _notes(alias: str, verdict: Verdict | None = None, forced: bool | None = None) -> dict[str, str]:
    """Gives the tags of a version that tell how it was promoted; what an earlier promotion told is told anew, unless nothing moved."""
    notes = {f"smallprint.promoted.{alias}": _now()}
    if forced is not None:
        notes[f"smallprint.verdict.{alias}"] = json.dumps(verdict and verdict.to_dict())
        notes[f"smallprint.forced.{alias}"] = json.dumps(forced)
    return notes


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


__all__ = ["CHAMPION", "Promoted", "check_names", "promote", "registry_uri", "rollback"]
