"""What is promised of the sample corpus."""

from collections import Counter

from smallprint.data.read import open_source


def rows():
    frame = open_source("sample").read(None)
    return frame.to_dicts()


def shingles(text: str) -> set[str]:
    words = text.lower().split()
    return {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}


def test_companies_clauses_labels_and_splits():
    corpus = rows()
    assert len(corpus) >= 900
    assert len({row["company"] for row in corpus}) >= 24
    counts = Counter(label for row in corpus for label in row["labels"])
    assert len(counts) == 8
    assert min(counts.values()) >= 25
    splits = {(row["company"], row["split"]) for row in corpus}
    assert len(splits) == len({company for company, _ in splits})
    for split in ("train", "validation", "test"):
        assert len({label for row in corpus if row["split"] == split for label in row["labels"]}) == 8


def test_near_duplicates_are_under_two_in_a_hundred():
    corpus = [shingles(row["text"]) for row in rows()]
    index: dict[str, list[int]] = {}
    for number, parts in enumerate(corpus):
        for part in parts:
            index.setdefault(part, []).append(number)
    near = set()
    for number, parts in enumerate(corpus):
        shared = Counter(other for part in parts for other in index[part] if other != number)
        near |= {number for other, n in shared.items() if n / len(parts | corpus[other]) > 0.5}
    assert len(near) / len(corpus) < 0.02
