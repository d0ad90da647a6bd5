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


@pytest.mark.parametrize(
    ("splits", "group", "severity"),
    [(["train"], None, "warning"), (["train"], "g", "note"), (["train", "test"], None, "note")],
)
def test_templates_are_a_warning_where_splits_are_still_to_be_made(rows_of, kinds, splits, group, severity):
    texts = [f"the service number {i} is provided as it is to everybody" for i in range(30)]
    rows = rows_of({split: [(f"{split} {text} {split}", [], group) for text in texts] for split in splits})
    found = kinds(check_near(rows, with_form(rows)))["near-copy"]
    assert found.severity == severity
    assert ("--group" in found.do) == (severity == "warning")


@pytest.mark.parametrize("most", [None, 8, 20])
def test_a_number_of_pairs_that_was_cut_is_told_as_the_least(rows_of, kinds, most, monkeypatch):
    if most is not None:
        monkeypatch.setattr(near, "MOST_LINKS", most)
    rows = rows_of({"train": [f"the service number {i} is provided as it is to everybody" for i in range(30)]})
    finding = kinds(check_near(rows, with_form(rows)))["near-copy"]
    assert finding.to_dict()["at_least"] == finding.at_least == (most is not None)
    assert finding.found.startswith("At least " if most is not None else f"{finding.count} pairs")
    assert f"{finding.count} pairs" in finding.found


def test_as_many_pairs_as_there_may_be_are_all(monkeypatch):
    band, chosen = np.array([5, 7, 5, 7, 5, 9], dtype=np.uint32), np.arange(6, dtype=np.uint32)
    for most, cut in ((3, True), (4, False)):
        monkeypatch.setattr(near, "MOST_LINKS", most)
        links, more = near._linked(np.zeros(0, dtype=np.int64), [band], chosen, 6)
        assert (len(links), more) == (most, cut)


def test_nothing_at_all(rows_of):
    rows = rows_of({"train": ["a", ""]})
    assert check_near(rows, with_form(rows)) == []


def test_word_sets_are_the_different_words_of_each_text():
    texts = ["a b a c", "", "one", "b a"]
    words, starts = near._word_sets(pl.Series(texts))
    hashes = {word: int(pl.Series([word]).hash(2)[0]) % 2**32 for text in texts for word in text.split(" ")}
    for i, text in enumerate(texts):
        assert words[starts[i] : starts[i + 1]].tolist() == sorted({hashes[word] for word in text.split(" ")})


@pytest.mark.parametrize("at_once", [1, 3, 16])
def test_pairs_are_the_same_however_many_bands_are_held(at_once, monkeypatch):
    texts, copies = planted(100, 12, seed=9)
    known = near_pairs(pl.Series(texts + copies))
    monkeypatch.setattr(near, "BANDS_AT_ONCE", at_once)
    pairs, alike = near_pairs(pl.Series(texts + copies))
    assert pairs.tolist() == known[0].tolist()
    assert alike.tolist() == known[1].tolist()


def test_each_text_of_a_band_is_linked_with_the_one_before_it_and_with_the_first():
    band = np.array([5, 7, 5, 7, 5, 9], dtype=np.uint32)
    chosen = np.array([0, 1, 2, 3, 4, 5], dtype=np.uint32)
    links, more = near._linked(np.zeros(0, dtype=np.int64), [band], chosen, 6)
    assert [(int(link) // 6, int(link) % 6) for link in links] == [(0, 2), (0, 4), (1, 3), (2, 4)]
    assert not more
