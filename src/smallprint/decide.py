"""From scores to decisions: how far a model may decide alone, and what is done with what it finds.

Steps of their own beside `api`: a policy out of a run's scores into its bundle, and actions on the rows of a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import ScoredSplit
from smallprint.evaluation.operating import Aim, check_documents, tune_band
from smallprint.evaluation.policy import Policy, find_policy
from smallprint.evaluation.score_files import units, unseen_scores
from smallprint.inference.engine import Engine, open_model
from smallprint.inference.predictor import predict_file
from smallprint.packaging.bundle import find_bundle, store_policy
from smallprint.packaging.registered import read_word


def policy(
    model: str | Path,
    data: Any = None,
    *,
    recall: float | None = 0.95,
    precision: float | None = None,
    confidence: float = 0.95,
    aim: Aim | None = None,
    save: bool = False,
    say: Say = say_nothing,
) -> tuple[Policy, ScoredSplit, list[str | None]]:
    """Gives how far a model may decide alone, and the scores and documents that this stands on.

    Args:
        model: Folder of a run, or of a bundle where `data` is given.
        data: Labelled data whose validation split is scored, but for texts that the model was trained on; when left out the run's own
            scores of examples that it did not learn from are taken: validation's, and of a stack the held-out ones of train too.
        recall: To be kept of the texts with a label, by what is cleared.
        precision: To be kept of the labels that are flagged alone; None flags nothing alone.
        confidence: Share of new sets of documents in which it shall hold.
        aim: Tune borders to this instead, of which nothing is promised.
        save: Store it in the bundle: `predict` then adds a column `decision`.
        say: Takes lines for a person: which rows of `data` the model was trained on, and are left out.

    Raises:
        BundleError: There is no bundle, or no run whose scores could be taken.
        ConfigError: The task is multiclass.
        DataError: Too few documents, or none that are told apart.
    """
    if save and (word := read_word(model)) is not None:
        raise ConfigError(
            f"{word} is registered, and what is registered does not change.",
            "a run, or a bundle's folder",
            f"Store the policy in the run's bundle, then: smallprint promote RUN --as {word.name}",
        )
    bundle = find_bundle(model)
    scored, groups = unseen_scores(Path(model)) if data is None else _score_groups(model, data, say)
    if scored.task == "multiclass":
        raise ConfigError(
            "This model is multiclass: it gives every text a label, so there is nothing to clear.",
            "a binary or multilabel model",
            "Train on the same table with --task multilabel; or sort the answers of `predict` by their highest score and give "
            "the lowest to a person (the report says how often the rest is right).",
        )
    if aim is not None:
        aim.check()
        check_documents(units(groups))  # what cannot be measured is not stored
        found = Policy(None, None, tune_band(scored.targets, scored.scores, aim))
    else:
        found = find_policy(
            scored.targets, scored.scores, groups, recall=recall, precision=precision, confidence=confidence
        )
    if save:
        store_policy(bundle, found)
    return found, scored, groups


def act(
    model: str | Path | Engine,
    source: str | Path,
    out: str | Path,
    actions: str | Path,
    outbox: str | Path | None = None,
    *,
    text: str | None = None,
    output_format: str | None = None,
    encoding: str | None = None,
    say: Say = say_nothing,
) -> dict[str, int]:
    """Gives how many findings of a table were delivered, wait and are dead, once `predict_file` has written its rows.

    What was delivered before, from the same rows by the same model, is not delivered again.

    Args:
        model: Folder of a bundle or run, or an engine.
        source: As for `predict_file`.
        out: As for `predict_file`.
        actions: YAML file of rules; see `smallprint.actions.rules`.
        outbox: File that remembers deliveries; `OUT.outbox.sqlite` when left out.
        text: The text column; found by name when left out.
        output_format: As for `predict_file`.
        encoding: As for `predict_file`.
        say: Takes lines for a person.

    Raises:
        ConfigError: A rule is wrong, or there is no place for the outbox.
        DataError: As for `predict_file`; or the outbox cannot be used.
    """
    engine = open_model(model)
    if outbox is None and str(out) == "-":
        raise ConfigError("The outbox has no place.", "a file that remembers what was delivered", "Give --outbox FILE.")
    with _Post(engine, actions, outbox or f"{out}.outbox.sqlite") as post:
        predict_file(
            engine, source, out, text=text, output_format=output_format, encoding=encoding, found=post.take, say=say
        )
        return post.send(say)


def act_on_scan(
    engine: Engine,
    scanned: Iterable[dict[str, Any]],
    actions: str | Path,
    outbox: str | Path,
    *,
    say: Say = say_nothing,
) -> dict[str, int]:
    """Gives how many findings of scanned documents were delivered, wait and are dead.

    What was delivered before, from the same place of the same document by the same model, is not delivered again.

    Args:
        engine: The one that scanned.
        scanned: As `scan_document` gives them; a document that could not be read has no findings.
        actions: YAML file of rules; see `smallprint.actions.rules`.
        outbox: File that remembers deliveries.
        say: Takes lines for a person.

    Raises:
        ConfigError: A rule is wrong.
        DataError: The outbox cannot be used.
    """
    from smallprint.actions.findings import of_document

    with _Post(engine, actions, outbox) as post:
        for entry in scanned:
            post.take(of_document(entry["name"], entry.get("findings", ())))
        return post.send(say)


class _Post:
    """Rules and the outbox: takes findings as they come, and delivers them. Use with `with`."""

    def __init__(self, engine: Engine, actions: str | Path, outbox: str | Path) -> None:
        from smallprint.actions.outbox import Outbox
        from smallprint.actions.rules import read_rules

        self.version, self.rules = engine.version, read_rules(actions, engine.labels.names)
        self.box = Outbox(outbox)

    def __enter__(self) -> _Post:
        return self

    def __exit__(self, *_: object) -> None:
        self.box.close()

    def take(self, findings: list[dict[str, Any]]) -> None:
        from smallprint.actions.findings import put

        put(self.box, self.rules, self.version, findings)

    def send(self, say: Say) -> dict[str, int]:
        from smallprint.actions.deliver import deliver

        counts = deliver(self.box, self.rules, say=say)
        say(", ".join(f"{count:,} {state}" for state, count in counts.items() if count) or "Nothing to deliver.")
        return counts


def _score_groups(model: str | Path, data: Any, say: Say) -> tuple[ScoredSplit, list[str | None]]:
    from smallprint.api import score_examples  # with it comes all of training
    from smallprint.data.read import open_source
    from smallprint.unseen import read_unseen

    engine = open_model(model)
    config = engine.config or Config()
    examples = read_unseen(engine, open_source(data, config.data.encoding), say)
    return score_examples(engine, examples), examples.groups


__all__ = ["act", "act_on_scan", "policy"]
