"""New texts beside those that a model knows. In: an engine, a `Reference` and texts. Out: a `Drift`, and lines that say it.

It reads no files and stores nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smallprint.core.errors import BundleError, DataError
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import Array
from smallprint.data.sketch import number_texts
from smallprint.evaluation.drift import NAMES, Drift, Measure, Seen, find_drift
from smallprint.evaluation.moves import draw_moves, match_sizes
from smallprint.evaluation.thresholds import apply_thresholds
from smallprint.inference.engine import Engine
from smallprint.packaging.reference import Reference

FEWEST = 20
NO_LABEL = "(no label)"
ROUNDS = 999
SHOWN = 5
AT_ONCE, SAY_SECONDS = 256, 5.0


def monitor_texts(
    engine: Engine,
    reference: Reference,
    texts: Sequence[str],
    groups: Sequence[Any] | None = None,
    *,
    scores: Array | None = None,
    alpha: float = 0.01,
    limits: Mapping[str, float] | None = None,
    seed: int = 0,
    say: Say = say_nothing,
) -> Drift:
    """Gives what moved between what a model knows and new texts.

    Args:
        engine: The model.
        reference: Of texts that it did not learn from.
        texts: New ones, none of them blank.
        groups: Document of each text; None where they are not known: each text then counts as independent of the others.
        scores: The engine's of these texts, where they are known.
        alpha: Probability of an alarm where nothing moved.
        limits: By measure; see `find_drift`.
        seed: Of everything that is drawn.
        say: Takes a line every few seconds while texts are scored.

    Raises:
        DataError: Too few texts or documents to tell anything from chance.
        BundleError: The reference is of another model.
    """
    if len(texts) < FEWEST:
        raise DataError(
            f"There {'is 1 new text' if len(texts) == 1 else f'are {len(texts)} new texts'}.",
            f"at least {FEWEST}: fewer cannot be told from chance",
            "Collect more, over a longer time.",
        )
    n_outputs = engine.labels.n_outputs
    if reference.scores.shape[1] != n_outputs:
        raise BundleError(
            f"The reference has {reference.scores.shape[1]} scores a text, and the model gives {n_outputs}.",
            "the reference of this model",
            "Name the model's own data by --reference.",
        )
    notes, drawn = _notes(reference, groups), None
    old_rows, new_rows = np.arange(len(reference)), np.arange(len(texts))
    if reference.groups is not None and groups is not None:
        old_groups = reference.groups.tolist()
        old_rows, new_rows = match_sizes((old_groups, groups), seed)
        drawn = [old_groups[i] for i in old_rows], [groups[int(i)] for i in new_rows]
        if len(old_rows) < len(reference) or len(new_rows) < len(texts):
            notes.append(
                f"Documents are thinned to like sizes, as only these can be compared: {len(old_rows):,} of {len(reference):,} "
                f"reference texts and {len(new_rows):,} of {len(texts):,} new ones are compared."
            )
    both = drawn is not None
    texts = [texts[int(i)] for i in new_rows]
    rounds = max(ROUNDS, int(np.ceil(2 * len(NAMES) / alpha)) - 1)
    moves = draw_moves(len(old_rows), len(texts), drawn, rounds=rounds, seed=seed)
    if moves.smallest_p * len(NAMES) > alpha:
        new = int(moves.new.sum())
        unit = "documents" if both else "texts"
        raise DataError(
            f"There are {new} new {unit} and {len(moves.new) - new} in the reference: too few ways to part them "
            f"to tell anything from chance (alpha {alpha:g}).",
            f"more {unit}, as what stands in one is drawn together",
            "Collect more, or raise --alpha; --group '' takes each text as independent, which finds moves too easily.",
        )
    scores = (_score(engine, texts, say) if scores is None else np.asarray(scores)[new_rows]).astype(np.float16)
    old_scores = reference.scores[old_rows]
    names, said = _labels(engine, old_scores, scores)
    numbers = number_texts(texts, reference.usual)
    old = reference.numbers.take(old_rows)
    before, now = (
        Seen(label, score.astype(np.float32), part.lengths, part.words.astype(np.float32), part.rarity)
        for label, score, part in zip(said, (old_scores, scores), (old, numbers), strict=True)
    )
    drift = find_drift(
        before, now, moves, names, list(engine.labels.score_names), alpha=alpha, limits=limits, seed=seed
    )
    drift.notes.extend(notes)
    return drift


def _score(engine: Engine, texts: Sequence[str], say: Say) -> Array:
    """Gives the engine's scores, and says every few seconds how long it will take."""
    start = said = time.monotonic()
    parts: list[Array] = []
    for first in range(0, len(texts), AT_ONCE):
        parts.append(engine.score(texts[first : first + AT_ONCE]))
        done, now = min(first + AT_ONCE, len(texts)), time.monotonic()
        if now - said >= SAY_SECONDS and done < len(texts):
            said = now
            say(f"{done:,} of {len(texts):,} texts scored, {(now - start) / done * (len(texts) - done):.0f} s left")
    return np.concatenate(parts)


