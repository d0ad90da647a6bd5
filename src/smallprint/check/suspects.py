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

FOLDS, MANY_LABELS, LEAST = 5, 20, 40
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
    return rows.frame.filter(
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

    Over TF-IDF a balanced linear SVM an output, its margins scaled by what they are worth (Platt 1999); over vectors a logistic
    regression.

    Raises:
        DataError: There are too few groups or texts for folds.
    """
    folds = fold_examples(examples, labels.names, FOLDS, seed)
    if vectors is not None:
        return _by_vectors(vectors, truth, labels, folds)
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    features = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=2 if len(examples) > 1000 else 1
    ).fit_transform(examples.texts)
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
    from sklearn.linear_model import LogisticRegression

    scores = np.zeros((len(vectors), labels.n_outputs))
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        if labels.task == "multiclass":
            model = LogisticRegression(C=20.0, max_iter=60).fit(vectors[inside], truth[inside])
            scores[np.ix_(outside, model.classes_)] = model.predict_proba(vectors[outside])
            continue
        for output in range(labels.n_outputs):
            column = truth[inside, output]
            if column.min() != column.max():
                model = LogisticRegression(C=20.0, max_iter=200).fit(vectors[inside], column)
                scores[outside, output] = model.predict_proba(vectors[outside])[:, 1]
    return scores


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
        others = np.where(scores >= usual, scores, -1.0)  # as sure as that label's own examples are
        others[np.arange(len(truth)), truth] = -1.0
        best = others.argmax(axis=1)
        top = others[np.arange(len(truth)), best]
        rows = np.flatnonzero((top > 0) & (top > given))
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
