"""Is a candidate at least as good as the champion? In: both models and the champion's own test rows. Out: a verdict.

Both score the same rows; the difference of the measure that reports lead with has its paired interval, over groups where
there are any. Rows whose text one of both learned from are left out. The rule and its reasons: docs/decisions/0021.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smallprint import runs
from smallprint.core.config import Config
from smallprint.core.errors import BundleError, SmallprintError
from smallprint.core.progress import Say, counted, say_nothing
from smallprint.core.results import Array
from smallprint.core.run import scores_file
from smallprint.data.examples import fingerprint
from smallprint.data.normalise import text_hashes
from smallprint.data.read import open_source
from smallprint.evaluation.compare import PairedDifference, f1_counts, macro_f1_of, paired_bootstrap
from smallprint.evaluation.headline import LEADING
from smallprint.evaluation.intervals import number_units
from smallprint.evaluation.score_files import read_scores
from smallprint.inference.engine import Engine

MARGIN = 0.01
FEW = 5  # groups below which an interval by the bootstrap is a poor one


@dataclass(frozen=True)
class OwnRows:
    """The champion's test rows.

    Attributes:
        texts: The texts.
        labels: The true label names of each.
        groups: The group of each, or None.
        origin: Where they were found.
    """

    texts: list[str]
    labels: list[list[str]]
    groups: list[str | None]
    origin: str


@dataclass(frozen=True)
class Verdict:
    """How the candidate did beside the champion.

    Attributes:
        measure: Its name, as in metrics.json.
        champion: Its score.
        candidate: Its score.
        paired: The interval of the difference, candidate minus champion; None where all rows are of one group: then there is
            nothing to draw again.
        rows: Compared.
        left_out: Rows whose text one of both learned from.
        margin: By how much the candidate may be measured lower.
    """

    measure: str
    champion: float
    candidate: float
    paired: PairedDifference | None
    rows: int
    left_out: int
    margin: float

    @property
    def accepted(self) -> bool:
        """Whether the candidate counts as at least as good: not shown to be worse, nor measured lower by more than the margin."""
        return not self.worse and self.difference >= -self.margin - 1e-9

    @property
    def difference(self) -> float:
        """Candidate minus champion."""
        return self.candidate - self.champion

    @property
    def worse(self) -> bool:
        """Whether the candidate is shown to be worse."""
        return self.paired is not None and self.paired.high < 0

    @property
    def better(self) -> bool:
        """Whether the candidate is shown to be better."""
        return self.paired is not None and self.paired.better

    def __str__(self) -> str:
        out = f", without {self.left_out:,} that one of both learned from" if self.left_out else ""
        if self.paired is None:
            interval, drawn = "", f"all of one group, so no interval can be told{out}"
        else:
            interval = f" [{self.paired.low:+.3f}, {self.paired.high:+.3f}]"
            few = ": few, so the interval tells little" if self.paired.units < FEW else ""
            drawn = f"{self.paired.units:,} {'groups' if self.paired.over_groups else 'texts'}{few}{out}"
        return (
            f"{self.measure} {self.candidate:.3f}, the one before {self.champion:.3f}: {self.difference:+.3f}{interval} "
            f"on its {self.rows:,} test rows ({drawn})"
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        pair = {key: getattr(self.paired, key, None) for key in ("low", "high", "level", "units", "over_groups")}
        named = ("measure", "champion", "candidate", "difference", "rows", "left_out", "margin")
        kept = {key: getattr(self, key) for key in named}
        return {**kept, **pair, "accepted": self.accepted}


def find_test_rows(
    engine: Engine, prints: dict[str, str], data: str | None, run: str | None, say: Say = say_nothing
) -> OwnRows:
    """Gives the rows that a model was tested on: its data read again, else those that its run folder keeps.

    Args:
        engine: The model.
        prints: Fingerprints of its splits, as its manifest has them.
        data: Its data, as `train` was given it, where that is known.
        run: Its run folder, where that is known.
        say: Takes a line that tells why the data cannot be used.

    Raises:
        BundleError: Neither is there any more.
    """
    why = "it is not known what data it was trained on"
    if data is not None:
        try:
            config = engine.config or Config()
            wanted = runs.columns_for(config.data, engine.labels)
            source = open_source(data, wanted.encoding)
            examples = runs.read_split(source, wanted, "test", engine.labels, config.training.seed, engine.trained_on)
            if fingerprint(examples) == prints.get("test"):
                return OwnRows(examples.texts, examples.labels, examples.groups, data)
            why = f"the test rows of {data} have changed since (another fingerprint)"
        except (SmallprintError, OSError) as error:
            why = f"its data {data} can no longer be read ({str(error).partition(chr(10))[0]})"
    kept = _kept_rows(engine, prints, run)
    if kept is None:
        raise BundleError(
            f"The champion's test rows are gone: {why}, and its run folder {run or ''} does not keep them either.".replace(
                "  ", " "
            ),
            "the rows that the champion was tested on, to compare both models",
            "Bring its data back to where it was; or promote with --force, which compares nothing.",
        )
    say(f"Comparing by the test rows that {run} keeps: {why}.")
    return kept


def compare_models(champion: Engine, candidate: Engine, rows: OwnRows, margin: float = MARGIN) -> Verdict:
    """Gives the verdict on a candidate.

    Args:
        champion: The model that is there.
        candidate: The one that shall take its place.
        rows: The champion's test rows.
        margin: By how much the candidate may be measured lower.

    Raises:
        BundleError: The two answer different questions, or too few rows are left.
    """
    _check_labels(champion, candidate)
    known = [hashes for engine in (champion, candidate) if (hashes := engine.known_texts) is not None]
    learned = np.isin(text_hashes(rows.texts), np.concatenate(known)) if known else np.zeros(len(rows.texts), bool)
    kept = np.flatnonzero(~learned)
    texts, labels = [rows.texts[i] for i in kept], [rows.labels[i] for i in kept]
    groups = [rows.groups[i] for i in kept]
    if len(kept) < 2 or not any(labels):
        raise BundleError(
            f"Of the champion's {counted(len(rows.texts), 'test row')}, {int(learned.sum()):,} were learned from by one of both "
            "models: too few are left to compare by.",
            "at least two rows, some with a label, that neither model learned from",
            "Train the candidate without them (train and test as the champion had them), or promote with --force.",
        )
    truth = _binary(champion, labels)
    both = [_binary(champion, engine.predict(texts).labels) for engine in (champion, candidate)]
    if champion.labels.task == "multiclass":
        counts = [np.column_stack([(truth & said).any(axis=1), np.ones(len(texts))]) for said in both]
        statistic = _accuracy_of
    else:
        columns = slice(1, 2) if champion.labels.task == "binary" else slice(None)
        counts = [f1_counts(truth[:, columns], said[:, columns]) for said in both]
        statistic = macro_f1_of
    over = groups if any(group is not None for group in groups) else None
    alone = over is not None and number_units(over)[1] < 2
    paired = None if alone else paired_bootstrap(counts[0], counts[1], statistic, groups=over)
    before, after = (float(statistic(part.sum(axis=0, keepdims=True))[0]) for part in counts)
    measure = LEADING[champion.labels.task]
    return Verdict(measure, before, after, paired, len(texts), int(learned.sum()), margin)


def _accuracy_of(sums: Array) -> Array:
    return np.asarray(sums[:, 0] / sums[:, 1])


def _binary(engine: Engine, labels: list[list[str]]) -> Array:
    """Gives bool `[n, n_labels]` by the champion's names; labels that it does not know have no column."""
    ids = {name: i for i, name in enumerate(engine.labels.names)}
    out = np.zeros((len(labels), len(ids)), dtype=bool)
    for row, names in enumerate(labels):
        out[row, [ids[name] for name in names if name in ids]] = True
    return out


def _check_labels(champion: Engine, candidate: Engine) -> None:
    one, other = champion.labels, candidate.labels
    missing = [name for name in one.names if name not in other.names]
    if one.task != other.task or missing:
        found = f"lacks the labels {', '.join(missing[:5])}" if one.task == other.task else f"is {other.task}"
        raise BundleError(
            f"The candidate {found}; the champion is {one.task} with {len(one.names):,} labels.",
            "the same task, and every label that the champion knows",
            "Register it under another name; or promote with --force, if those who use the model know.",
        )


def _kept_rows(engine: Engine, prints: dict[str, str], run: str | None) -> OwnRows | None:
    """Gives the test rows of a run folder, if it is still the champion's."""
    folder = Path(run) if run else None
    if folder is None or not (folder / scores_file("test")).is_file() or not (folder / "metrics.json").is_file():
        return None
    import json

    saved = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    if saved["data"].get("fingerprints", {}).get("test") != prints.get("test"):
        return None
    scored, groups = read_scores(folder, "test", saved)
    return OwnRows(scored.texts, engine.labels.decode_targets(scored.targets), groups, str(folder))


__all__ = ["MARGIN", "OwnRows", "Verdict", "compare_models", "find_test_rows"]
