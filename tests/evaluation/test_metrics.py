import math
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from smallprint.core.errors import DataError
from smallprint.core.results import ScoredSplit
from smallprint.evaluation import metrics
from smallprint.evaluation.calibration import adaptive_ece
from smallprint.evaluation.metrics import compute_metrics


def multilabel(seed=0, n=80, n_labels=5):
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, n_labels)) < 0.2).astype(np.int8)
    scores = np.clip(targets * 0.3 + rng.random((n, n_labels)) * 0.7, 0, 1).astype(np.float32)
    return ScoredSplit("test", "multilabel", [f"l{k}" for k in range(n_labels)], [], targets, scores)


def multiclass(seed=0, n=90, n_labels=6):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, n_labels - 1, n)
    scores = rng.dirichlet(np.ones(n_labels), n) + np.eye(n_labels)[ids] * 0.5
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    return ScoredSplit("test", "multiclass", [f"l{k}" for k in range(n_labels)], [], ids, scores)


def binary(seed=0, n=70):
    split = multilabel(seed, n, 1)
    return ScoredSplit("test", "binary", ["fair", "unfair"], [], split.targets, split.scores)


@pytest.mark.parametrize("seed", range(4))
def test_multilabel_equals_scikit_learn(seed):
    scored, thresholds = multilabel(seed), np.array([0.3, 0.4, 0.5, 0.6, 0.7])
    truth, scores = scored.targets, scored.scores
    decided, at_half = scores >= thresholds, scores >= 0.5
    values = compute_metrics(scored, thresholds).values
    for average in ("micro", "macro"):
        expected = sk.precision_recall_fscore_support(truth, decided, average=average, zero_division=0)[:3]
        assert [values[f"{name}_{average}"] for name in ("precision", "recall", "f1")] == pytest.approx(expected)
        assert values[f"f1_{average}_at_0.5"] == pytest.approx(sk.f1_score(truth, at_half, average=average))
        assert values[f"average_precision_{average}"] == pytest.approx(
            sk.average_precision_score(truth, scores, average=average)
        )
        for suffix, said in (("", scores > 0.5), ("_tuned", decided)):
            columns = [np.column_stack([a, ~a.any(axis=1)]) for a in (truth.astype(bool), said)]
            assert values[f"lexglue_f1_{average}{suffix}"] == pytest.approx(sk.f1_score(*columns, average=average))
    assert values["exact_match"] == pytest.approx(sk.accuracy_score(truth, decided))
    assert values["any_label_f1"] == pytest.approx(sk.f1_score(truth.any(axis=1), decided.any(axis=1)))
    assert values["any_label_f1_at_0.5"] == pytest.approx(sk.f1_score(truth.any(axis=1), at_half.any(axis=1)))
    assert values["any_label_average_precision"] == pytest.approx(
        sk.average_precision_score(truth.any(axis=1), 1 - (1 - scores.astype(np.float64)).prod(axis=1))
    )
    assert values["brier"] == pytest.approx(sk.mean_squared_error(truth, scores))
    assert values["adaptive_ece"] == adaptive_ece(truth, scores)


@pytest.mark.parametrize("seed", range(4))
def test_binary_equals_scikit_learn(seed):
    scored = binary(seed)
    truth, scores = scored.targets[:, 0], scored.scores[:, 0]
    decided = scores >= 0.4
    result = compute_metrics(scored, np.array([0.4]))
    assert result.values == pytest.approx(
        {
            "f1": sk.f1_score(truth, decided),
            "precision": sk.precision_score(truth, decided),
            "recall": sk.recall_score(truth, decided),
            "f1_at_0.5": sk.f1_score(truth, scores >= 0.5),
            "average_precision": sk.average_precision_score(truth, scores),
            "roc_auc": sk.roc_auc_score(truth, scores),
            "accuracy": sk.accuracy_score(truth, decided),
            "mcc": sk.matthews_corrcoef(truth, decided),
            "brier": sk.brier_score_loss(truth, scores),
            "adaptive_ece": adaptive_ece(truth, scores),
        },
        abs=1e-6,
    )
    assert [row.label for row in result.per_label] == ["unfair"]


