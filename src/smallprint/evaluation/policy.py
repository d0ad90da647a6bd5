"""How far a model may decide alone. In: truth, scores and documents of examples that it did not learn from. Out: a `Policy`.

A text is cleared (the machine says alone that it holds nothing), flagged (the machine says alone which label it has) or sent to a
person. Both borders come with a promise over whole documents, because clauses of one document are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from smallprint.core.errors import DataError
from smallprint.core.progress import counted
from smallprint.core.results import Array
from smallprint.evaluation.checks import check_arrays
from smallprint.evaluation.operating import Band, band_of, percent
from smallprint.evaluation.ranking import any_score
from smallprint.evaluation.thresholds import apply_thresholds

Decision = Literal["cleared", "flagged", "person"]
LEVELS, ROUNDS = 24, 400
FEWEST = 6  # documents: fewer make no promise


@dataclass(frozen=True)
class Promise:
    """What is promised of one border, and how it was found.

    Attributes:
        of: 'recall' of what is not cleared, or 'precision' of what is flagged.
        wanted: The promised value, in (0, 1).
        confidence: Share of new sets of documents in which it shall hold.
        border: Score at which the machine's own decisions begin; None where no border keeps the promise.
        aimed: What is aimed at on the examples at hand so that the promise holds on others.
        kept: Share of simulated sets in which it held.
        alone: Share of the texts that the machine decides alone by this border.
        documents: How many it stands on.
    """

    of: Literal["recall", "precision"]
    wanted: float
    confidence: float
    border: float | None
    aimed: float | None
    kept: float
    alone: float
    documents: int


@dataclass(frozen=True)
class Policy:
    """Two borders: texts below one are cleared, labels above the other are flagged, the rest is a person's.

    Attributes:
        clear: The promise of the lower border, on the score that a text has any label; None clears nothing.
        flag: The promise of the upper border, on single labels' scores; None flags nothing alone.
        band: Borders that were tuned, without a promise; where there are any, they alone decide.
    """

    clear: Promise | None
    flag: Promise | None
    band: Band | None = None

    def decide(self, scores: Array) -> list[Decision]:
        """Gives what is done with each text: 'cleared', 'flagged' or 'person'.

        Args:
            scores: Calibrated where the model is, `[n, n_outputs]`.
        """
        if self.band is not None:
            any_label = any_score(scores)[:, 0]
            return [
                "flagged" if up else "cleared" if down else "person"
                for up, down in zip(any_label >= self.band.high, any_label < self.band.low, strict=True)
            ]
        low = -1.0 if self.clear is None or self.clear.border is None else self.clear.border
        high = np.inf if self.flag is None or self.flag.border is None else self.flag.border
        anything, best = any_score(scores)[:, 0], scores.max(axis=1, initial=0.0)
        flagged = best >= high
        return [
            "flagged" if up else "cleared" if down else "person"
            for up, down in zip(flagged, anything < low, strict=True)
        ]

    def labels(self, scores: Array, thresholds: Array, decisions: Sequence[Decision]) -> Array:
        """Gives which labels go with decisions, 0/1 `[n, n_outputs]`.

        None of a text that is cleared; of one that is flagged those at or above the promised border, since of others nothing is
        promised. By a tuned band, which is about texts, and for a person those at their thresholds; of what a band flags the
        likeliest at least.

        Args:
            scores: As for `decide`.
            thresholds: `[n_outputs]`.
            decisions: What `decide` gave of these scores.
        """
        decided = np.array(decisions, dtype=object)
        flagged = np.flatnonzero(decided == "flagged")
        given = apply_thresholds(scores, thresholds, "multilabel")
        given[decided == "cleared"] = 0
        if self.band is None and self.flag is not None and self.flag.border is not None:
            given[flagged] = scores[flagged] >= self.flag.border
        elif len(flagged):
            given[flagged, scores[flagged].argmax(axis=1)] = 1
        return given

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        parts = (("clear", self.clear), ("flag", self.flag))
        tree: dict[str, Any] = {name: None if part is None else asdict(part) for name, part in parts}
        return tree if self.band is None else {**tree, "band": asdict(self.band)}

    @staticmethod
    def from_dict(tree: dict[str, Any]) -> Policy:
        """Gives what `to_dict` was made of."""
        parts = {name: None if tree.get(name) is None else Promise(**tree[name]) for name in ("clear", "flag")}
        for part in parts.values():
            if part is not None and not (part.border is None or isinstance(part.border, float)):
                raise TypeError(f"border is a {type(part.border).__name__}")
        return Policy(parts["clear"], parts["flag"], band_of(tree.get("band")))


def find_policy(
    targets: Array,
    scores: Array,
    groups: Sequence[object],
    *,
    recall: float | None = 0.95,
    precision: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Policy:
    """Gives the policy whose borders keep what is wanted of recall and precision, as far as the examples can tell.

    Args:
        targets: 0/1 `[n, n_outputs]`.
        scores: `[n, n_outputs]` in [0, 1], of examples that the model did not learn from.
        groups: Document of each example, `[n]`; None names none, and then nothing is promised.
        recall: Share of the texts with a label that are not cleared; None clears nothing.
        precision: Share of right ones among the labels that are flagged; None flags nothing alone.
        confidence: Share of new sets of documents in which each shall hold.
        seed: Of the simulation.

    Raises:
        DataError: An example without a document, fewer than six documents, or nothing positive.
    """
    targets, scores = np.asarray(targets), np.asarray(scores)
    check_arrays(targets, scores, "multilabel" if scores.shape[1] > 1 else "binary")
    if None in groups:
        raise DataError(
            f"{counted(sum(group is None for group in groups), 'example')} of {len(groups):,} name no document.",
            "a document each: a promise over documents stands on documents",
            "Name the column that tells them apart (--group in training), or tune without a promise (--f-beta, --cost-ratio, "
            "--tuned-recall).",
        )
    rows = _rows_of(groups)
    if len(rows) < FEWEST:
        raise DataError(
            f"The {len(scores):,} examples, which the model did not learn from, are of {counted(len(rows), 'document')}.",
            f"at least {FEWEST}: a promise over documents stands on documents",
            "Name the column that tells them apart (--group in training), label more, give validation more of them "
            "(--set data.validation_share=0.3), or tune without a promise (--f-beta, --cost-ratio, --tuned-recall).",
        )
    if not targets.any():
        raise DataError("No example has a label.", "some that do", "Label more.")
    anything, truth = any_score(scores)[:, 0], targets.max(axis=1).astype(bool)
    clear = flag = None
    if recall is not None:
        parts = [np.sort(anything[part][truth[part]]) for part in rows]
        found = _promise("recall", recall, confidence, parts, parts, seed)
        clear = _with_share(found, float((anything < found.border).mean()) if found.border is not None else 0.0)
    if precision is not None:
        right = [np.sort(scores[part][targets[part] == 1]) for part in rows]
        every = [np.sort(scores[part].ravel()) for part in rows]
        found = _promise("precision", precision, confidence, right, every, seed)
        flag = _with_share(
            found, float((scores.max(axis=1) >= found.border).mean()) if found.border is not None else 0.0
        )
    return Policy(clear, flag)


def can_promise(groups: Sequence[object]) -> bool:
    """Gives whether examples name documents, and enough of them, for a promise."""
    return None not in groups and len(set(groups)) >= FEWEST


def _promise(
    of: Literal["recall", "precision"],
    wanted: float,
    confidence: float,
    positive: list[Array],
    every: list[Array],
    seed: int,
) -> Promise:
    """Aims higher and higher until the promise holds in enough simulated cases.

    A case: the documents are halved at random; the border is set on one half, as it will be set on all of them, and
    what it does is counted on the other. The aim that is needed between halves is taken for all documents together, on
    which a border is surer still. (A parametric-free two-sample prediction bound; resampling whole clusters as in
    Davison & Hinkley 1997, section 3.8.)
    """
    border_of, share_of = (_recall_border, _recall) if of == "recall" else (_precision_border, _precision)
    rng = np.random.default_rng(seed)
    levels = np.append(np.linspace(wanted, 1, LEVELS, endpoint=False), 1.0)
    held = np.zeros(LEVELS + 1)
    half = len(positive) // 2
    for _ in range(ROUNDS):
        order = rng.permutation(len(positive))
        here, there = order[:half], order[half:]
        known = (_join(positive, here), _join(every, here))
        future = (_join(positive, there), _join(every, there))
        for i, level in enumerate(levels):
            border = border_of(*known, float(level))
            held[i] += border is not None and share_of(*future, border) >= wanted
    held /= ROUNDS
    good = np.flatnonzero(held >= confidence)
    if not len(good):
        return Promise(of, wanted, confidence, None, None, float(held.max()), 0.0, len(positive))
    aimed = float(levels[good[0]])
    everything = np.arange(len(positive))
    border = border_of(_join(positive, everything), _join(every, everything), aimed)
    return Promise(of, wanted, confidence, border, aimed, float(held[good[0]]), 0.0, len(positive))


def _recall_border(positive: Array, every: Array, level: float) -> float | None:
    """Gives the highest border that leaves a share `level` of the positives at or above it."""
    if not len(positive):
        return None
    missed = int(np.floor((1 - level) * len(positive) + 1e-9))
    return float(positive[missed])


def _recall(positive: Array, every: Array, border: float) -> float:
    return float((positive >= border).mean()) if len(positive) else 1.0


def _precision_border(positive: Array, every: Array, level: float) -> float | None:
    """Gives the lowest border above which a share `level` is right; None where there is none."""
    if not len(positive):
        return None
    right = len(positive) - np.arange(len(positive))
    said = len(every) - np.searchsorted(every, positive, side="left")
    good = np.flatnonzero(right >= level * said - 1e-9)
    return float(positive[good[0]]) if len(good) else None


def _precision(positive: Array, every: Array, border: float) -> float:
    said = int((every >= border).sum())
    return float((positive >= border).sum()) / said if said else 1.0


def _join(parts: list[Array], chosen: Array) -> Array:
    return np.sort(np.concatenate([parts[i] for i in chosen]))


def _rows_of(groups: Sequence[object]) -> list[Array]:
    numbers: dict[object, int] = {}
    number = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    return [np.flatnonzero(number == i) for i in range(len(numbers))]


def _with_share(promise: Promise, alone: float) -> Promise:
    return Promise(**{**asdict(promise), "alone": alone})


def trade(
    targets: Array, scores: Array, groups: Sequence[object], recalls: Sequence[float], confidence: float = 0.95
) -> list[Promise]:
    """Gives what each promised recall costs: a row each, with the share of texts that no person reads.

    Raises:
        DataError: As `find_policy`.
    """
    found = [find_policy(targets, scores, groups, recall=value, confidence=confidence).clear for value in recalls]
    return [promise for promise in found if promise is not None]


def tell_policy(policy: Policy, rows: Sequence[Promise], n: int) -> list[str]:
    """Gives the policy and the trade as lines of text."""
    if rows:
        lines = [
            f"{n:,} texts of {rows[0].documents:,} documents that the model did not learn from",
            "recall  the machine clears  a person reads",
        ]
    else:
        lines = [
            f"{n:,} texts that the model did not learn from, of fewer than {FEWEST} documents: too few for a promise."
        ]
    for row in rows:
        if row.border is None:
            lines.append(f"{percent(row.wanted):>6}  no border keeps it on so few documents: a person reads all")
        else:
            lines.append(f"{percent(row.wanted):>6}  {row.alone:>18.1%}  {1 - row.alone:>14.1%}")
    for part, does in ((policy.clear, "cleared below"), (policy.flag, "flagged from")):
        if part is not None and part.border is not None:
            lines.append(
                f"Chosen: {does} {part.border:.4f}: {part.of} of at least {percent(part.wanted)} in {percent(part.confidence)} of new "
                f"sets of documents (simulated: {part.kept:.1%}); {part.alone:.1%} of the texts decided alone."
            )
        elif part is not None:
            lines.append(
                f"No border keeps {part.of} of {percent(part.wanted)}: nothing is {does.split()[0]} by the machine alone."
            )
    return lines


__all__ = ["Decision", "Policy", "Promise", "can_promise", "find_policy", "tell_policy", "trade"]
