import numpy as np
import polars as pl
import pytest

from smallprint.check import shift
from smallprint.check.shift import check_shift

WORDS = [f"w{i}" for i in range(200)]


def table(rng, n, rate, words):
    return [(" ".join(rng.choice(words, size=8)), ["x"] if rng.random() < rate else []) for _ in range(n)]


def test_rates_and_words_that_differ(rows_of, kinds):
    rng = np.random.default_rng(0)
    rows = rows_of({"train": table(rng, 400, 0.1, WORDS), "test": table(rng, 200, 0.4, WORDS[100:])})
    found = kinds(check_shift(rows))
    assert "'x' " in found["label-rates-differ-in-test"].found
    assert "words-differ-in-test" in found


def test_chance_is_not_told(rows_of):
    told = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rows = rows_of({"train": table(rng, 150, 0.2, WORDS), "test": table(rng, 80, 0.2, WORDS)})
        told += len(check_shift(rows))
    assert told <= 3, "at a level of 1% for each of two tests"


def test_documents_that_differ_are_no_news_where_splits_are_made_of_them(rows_of):
    told = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        splits = {}
        for split, n in (("train", 12), ("test", 8)):
            splits[split] = []
            for document in range(n):
                rate, own = rng.uniform(0, 0.6), rng.choice(WORDS, size=30)
                splits[split] += [(text, labels, f"{split}{document}") for text, labels in table(rng, 20, rate, own)]
        told += len(check_shift(rows_of(splits)))
    assert told <= 2


def test_one_split_or_no_words(rows_of):
    assert check_shift(rows_of({"train": ["a b"] * 5})) == []
    assert check_shift(rows_of({"train": ["!", "?", "."], "test": ["-", "+"]})) == []


@pytest.mark.parametrize("piece_bytes", [1, 40, 2**22])
def test_words_are_counted_once_a_text_and_the_commonest_kept(monkeypatch, piece_bytes):
    monkeypatch.setattr(shift, "PIECE_BYTES", piece_bytes)
    monkeypatch.setattr(shift, "MOST_WORDS", 3)
    texts = pl.Series(["Übung, übung a fee", "fee: the fee", "the end", "", "the FEE of a day"])
    counted = shift._common_words(texts, np.array([0, 0, 1, 1, 2]), 4)
    # fee stands in three texts, so does the, then day by the alphabet; each text counts once, single letters never
    assert counted.toarray().tolist() == [[2, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]]


def labelled(rng, n, shares):
    """Texts with one label each, drawn by `shares`."""
    names = [f"l{i:02}" for i in range(len(shares))]
    return [("same words", [names[i]]) for i in rng.choice(len(names), size=n, p=shares)]


@pytest.mark.parametrize("n_labels", [10, 11, 77])
def test_one_gross_shift_is_told_however_many_labels_there_are(rows_of, kinds, n_labels):
    rng = np.random.default_rng(0)
    even = np.full(n_labels, 1 / n_labels)
    much = np.append(0.3, np.full(n_labels - 1, 0.7 / (n_labels - 1)))
    rows = rows_of({"train": labelled(rng, 600, even), "test": labelled(rng, 300, much)}, "multiclass")
    finding = kinds(check_shift(rows))["label-rates-differ-in-test"]
    assert "'l00' " in finding.found.split(": ")[1].split(";")[0], "the widest gap comes first"
    assert finding.count <= 3


def test_of_several_that_differ_all_are_told(rows_of, kinds):
    rng = np.random.default_rng(0)
    shares = np.append([0.25, 0.15, 0.02, 0.02], np.full(28, 0.02))
    turned = np.append([0.02, 0.02, 0.25, 0.15], np.full(28, 0.02))
    rows = rows_of({"train": labelled(rng, 500, shares), "test": labelled(rng, 500, turned)}, "multiclass")
    finding = kinds(check_shift(rows))["label-rates-differ-in-test"]
    assert all(f"'l0{i}' " in finding.found for i in range(4))
    assert finding.count == 4


def test_many_labels_drawn_alike_are_told_as_seldom_as_the_level_says(rows_of):
    told = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(np.ones(20))
        rows = rows_of({"train": labelled(rng, 60, shares), "test": labelled(rng, 30, shares)}, "multiclass")
        told += any("rates" in finding.kind for finding in check_shift(rows))
    assert told <= 5, "at a level of 1%"


def test_labels_of_few_rows_hide_no_other(rows_of, kinds):
    rng = np.random.default_rng(0)
    rare = [("same words", [f"r{i}"]) for i in range(20) for _ in range(2)]
    train, test = (labelled(rng, n, shares) for n, shares in ((1000, np.full(6, 1 / 6)), (60, [0.36, *[0.128] * 5])))
    finding = kinds(check_shift(rows_of({"train": train + rare, "test": test}, "multiclass")))[
        "label-rates-differ-in-test"
    ]
    assert "'l00' " in finding.found