@pytest.mark.parametrize("seed", range(4))
def test_multiclass_equals_scikit_learn(seed):
    scored = multiclass(seed)
    ids, scores = scored.targets, scored.scores
    said = scores.argmax(axis=1)
    values = compute_metrics(scored, np.zeros(0)).values
    seen = scores[:, :-1]
    assert values == pytest.approx(
        {
            "accuracy": sk.accuracy_score(ids, said),
            "f1_macro": sk.f1_score(ids, said, average="macro"),
            "f1_weighted": sk.f1_score(ids, said, average="weighted"),
            "log_loss": sk.log_loss(ids, scores, labels=range(6)),
            "top_3_accuracy": sk.top_k_accuracy_score(ids, scores, k=3, labels=range(6)),
            "average_precision_macro": sk.average_precision_score(np.eye(5)[ids], seen),
            "labels_without_positives": 1,
            "brier": sk.mean_squared_error(np.eye(6)[ids], scores),
            "adaptive_ece": adaptive_ece(np.eye(6)[ids], scores),
        },
        abs=1e-5,
    )


def test_rows_per_label():
    scored, thresholds = multilabel(), np.array([0.3, 0.4, 0.5, 0.6, 0.7])
    decided = scored.scores >= thresholds
    expected = sk.precision_recall_fscore_support(scored.targets, decided, zero_division=0)
    for k, row in enumerate(compute_metrics(scored, thresholds).per_label):
        assert (row.label, row.support, row.predicted) == (f"l{k}", expected[3][k], decided[:, k].sum())
        assert (row.precision, row.recall, row.f1) == pytest.approx([part[k] for part in expected[:3]])
        assert row.average_precision == pytest.approx(
            sk.average_precision_score(scored.targets[:, k], scored.scores[:, k])
        )
        assert row.threshold == thresholds[k]


@pytest.mark.parametrize("truth", [0, 1])
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("make", [multilabel, binary, multiclass])
def test_every_number_is_finite_on_degenerate_splits(make, truth, score):
    scored = make()
    scored = ScoredSplit(
        "test", scored.task, scored.label_names, [], scored.targets * 0 + truth, scored.scores * 0 + np.float32(score)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compute_metrics(scored, np.full(scored.scores.shape[1], 0.5))
    assert all(math.isfinite(value) for value in result.values.values())
    assert all(math.isfinite(v) for row in result.per_label for v in (row.f1, row.average_precision, row.threshold))
    assert "roc_auc" not in result.values
    if make is multilabel:
        assert result.values["labels_without_positives"] == (0 if truth else 5)


@pytest.mark.parametrize("make", [multilabel, binary, multiclass])
def test_scores_that_are_the_truth_have_no_calibration_error(make):
    scored = make()
    truth = np.eye(6)[scored.targets] if scored.task == "multiclass" else scored.targets
    for scores, error in ((truth, 0.0), (1 - truth, 1.0)):
        perfect = ScoredSplit("test", scored.task, scored.label_names, [], scored.targets, scores.astype(np.float32))
        values = compute_metrics(perfect, np.full(scores.shape[1], 0.5)).values
        assert (values["brier"], values["adaptive_ece"]) == (error, error)


def test_equal_scores_count_the_first_label_highest_in_top_3():
    scored = ScoredSplit("test", "multiclass", list("abcd"), [], np.arange(4), np.full((4, 4), 0.25))
    values = compute_metrics(scored, np.zeros(4)).values
    assert (values["accuracy"], values["top_3_accuracy"]) == (0.25, 0.75)


def test_multiclass_macro_f1_leaves_out_labels_neither_true_nor_said():
    scored = ScoredSplit("test", "multiclass", list("abc"), [], np.array([0, 1]), np.eye(3)[[0, 1]])
    assert compute_metrics(scored, np.zeros(3)).values["f1_macro"] == 1.0


def test_top_3_needs_more_than_3_labels():
    assert "top_3_accuracy" not in compute_metrics(multiclass(n_labels=3), np.zeros(3)).values


def test_a_score_of_a_half_is_yes_in_the_plain_measure_and_no_in_lexglues():
    scored = ScoredSplit("test", "multilabel", ["a"], [], np.array([[1]]), np.array([[0.5]]))
    values = compute_metrics(scored, np.array([0.9])).values
    assert (values["f1_micro_at_0.5"], values["lexglue_f1_micro"], values["f1_micro"]) == (1.0, 0.0, 0.0)


def test_misfits_are_errors():
    scored = multilabel()
    with pytest.raises(DataError, match="Thresholds"):
        compute_metrics(scored, np.array([0.5]))
    with pytest.raises(DataError, match="no examples"):
        compute_metrics(ScoredSplit("t", "multilabel", ["a"], [], np.zeros((0, 1)), np.zeros((0, 1))), np.array([0.5]))


def test_the_public_names_stand_here():
    assert metrics.__all__ == ["average_precision_macro", "compute_metrics", "lexglue_f1"]
    assert all(callable(getattr(metrics, name)) for name in metrics.__all__)
