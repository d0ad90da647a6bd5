import itertools

import numpy as np
import pytest

from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.tokenizer import CHUNK, tokenize, tokenize_windows


@pytest.fixture(scope="module")
def tokenizer(tiny_backbone):
    return load_tokenizer(str(tiny_backbone))


def test_same_ids_as_one_by_one(tokenizer):
    texts = [f"we may close account {i}" for i in range(CHUNK + 5)]
    tokens = tokenize(tokenizer, texts, 32)
    assert len(tokens.ids) == len(texts)
    for i in (0, CHUNK - 1, CHUNK, CHUNK + 4):
        assert tokens.ids[i].tolist() == tokenizer(texts[i])["input_ids"]
    assert tokens.ids[0].dtype == np.int32
    assert tokens.lengths.tolist() == [len(row) for row in tokens.ids]


def test_only_what_is_cut_counts_as_cut(tokenizer):
    texts = ["we may", "we may close the account", "we " * 6, "we " * 7, "we " * 50]
    tokens = tokenize(tokenizer, texts, 8)
    assert tokens.lengths.tolist() == [4, 7, 8, 8, 8]
    assert tokens.n_truncated == 2
    assert tokens.ids[4][-1] == tokenizer.sep_token_id


def test_empty_texts(tokenizer):
    assert tokenize(tokenizer, [""], 8).lengths.tolist() == [2]
    assert tokenize(tokenizer, [], 8).ids == []


def test_windows_cover_every_token_and_overlap_by_a_quarter(tokenizer):
    words = ["we", "may", "close", "the", "account", "pay", "court", "law"] * 6
    texts = ["we may", " ".join(words), "law"]
    tokens = tokenize_windows(tokenizer, texts, 16)
    assert tokens.text_of.tolist() == [0, *[1] * (len(tokens.ids) - 2), 2]
    assert tokens.n_truncated == 0
    assert tokens.lengths.max() == 16
    whole = tokenizer(texts[1])["input_ids"][1:-1]
    inner = [row[1:-1].tolist() for row in tokens.ids[1:-1]]
    assert all(one[-4:] == other[:4] for one, other in itertools.pairwise(inner))
    assert inner[0] + [token for row in inner[1:] for token in row[4:]] == whole
    assert [row.tolist() for row in tokens.ids[::3][:1]] == [tokenizer("we may")["input_ids"]]


def test_windows_of_short_texts_are_the_texts(tokenizer):
    texts = [f"we may close account {i}" for i in range(CHUNK + 5)]
    windows, cut = tokenize_windows(tokenizer, texts, 32), tokenize(tokenizer, texts, 32)
    assert windows.text_of.tolist() == list(range(len(texts)))
    assert all(np.array_equal(one, other) for one, other in zip(windows.ids, cut.ids, strict=True))
