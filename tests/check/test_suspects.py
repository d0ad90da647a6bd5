import numpy as np
import pytest

from smallprint.check.suspects import check_suspects, rank_doubts

SIGNS = {"red": "scarlet", "green": "leaf", "blue": "ocean"}


def flipped(task, n=400, seed=0):
    """Texts whose labels follow from a word, one in twenty turned; and which."""
    rng = np.random.default_rng(seed)
    entries, wrong, names = [], set(), list(SIGNS)
    for i in range(n):
        given = [name for name in names if rng.random() < 0.4] if task == "multilabel" else [names[i % 3]]
        text = " ".join([SIGNS[name] for name in given] + [f"filler{rng.integers(50)}" for _ in range(5)])
        if rng.random() < 0.05:
            wrong.add(i)
            if task == "multilabel":
                name = names[rng.integers(3)]
                given = [x for x in given if x != name] if name in given else [*given, name]
            else:
                given = [names[(names.index(given[0]) + 1) % 3]]
        entries.append((text, given))
    return entries, wrong


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_turned_labels_come_first_and_say_why(rows_of, task):
    entries, wrong = flipped(task)
    [finding] = check_suspects(rows_of({"train": entries, "test": entries[:3]}, task))
    first = [place.row for place in finding.places[: len(wrong)]]
    assert len(wrong & set(first)) >= 0.8 * len(wrong)
    assert finding.places[0].split == "train"
    assert "scored" in finding.places[0].detail


def test_vectors_may_stand_for_words(rows_of):
    entries, wrong = flipped("multiclass")
    vectors = np.array([[word in text for word in SIGNS.values()] for text, _ in entries], dtype=np.float32)
    [finding] = check_suspects(rows_of({"train": entries}, "multiclass"), vectors)
    assert len(wrong & {place.row for place in finding.places[: len(wrong)]}) >= 0.9 * len(wrong)


def test_as_many_are_found_as_cleanlab_finds():
    rank = pytest.importorskip("cleanlab.rank")
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 500)
    scores = rng.dirichlet(np.ones(4), 500) * 0.4
    scores[np.arange(500), truth] += 0.6
    wrong = rng.permutation(500)[:25]
    given = truth.copy()
    given[wrong] = (given[wrong] + 1) % 4
    ours = [row for row, _, _ in rank_doubts(given, scores, "multiclass")]
    theirs = rank.order_label_issues(np.ones(500, dtype=bool), given, scores, rank_by="normalized_margin")[:25]
    hits, peers = (len(set(wrong.tolist()) & set(found)) for found in (ours[:25], theirs.tolist()))
    assert hits == len(ours[:25]), "none that is not wrong"
    assert hits >= peers - 10


def test_too_little_to_judge(rows_of):
    assert check_suspects(rows_of({"train": [("a", ["x"]), ("b", [])]})) == []


def test_texts_without_words_have_no_suspects(rows_of):
    entries = [(f"{i % 10}" + "!?.;:,"[i // 10] * (i % 7 + 1), ["ab"[i % 2]]) for i in range(60)]
    assert check_suspects(rows_of({"train": entries}, "binary")) == []
