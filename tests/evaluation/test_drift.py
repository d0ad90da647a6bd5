"""Five measures of a move: quiet where nothing moved, also where documents differ; loud where something did."""

import numpy as np
import pytest
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from smallprint.evaluation.drift import NAMES, Seen, find_drift
from smallprint.evaluation.moves import draw_moves, holm, match_sizes, p_of
from smallprint.evaluation.two_sample import _pairs, _weighted_pairs, tell_apart


def rows(n, rng, shift=0.0, documents=None):
    """Numbers of n texts; those of one document lie near each other."""
    own = rng.normal(0, 0.5, (documents, 8))[np.arange(n) * documents // n] if documents else 0.0
    words = rng.normal(0, 1, (n, 8)) + own + shift
    first = words[:, 0]
    return Seen(
        (first > 1.2).astype(np.int8)[:, None],
        1 / (1 + np.exp(-first))[:, None],
        np.exp(4 + 0.3 * words[:, 1]).round(),
        words,
        8 + 0.5 * words[:, 2],
    )


def drift(old, new, groups=None, rounds=999, **more):
    moves = draw_moves(len(old.lengths), len(new.lengths), groups, rounds=rounds)
    return find_drift(old, new, moves, ["a"], ["a"], **more)


def test_what_moved_is_said_with_size_and_interval():
    rng = np.random.default_rng(0)
    found = drift(rows(600, rng), rows(300, rng, shift=0.8))
    assert [measure.name for measure in found.measures] == list(NAMES)
    assert found.over == list(NAMES)
    labels, scores, lengths, _, texts = found.measures
    (part,) = labels.parts
    assert part.low < part.now - part.before < part.high
    assert part.now - part.before == pytest.approx(labels.size, abs=1e-6)
    assert 0.2 < scores.size < 0.5
    assert scores.chance < 0.1
    assert scores.parts[0].psi > 0.1
    assert 0 < scores.parts[0].js < 1
    assert lengths.parts[0].before == pytest.approx(np.exp(4) * np.exp(0.045), rel=0.1)
    assert texts.low < texts.size < texts.high
    assert texts.size > 0.7
    assert texts.chance == pytest.approx(0.5, abs=0.02)


def test_a_limit_lets_a_small_move_pass():
    rng = np.random.default_rng(0)
    old, new = rows(600, rng), rows(300, rng, shift=0.8)
    limits = {"labels": 0.9, "scores": 0.9, "lengths": 0.9, "words": 0.9, "texts": 1.0}
    assert drift(old, new, limits=limits).over == []
    assert all(measure.moved for measure in drift(old, new, limits=limits).measures)
    assert drift(old, new, limits={**limits, "words": 0.1}).over == ["words"]


def test_it_keeps_quiet_as_often_as_it_says():
    alarms = {"rows": 0, "documents": 0, "documents not told": 0}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        alarms["rows"] += bool(drift(rows(200, rng), rows(100, rng), rounds=199, alpha=0.05).over)
        old, new = rows(200, rng, documents=10), rows(200, rng, documents=10)
        named = (np.repeat(np.arange(10), 20).tolist(),) * 2
        alarms["documents"] += bool(drift(old, new, named, rounds=199, alpha=0.05).over)
        alarms["documents not told"] += bool(drift(old, new, rounds=199, alpha=0.05).over)
    assert alarms["rows"] <= 5  # binomial(30, 0.05): more than 5 once in 300
    assert alarms["documents"] <= 5
    assert alarms["documents not told"] >= 15


def test_a_few_foreign_rows_in_every_document_are_found():
    rng = np.random.default_rng(3)
    old, new = rows(800, rng, documents=10), rows(800, rng, documents=10)
    foreign = np.arange(0, 800, 10)
    new.words[foreign] += 6
    named = (np.repeat(np.arange(10), 80).tolist(),) * 2
    found = drift(old, new, named)
    assert "texts" in found.over
    assert found.by_group
    assert found.reference == (800, 10)
    surest = found.measures[-1].parts[0]
    assert surest.now > surest.before + 0.3


def test_areas_and_intervals_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    scores, truth = rng.normal(size=(80, 3)).astype(np.float32), rng.integers(0, 2, (80, 3)).astype(np.float32)
    good, pairs = _pairs(scores, truth)
    assert (good / pairs).tolist() == pytest.approx([roc_auc_score(truth[:, k], scores[:, k]) for k in range(3)])
    weights = rng.integers(0, 3, (80, 2)).astype(np.float32)
    good, pairs = _weighted_pairs(scores[:, 0], truth[:, 0].astype(bool), weights)
    expected = [roc_auc_score(truth[:, 0], scores[:, 0], sample_weight=weights[:, k]) for k in range(2)]
    assert (good / pairs).tolist() == pytest.approx(expected)


def test_the_distance_is_the_kolmogorov_smirnov_one():
    rng = np.random.default_rng(2)
    old, new = rows(700, rng), rows(400, rng, shift=0.5)
    found = drift(old, new).measures[1]
    exact = ks_2samp(old.scores[:, 0], new.scores[:, 0]).statistic
    assert found.size == pytest.approx(exact, abs=0.02)


def test_equal_texts_and_constant_columns_are_no_move():
    seen = Seen(np.zeros((60, 1)), np.full((60, 1), 0.25), np.full(60, 9.0), np.ones((60, 4)), np.zeros(60))
    found = drift(seen, seen)
    assert found.over == []
    assert all(np.isfinite(measure.size) for measure in found.measures)
    assert tell_apart(np.ones((60, 4)), draw_moves(30, 30, rounds=99)).areas[0] == pytest.approx(0.5, abs=0.3)


def test_documents_are_thinned_to_like_sizes():
    old = np.repeat(np.arange(4), [100, 50, 10, 1]).tolist()
    new = np.repeat(np.arange(8), [20, 20, 10, 10, 5, 5, 1, 1]).tolist()
    kept_old, kept_new = match_sizes((old, new))
    assert np.bincount(np.array(old)[kept_old]).tolist() == [20, 10, 5, 1]
    assert np.bincount(np.array(new)[kept_new]).max() == 20
    assert len(set(kept_old.tolist())) == len(kept_old)
    same = match_sizes((old, old))
    assert [len(part) for part in same] == [len(old)] * 2


def test_moves_keep_documents_whole():
    moves = draw_moves(6, 4, (["x", "x", "y", None, None, "y"], ["x", "x", "z", None]), rounds=50)
    assert moves.sizes.tolist() == [2, 2, 1, 1, 2, 1, 1]
    assert moves.new.sum() == 3
    assert (moves.parts.sum(axis=1) == 3).all()
    assert moves.smallest_p == pytest.approx(1 / 35)
    values = np.arange(10.0)[:, None]
    assert moves.differences(values)[0, 0] == pytest.approx(values[6:].mean() - values[:6].mean())
    assert p_of(np.array([3.0, 1, 2, 3, 4])) == pytest.approx(0.6)


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
