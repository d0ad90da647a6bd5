"""Labels that are probably wrong. In: rows. Out: findings, ranked, each with the reason.

Confident learning (Northcutt, Jiang & Chuang 2021): every example is scored by models that did not see it; a label is in doubt where
another is scored as surely as that other's own examples are, or its own as low as examples without it. Ranked by the margin
between what was given and what the model would give. Models err too: a suspect is a question to whoever labelled.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from smallprint.check.findings import Finding, Place, Rows, excerpt
from smallprint.core.errors import DataError
from smallprint.core.progress import Say, say_nothing
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.data.split import fold_examples
from smallprint.modeling.linear import fit_terms

FOLDS, MANY_LABELS, LEAST = 5, 20, 40
RIDGE = 1.0
CLEAR = 0.5  # margin from which another label is in question however sure its own examples are
Array = NDArray[np.float64]


def check_suspects(
    rows: Rows, vectors: NDArray[np.float32] | None = None, seed: int = 42, say: Say = say_nothing
) -> list[Finding]:
    """Gives the labels of train and validation that are in doubt.

    Args:
        rows: All.
        vectors: Of the rows of train and validation that have text, `[n, width]`; TF-IDF is taken when left out.
        seed: Of the folds.
        say: Takes lines for a person.
    """
    pool = doubtable(rows)
    if pool.height < LEAST or not rows.label_names:
        return []
    labels = LabelSet(rows.task, rows.label_names)  # type: ignore[arg-type]
    examples = Examples("train", pool)
    truth = labels.encode(examples.labels)
    try:
        scores = held_out_scores(examples, truth, labels, vectors, seed, say)
    except DataError:
        return []
    doubts = rank_doubts(truth, scores, labels.task)
    if not doubts:
        return []
    names = labels.names if labels.task != "binary" else [labels.names[1]]
    places = []
    for row, output, _ in doubts[:200]:
        split, number = pool["split"][row], int(pool["row"][row])
        detail = _reason(truth[row], scores[row], output, names, labels)
        places.append(Place(split, number, rows.place(split, number), excerpt(pool["text"][row]), detail))
    share = len(doubts) / pool.height
    return [
        Finding(
            "label-in-doubt",
            "warning" if share > 0.02 else "note",
            f"{len(doubts):,} labels are in doubt ({share:.1%} of the texts of train and validation).",
            "Look at the first of them; correct what is wrong, and see whether the rule for labelling is clear.",
            len(doubts),
            places,
        )
    ]


def doubtable(rows: Rows) -> pl.DataFrame:
    """Gives the rows of train and validation that have a text and labels that could be read, in order."""
    return rows.in_memory().frame.filter(
        pl.col("split").is_in(["train", "validation"])
        & pl.col("labels").is_not_null()
        & (pl.col("text").str.strip_chars() != "")
    )


def held_out_scores(
    examples: Examples,
    truth: NDArray[np.int64],
    labels: LabelSet,
    vectors: NDArray[np.float32] | None,
    seed: int,
    say: Say = say_nothing,
) -> Array:
    """Gives a score in [0, 1] of each output for each example, `[n, n_outputs]`, by models that did not see it or its group.

    Over TF-IDF a balanced linear SVM an output, its margins scaled by what they are worth (Platt 1999); over vectors ridge
    regression on the labels.

    Raises:
        DataError: There are too few groups or texts for folds, or no words.
    """
    folds = fold_examples(examples, labels.names, FOLDS, seed)
    if vectors is not None:
        return _by_vectors(vectors, truth, labels, folds)
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    least = 2 if len(examples) > 1000 else 1
    features = fit_terms(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=least), examples.texts)
    if features is None:
        raise DataError("No word stands in any text.", "texts with words", "Check the text column.")
    binary = np.eye(labels.n_outputs, dtype=np.int8)[truth] if labels.task == "multiclass" else truth
    scores = np.zeros((len(examples), labels.n_outputs))
    for output in range(labels.n_outputs):
        column, margins = binary[:, output], np.zeros(len(examples))
        for fold in range(FOLDS):
            inside, outside = folds != fold, folds == fold
            if column[inside].min() == column[inside].max():
                margins[outside] = -1.0
                continue
            model = LinearSVC(class_weight="balanced", random_state=seed).fit(features[inside], column[inside])
            margins[outside] = model.decision_function(features[outside])
        if column.min() == column.max():
            scores[:, output] = column[0]
            continue
        scaled = LogisticRegression(C=1e3).fit(margins[:, None], column)
        scores[:, output] = scaled.predict_proba(margins[:, None])[:, 1]
        say(f"  label {output + 1} of {labels.n_outputs} scored by models that did not see it")
    return scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-9) if labels.task == "multiclass" else scores


def _by_vectors(
    vectors: NDArray[np.float32], truth: NDArray[np.int64], labels: LabelSet, folds: NDArray[np.int64]
) -> Array:
    """Ridge regression on the labels, which one solution of a linear system a fold gives for all of them, and its scale."""
    exclusive = labels.task == "multiclass"
    wanted = np.eye(labels.n_outputs)[truth] if exclusive else truth.astype(np.float64)
    features = np.column_stack([vectors.astype(np.float64), np.ones(len(vectors))])
    margins = np.zeros_like(wanted)
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        known = features[inside]
        system = known.T @ known + RIDGE * np.eye(known.shape[1])
        margins[outside] = features[outside] @ np.linalg.solve(system, known.T @ wanted[inside])
    return _as_shares(margins, wanted, exclusive)


def _as_shares(margins: Array, wanted: Array, exclusive: bool) -> Array:
    """Gives scores in [0, 1] from margins: at the temperature, or for independent labels by the slopes, that fit the truth best."""
    if exclusive:
        temperatures = np.geomspace(2, 60, 24)
        losses = [-np.log(np.clip((_softmax(margins * t) * wanted).sum(axis=1), 1e-12, 1)).mean() for t in temperatures]
        return _softmax(margins * temperatures[int(np.argmin(losses))])
    from sklearn.linear_model import LogisticRegression

    scores = np.zeros_like(margins)
    for output, column in enumerate(wanted.T.astype(np.int8)):
        scores[:, output] = column[0]
        if column.min() != column.max():
            scaled = LogisticRegression(C=1e3).fit(margins[:, output, None], column)
            scores[:, output] = scaled.predict_proba(margins[:, output, None])[:, 1]
    return scores


def _softmax(values: Array) -> Array:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def rank_doubts(truth: NDArray[np.int64], scores: Array, task: str) -> list[tuple[int, int, float]]:
    """Gives (row, output, margin) of each label in doubt, the largest margin first.

    Args:
        truth: Ids `[n]` (multiclass: the output is what the model would give) or 0/1 `[n, n_outputs]`.
        scores: Held out, `[n, n_outputs]`.
        task: binary, multiclass or multilabel.
    """
    found: list[tuple[int, int, float]] = []
    if task == "multiclass":
        n = scores.shape[1]
        usual = np.array([scores[truth == k, k].mean() if (truth == k).any() else np.inf for k in range(n)])
        given = scores[np.arange(len(truth)), truth]
        others = scores.copy()
        others[np.arange(len(truth)), truth] = -1.0
        best = others.argmax(axis=1)
        top = others[np.arange(len(truth)), best]
        sure = (top >= usual[best]) | (top - given >= CLEAR)  # as sure as that label's own examples are, or far ahead
        rows = np.flatnonzero((top > given) & sure)
        found = [(int(row), int(best[row]), float(top[row] - given[row])) for row in rows]
    else:
        for output in range(scores.shape[1]):
            column, score = truth[:, output].astype(bool), scores[:, output]
            if not column.any() or column.all():
                continue
            high, low = score[column].mean(), score[~column].mean()
            wrong_no = np.flatnonzero(~column & (score >= high) & (score > 0.5))
            wrong_yes = np.flatnonzero(column & (score <= low))
            found += [(int(row), output, float(score[row] - low)) for row in wrong_no]
            found += [(int(row), output, float(high - score[row])) for row in wrong_yes]
    return sorted(found, key=lambda doubt: -doubt[2])


def _reason(truth: NDArray[np.int64], scores: Array, output: int, names: list[str], labels: LabelSet) -> str:
    if labels.task == "multiclass":
        own = int(truth)
        return f"labelled '{names[own]}' (scored {scores[own]:.2f}); '{names[output]}' is scored {scores[output]:.2f}"
    given = "labelled" if truth[output] else "not labelled"
    return f"{given} '{names[output]}', which is scored {scores[output]:.2f}"


__all__ = ["check_suspects", "doubtable", "held_out_scores", "rank_doubts"]
