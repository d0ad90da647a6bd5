import numpy as np
import polars as pl
import pytest

from smallprint.check import near
from smallprint.check.duplicates import with_form
from smallprint.check.near import ALIKE, check_near, near_pairs

WORDS = [f"w{i}" for i in range(3000)]


def planted(n, length, seed, changed=0.1):
    """Texts, and copies with a share of their words changed."""
    rng = np.random.default_rng(seed)
    texts, copies = [], []
    for _ in range(n):
        words = rng.choice(WORDS, size=length).tolist()
        other = list(words)
        for place in rng.choice(length, size=max(1, round(changed * length)), replace=False):
            other[place] = str(rng.choice(WORDS))
        texts.append(" ".join(words))
        copies.append(" ".join(other))
    return texts, copies


@pytest.mark.parametrize("length", [8, 15, 40])
def test_copies_with_a_tenth_of_the_words_changed_are_found(length):
    texts, copies = planted(300, length, seed=length)
    pairs, alike = near_pairs(pl.Series(texts + copies))
    found = {tuple(pair) for pair in pairs.tolist()}
    assert sum((i, i + 300) in found for i in range(300)) >= 285
    assert found <= {(i, i + 300) for i in range(300)}, "no pair is reported that is none"
    assert (alike >= ALIKE).all()


def test_similarity_is_that_of_the_words():
    pairs, alike = near_pairs(pl.Series(["a b c d e f g", "a b c d e f h", "x y z u v w q"]))
    assert pairs.tolist() == [[0, 1]]
    assert alike.tolist() == [6 / 8]


def test_similarity_is_that_of_sets_whatever_is_looked_at_at_once(monkeypatch):
    texts, copies = planted(60, 12, seed=5)
    whole = near_pairs(pl.Series(texts + copies))
    monkeypatch.setattr(near, "COMPARED_WORDS", 30)
    monkeypatch.setattr(near, "MOST_WORDS", 100)
    parts = near_pairs(pl.Series(texts + copies))
    sets = [set(text.split()) for text in texts + copies]
    assert parts[0].tolist() == whole[0].tolist()
    assert len(parts[1]) > 50
    for alike in (whole[1], parts[1]):
        assert alike.tolist() == [len(sets[i] & sets[j]) / len(sets[i] | sets[j]) for i, j in whole[0].tolist()]


def test_short_texts_are_left_alone():
    assert len(near_pairs(pl.Series(["we may", "we may not", "may we"]))[0]) == 0


def test_thousands_alike_cost_thousands_of_comparisons(monkeypatch):
    compared = []
    jaccard = near._jaccard
    monkeypatch.setattr(near, "_jaccard", lambda *given: compared.append(len(given[2])) or jaccard(*given))
    rng = np.random.default_rng(0)
    texts = [f"a b c d e f g h i j k l m {rng.choice(WORDS)} {i}" for i in range(3000)]
    pairs, _ = near_pairs(pl.Series(texts))
    assert 2900 < sum(compared) < 3000 * 40
    assert len({i for pair in pairs.tolist() for i in pair}) > 2900


def test_findings(rows_of, kinds):
    one = "you agree to resolve all disputes by binding arbitration"
    rows = rows_of(
        {
            "train": [one, "the service is provided as it is", "the service is provided just as it is now"],
            "test": [one.replace("all", "any"), "something else entirely here"],
        }
    )
    found = kinds(check_near(rows, with_form(rows)))
    across = found["near-copy-across-splits"]
    assert (across.count, across.severity) == (1, "warning")
    assert {place.where for place in across.places} == {"train.csv, line 2", "test.csv, line 2"}
    assert found["near-copy"].count == 1


def test_nothing_at_all(rows_of):
    rows = rows_of({"train": ["a", ""]})
    assert check_near(rows, with_form(rows)) == []
