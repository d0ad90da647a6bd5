import numpy as np
import pytest

from smallprint.core.errors import DataError
from smallprint.evaluation.operating import Band
from smallprint.evaluation.policy import FEWEST, Policy, Promise, find_policy, tell_policy, trade


def world(documents, seed, clauses=60, odd=0.0):
    """Scores of documents that differ from each other: each has a difficulty of its own."""
    rng = np.random.default_rng(seed)
    groups, truth, scores = [], [], []
    for document in range(documents):
        shift = rng.normal(0, 0.6 + odd)
        labels = rng.random((clauses, 2)) < 0.12
        logits = np.where(labels, 2.2 + shift, -3.5) + rng.normal(0, 1.4, labels.shape)
        groups += [f"d{seed}-{document}"] * clauses
        truth.append(labels)
        scores.append(1 / (1 + np.exp(-logits)))
    return np.concatenate(truth).astype(np.int8), np.concatenate(scores).astype(np.float32), groups


def kept_recall(policy, truth, scores):
    decisions = np.array(policy.decide(scores))
    return float((decisions[truth.any(axis=1)] != "cleared").mean())


def test_the_promise_holds_on_new_documents_and_a_naive_border_does_not():
    held, naive = [], []
    for seed in range(40):
        truth, scores, groups = world(14, seed)
        other_truth, other_scores, _ = world(14, 1000 + seed)
        policy = find_policy(truth, scores, groups, recall=0.9, seed=seed)
        held.append(kept_recall(policy, other_truth, other_scores) >= 0.9)
        anything = 1 - (1 - scores).prod(axis=1)
        border = np.quantile(anything[truth.any(axis=1)], 0.1)
        plain = Policy(Promise("recall", 0.9, 0.95, float(border), None, 0, 0, 14), None)
        naive.append(kept_recall(plain, other_truth, other_scores) >= 0.9)
    assert np.mean(held) >= 0.9
    assert np.mean(naive) < 0.75


def test_precision_is_promised_too():
    held = []
    for seed in range(20):
        truth, scores, groups = world(14, seed)
        other_truth, other_scores, _ = world(14, 1000 + seed)
        border = find_policy(truth, scores, groups, recall=None, precision=0.9).flag.border
        said = other_scores >= border
        held.append(other_truth[said].mean() >= 0.9)
    assert np.mean(held) >= 0.9


def test_decisions():
    promise = {"wanted": 0.9, "confidence": 0.95, "aimed": 0.95, "kept": 1.0, "alone": 0.5, "documents": 10}
    policy = Policy(Promise("recall", border=0.2, **promise), Promise("precision", border=0.9, **promise))
    scores = np.array([[0.01, 0.02], [0.5, 0.1], [0.0, 0.9], [0.15, 0.15]], dtype=np.float32)
    assert policy.decide(scores) == ["cleared", "person", "flagged", "person"]
    assert Policy(None, None).decide(scores) == ["person"] * 4
    assert Policy.from_dict(policy.to_dict()) == policy
    assert Policy.from_dict(Policy(None, None).to_dict()) == Policy(None, None)


def test_labels_are_those_that_the_decision_is_about():
    promise = {"wanted": 0.9, "confidence": 0.95, "aimed": 0.95, "kept": 1.0, "alone": 0.5, "documents": 10}
    policy = Policy(Promise("recall", border=0.2, **promise), Promise("precision", border=0.4, **promise))
    scores = np.array([[0.01, 0.15], [0.3, 0.1], [0.45, 0.39], [0.6, 0.1]], dtype=np.float32)
    assert policy.decide(scores) == ["cleared", "person", "flagged", "flagged"]
    given = policy.labels(scores, np.array([0.5, 0.1]), policy.decide(scores))
    assert given.tolist() == [[0, 0], [0, 1], [1, 0], [1, 0]]  # 0.39 is at its threshold, and nothing is promised of it
    band = Policy(None, None, Band("F2", 0.2, 0.3))
    assert band.decide(scores) == ["cleared", "flagged", "flagged", "flagged"]
    assert band.labels(scores, np.array([0.5, 0.2]), band.decide(scores)).tolist() == [[0, 0], [1, 0], [1, 1], [1, 0]]


def test_a_promise_is_printed_as_it_was_asked_for():
    truth, scores, groups = world(16, 3)
    found = find_policy(truth, scores, groups, recall=0.995, confidence=0.8)
    told = " ".join(tell_policy(found, trade(truth, scores, groups, [0.995], 0.8), len(scores)))
    assert "99.5%" in told
    assert "100% in" not in told


def test_the_same_seed_gives_the_same_policy_and_more_recall_clears_less():
    truth, scores, groups = world(16, 3)
    assert find_policy(truth, scores, groups) == find_policy(truth, scores, groups)
    rows = trade(truth, scores, groups, [0.7, 0.8, 0.9])
    assert rows[0].alone > rows[1].alone > rows[2].alone > 0
    clear = rows[1]
    anything = 1 - (1 - scores.astype(float)).prod(axis=1)
    assert clear.alone == pytest.approx(float((anything < clear.border).mean()), abs=0.002)
    lines = tell_policy(Policy(clear, None), rows, len(scores))
    assert "16 documents" in lines[0]
    assert "cleared below" in lines[-1]


def test_a_promise_that_cannot_be_kept_clears_nothing():
    truth, scores, groups = world(FEWEST, 5, clauses=12, odd=3.0)
    policy = find_policy(truth, scores, groups, recall=0.99, confidence=0.99)
    assert policy.clear.border is None
    assert set(policy.decide(scores)) == {"person"}
    assert any("No border keeps" in line for line in tell_policy(policy, [policy.clear], 3))


def test_too_few_documents_and_nothing_positive():
    truth, scores, groups = world(FEWEST - 1, 0)
    with pytest.raises(DataError, match="a promise over documents stands on documents"):
        find_policy(truth, scores, groups)
    assert "too few for a promise" in tell_policy(Policy(None, None), [], 9)[0]
    truth, scores, groups = world(8, 0)
    with pytest.raises(DataError, match="No example has a label"):
        find_policy(np.zeros_like(truth), scores, groups)
