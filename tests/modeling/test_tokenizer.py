import numpy as np
import pytest

from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.tokenizer import CHUNK, tokenize


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
