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


def test_findings_across_splits(rows_of):
    rows = rows_of({"train": ["one thing", "another"], "test": ["the same thing", "far away"]})
    formed = with_form(rows)
    vectors = unit(np.array([[1, 0, 0], [0, 1, 0], [0.99, 0.05, 0], [0, 0, 1]]))
    [finding] = check_semantic(rows, formed, vectors)
    assert finding.count == 1
    assert {place.where for place in finding.places} == {"train.csv, line 2", "test.csv, line 2"}
    assert check_semantic(rows, formed, np.eye(4, dtype=np.float32)) == []
