import tracemalloc

import numpy as np

from smallprint.check import semantic
from smallprint.check.duplicates import with_form
from smallprint.check.semantic import check_semantic, similar_pairs


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_pairs_are_those_of_the_whole_product(monkeypatch):
    monkeypatch.setattr(semantic, "BLOCK", 7)
    vectors = unit(np.random.default_rng(0).normal(size=(40, 6)))
    pairs, cosines = similar_pairs(vectors, 0.6)
    whole = vectors @ vectors.T
    wanted = {(i, j) for i in range(40) for j in range(i + 1, 40) if whole[i, j] >= 0.6}
    assert {tuple(pair) for pair in pairs.tolist()} == wanted
    assert np.all(np.diff(cosines) <= 0)


def test_the_best_are_kept_block_by_block_and_of_equals_the_first(monkeypatch):
    monkeypatch.setattr(semantic, "BLOCK", 8)
    corners = np.array([[0, 1], [1, 0], [3, 4], [4, 3]], dtype=np.float32) / np.array(
        [[1], [1], [5], [5]], dtype=np.float32
    )
    vectors = corners[np.random.default_rng(0).integers(0, 4, 60)]
    whole, cosines = similar_pairs(vectors, 0.5)
    assert len(whole) > 600
    for most in (1, 7, 500, len(whole)):
        monkeypatch.setattr(semantic, "MOST_PAIRS", most)
        pairs, best = similar_pairs(vectors, 0.5)
        assert pairs.tolist() == whole[:most].tolist()
        assert best.tolist() == cosines[:most].tolist()


def test_memory_holds_a_block_and_the_best_pairs_however_many_texts_are_alike(monkeypatch):
    monkeypatch.setattr(semantic, "BLOCK", 64)
    monkeypatch.setattr(semantic, "MOST_PAIRS", 50)
    vectors = unit(np.ones((1500, 2)))
    tracemalloc.start()
    pairs, _ = similar_pairs(vectors)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pairs) == 50
    assert peak < 2_000_000, "all pairs are 1.1 million"


def test_a_count_that_was_cut_is_told_as_the_least(rows_of, monkeypatch):
    rows = rows_of({"train": ["one", "two", "three"], "test": ["four", "five", "six"]})
    vectors = unit(np.ones((6, 2)))
    assert not check_semantic(rows, with_form(rows), vectors)[0].at_least
    monkeypatch.setattr(semantic, "MOST_PAIRS", 14)
    [finding] = check_semantic(rows, with_form(rows), vectors)
    assert finding.at_least
    assert finding.found.startswith("At least")


def test_findings_across_splits(rows_of):
    rows = rows_of({"train": ["one thing", "another"], "test": ["the same thing", "far away"]})
    formed = with_form(rows)
    vectors = unit(np.array([[1, 0, 0], [0, 1, 0], [0.99, 0.05, 0], [0, 0, 1]]))
    [finding] = check_semantic(rows, formed, vectors)
    assert finding.count == 1
    assert {place.where for place in finding.places} == {"train.csv, line 2", "test.csv, line 2"}
    assert check_semantic(rows, formed, np.eye(4, dtype=np.float32)) == []
