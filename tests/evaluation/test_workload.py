import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallprint.core.results import ScoredSplit
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.workload import threshold_curve, workload_curve


def binary(targets, scores):
    column = np.array(targets, dtype=np.int8)[:, None]
    return ScoredSplit("test", "binary", ["no", "yes"], [], column, np.array(scores, dtype=np.float32)[:, None])


def test_what_a_person_reads_to_find_a_share():
    found = workload_curve(binary([1, 0, 1, 0, 0, 0, 0, 0, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]))
    assert found.read_at(0.5) == pytest.approx(0.1)
    assert found.read_at(0.95) == pytest.approx(0.3)
    assert found.read_at(1.0) == pytest.approx(0.3)


def test_equal_scores_are_read_together_and_nothing_to_find_is_none():
    found = workload_curve(binary([1, 0, 0, 0], [0.5, 0.5, 0.5, 0.1]))
    assert found.read_at(1.0) == pytest.approx(0.75)
    assert workload_curve(binary([0, 0], [0.5, 0.1])) is None


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=60),
    st.sampled_from([0.5, 0.8, 0.95, 1.0]),
)
def test_against_brute_force(rows, wanted):
    truth = np.array([row[0] for row in rows])
    scores = np.array([row[1] / 20 for row in rows], dtype=np.float32)
    found = workload_curve(binary(truth.astype(int), scores))
    if not truth.any():
        assert found is None
        return
    reads = [
        float((scores >= t).mean())
        for t in np.unique(scores)
        if truth[scores >= t].sum() >= wanted * truth.sum() - 1e-9
    ]
    assert found.read_at(wanted) == pytest.approx(min(reads))


def test_many_points_are_thinned_and_keep_their_ends():
    rng = np.random.default_rng(0)
    found = workload_curve(binary(rng.random(5000) < 0.5, rng.random(5000)))
    read, reached = found.points()
    assert len(read) <= 200 < len(found.read)
    assert (read[0], read[-1], reached[-1]) == (0.0, 1.0, 1.0)
    assert (np.diff(read) > 0).all()


def test_multiclass_leaves_the_doubtful_to_a_person():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.45, 0.55], [0.6, 0.4]], dtype=np.float32)
    found = workload_curve(ScoredSplit("test", "multiclass", ["a", "b"], [], np.array([0, 0, 0, 0]), scores))
    assert found.multiclass
    assert found.read_at(1.0) == pytest.approx(0.25)
    assert found.read_at(0.7) == pytest.approx(0.0)


def test_the_threshold_curve_is_that_of_metrics():
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < 0.3).astype(np.int8)
    scored = ScoredSplit("test", "multilabel", list("abc"), [], targets, rng.random((200, 3)).astype(np.float32))
    curve = threshold_curve(scored)
    for threshold in (0.1, 0.5, 0.9):
        values = compute_metrics(scored, np.full(3, threshold)).values
        wanted = (values["precision_micro"], values["recall_micro"], values["f1_micro"])
        assert curve.at(threshold) == pytest.approx(wanted)
