"""What is registered. In: a store. Out: models, their versions, aliases and scores, as a tree or as lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from smallprint.core.errors import BundleError
from smallprint.core.mlflow_store import open_client, store_errors, tracking_uri
from smallprint.packaging.registered import HASH
from smallprint.registry.history import LOCK, read_history

PAGE = 100


def list_models(name: str | None = None) -> list[dict[str, Any]]:
    """Gives all registered models that smallprint made, or one, each with its versions, the newest first.

    Raises:
        BundleError: There is no such model, or the store does not answer.
    """
    uri = tracking_uri()
    with store_errors(uri):
        client = open_client(uri)
        from mlflow.exceptions import MlflowException

        if name is None:
            models = [model for model in _all(client.search_registered_models) if LOCK not in model.name]
        else:
            try:
                models = [client.get_registered_model(name)]
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                raise BundleError(
                    f"There is no registered model '{name}'.", "a registered one", "`smallprint models` lists them all."
                ) from None
        return [_tree(client, model) for model in models if name is not None or model.tags.get("smallprint")]


def tell_models(models: list[dict[str, Any]], detailed: bool) -> list[str]:
    """Gives them as lines: one a version, all of them or those that have an alias."""
    if not models:
        return ["No model is registered yet: smallprint promote RUN --as NAME"]
    lines = []
    for model in models:
        aliases = ", ".join(f"{alias} = {version}" for alias, version in sorted(model["aliases"].items()))
        count = len(model["versions"])
        lines.append(f"{model['name']}: {count} version{'s' * (count != 1)}" + (f"; {aliases}" if aliases else ""))
        shown = (
            model["versions"] if detailed else [v for v in model["versions"] if v["aliases"]] or model["versions"][:1]
        )
        for version in shown:
            score = "" if version["score"] is None else f"{version['measure']} {version['score']:.3f}"
            named = ", ".join(version["aliases"])
            notes = [note for note in ("forced", "rolled_back") if version[note]]
            lines.append(
                f"  {version['version']:>4}  {version['promoted'] or version['registered']:<25}  {score:<16}  {named:<16}  "
                f"{version['run'] or ''}{'  (' + ', '.join(notes).replace('_', ' ') + ')' if notes else ''}".rstrip()
            )
        if detailed:
            lines += [f"  history of {alias}: {', '.join(map(str, past))}" for alias, past in model["history"].items()]
    return lines


def _tree(client: Any, model: Any) -> dict[str, Any]:
    found = _all(client.search_model_versions, filter_string=f'name = "{model.name}"')
    named: dict[int, list[str]] = {}
    for alias, version in model.aliases.items():
        named.setdefault(int(version), []).append(alias)
    history = {alias: read_history(model, alias) for alias in sorted(model.aliases)}
    versions = sorted((_version(entry, named, history) for entry in found), key=lambda v: -int(v["version"]))
    return {
        "name": model.name,
        "aliases": {alias: int(version) for alias, version in model.aliases.items()},
        "history": history,
        "versions": versions,
    }


def _version(entry: Any, named: dict[int, list[str]], history: dict[str, list[int]]) -> dict[str, Any]:
    tags = entry.tags
    scores = json.loads(tags.get("smallprint.scores", "{}"))
    measure = tags.get("smallprint.measure")
    starts = {
        kind: {k.removeprefix(f"smallprint.{kind}."): v for k, v in tags.items() if k.startswith(f"smallprint.{kind}.")}
        for kind in ("promoted", "verdict", "forced", "rolled_back")
    }
    for alias, past in history.items():  # a promotion that was cut off before the alias moved was none
        if int(entry.version) not in past and alias not in starts["rolled_back"]:
            for kind in ("promoted", "verdict", "forced"):
                starts[kind].pop(alias, None)
    here = sorted(named.get(int(entry.version), []))
    back = {  # not what was promoted again since
        alias: when
        for alias, when in starts["rolled_back"].items()
        if alias not in here and when >= starts["promoted"].get(alias, "")
    }
    n_test = tags.get("smallprint.n_test") or None
    return {
        "version": int(entry.version),
        "aliases": here,
        "registered": datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        "promoted": max(starts["promoted"].values(), default=None),
        "rolled_back": back,
        "forced": sorted(alias for alias, value in starts["forced"].items() if value == "true"),
        "verdict": {
            alias: told for alias, value in starts["verdict"].items() if (told := json.loads(value)) is not None
        },
        "measure": measure,
        "score": scores.get(measure) if measure else None,
        "scores": scores,
        "n_test": None if n_test is None else int(n_test),
        "task": tags.get("smallprint.task"),
        "trained": tags.get("smallprint.trained"),
        "run": tags.get("smallprint.run"),
        "mlflow_run_id": entry.run_id or None,
        "manifest_sha256": tags.get(HASH),
    }


def _all(search: Any, **given: Any) -> list[Any]:
    """Gives every page of a search."""
    found: list[Any] = []
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token, **given)
        found += page
        token = page.token
        if not token:
            return found


__all__ = ["list_models", "tell_models"]
