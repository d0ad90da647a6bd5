import numpy as np

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