def _labels(engine: Engine, *scores: Array) -> tuple[list[str], list[Array]]:
    """Gives names and 0/1 columns of what the model says; where a text may have no label, that is a column too."""
    task = engine.labels.task
    said = [apply_thresholds(part.astype(np.float32), engine.thresholds, task) for part in scores]
    names = list(engine.labels.score_names)
    if task == "multilabel":
        names.append(NO_LABEL)
        said = [np.concatenate([part, ~part.any(axis=1, keepdims=True)], axis=1) for part in said]
    return names, said


def _notes(reference: Reference, groups: Sequence[Any] | None) -> list[str]:
    notes = []
    if reference.groups is not None and groups is None:
        notes.append(
            "Documents of the new texts are not known, so each text counts as independent: texts of few documents then "
            "seem to move although they do not. Name the column by --group."
        )
    elif reference.groups is None:
        notes.append(
            "Documents of the reference are not known, so each text counts as independent: where several texts of one "
            "document stand in either, things seem to move although they do not."
        )
    if reference.usual is None:
        notes.append("How rare words were in training is not known: words are compared by the classifier alone.")
    return notes


def tell_drift(drift: Drift) -> list[str]:
    """Gives what moved as lines of text, the most important first."""
    unit = "documents" if drift.by_group else "texts, each taken as independent"
    sides = [
        f"{rows:,} {word} texts ({units:,} {unit})" if drift.by_group else f"{rows:,} {word} texts"
        for word, (rows, units) in (("new", drift.new), ("reference", drift.reference))
    ]
    lines = [f"{sides[0]} beside {sides[1]}; alarms where nothing moved: at most {drift.alpha:.1%} of the time"]
    moved = [measure for measure in drift.measures if measure.moved]
    lines += [line for measure in moved for line in _say_moved(measure, drift.alpha)]
    still = [measure.name for measure in drift.measures if not measure.moved]
    if not moved:
        lines.append("Nothing moved beyond chance.")
    elif still:
        lines.append(f"Not beyond chance: {', '.join(still)}.")
    lines += [f"note: {note}" for note in drift.notes]
    lines.append("measure       size  by chance       p  p, corrected")
    for measure in drift.measures:
        mark = "  over the limit" if measure.over else ""
        lines.append(
            f"{measure.name:<10}{measure.size:8.3f}{measure.chance:11.3f}{measure.p:8.4f}{measure.p_adjusted:14.4f}{mark}"
        )
    return lines


def _say_moved(measure: Measure, alpha: float) -> list[str]:
    if measure.name == "texts":
        return [
            f"A classifier tells new texts from known ones: area under the curve {measure.size:.2f} "
            f"[{measure.low:.2f}, {measure.high:.2f}] on held-out texts, {measure.chance:.2f} by chance; of those that it is surest "
            f"of {measure.parts[0].now:.0%} are new, of all {measure.parts[0].before:.0%}."
        ]
    factor = max(measure.p_adjusted / measure.p, 1.0) if measure.p else 1.0
    kept = [part for part in measure.parts if part.p * factor <= alpha] or measure.parts[:1]
    lines = []
    for part in kept[:SHOWN]:
        low, high = part.low or 0.0, part.high or 0.0
        if measure.name == "labels":
            moved = f"'{part.name}': {part.before:.1%} of texts before, {part.now:.1%} now"
            between = f"{100 * low:+.1f} to {100 * high:+.1f} points"
        elif measure.name == "words":
            kind = "rarer" if part.now > part.before else "more usual"
            moved = f"Words are {kind} in training: {part.before:.2f} bits each before, {part.now:.2f} now"
            between = f"{low:+.2f} to {high:+.2f}"
        elif measure.name == "lengths":
            moved = f"Length: {part.before:,.0f} characters before, {part.now:,.0f} now, on average"
            between = f"{low:+,.0f} to {high:+,.0f}"
        else:
            moved = f"Scores of '{part.name}': {part.before:.3f} before, {part.now:.3f} now, on average"
            between = f"{low:+.3f} to {high:+.3f}"
        shape = "" if part.ks is None else f"; distance {part.ks:.2f} (KS), PSI {part.psi:.2f}, {part.js:.3f} bits (JS)"
        lines.append(f"{moved} ({between}, 95% interval{shape}).")
    if len(kept) > SHOWN:
        lines.append(f"... and {len(kept) - SHOWN:,} more of {measure.name}.")
    return lines


__all__ = ["FEWEST", "NO_LABEL", "monitor_texts", "tell_drift"]
