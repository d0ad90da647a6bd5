"""Texts are tokenized once, and again where anything that decides the ids is another."""

import numpy as np
import pytest

from smallprint.core.kept import Kept
from smallprint.modeling import kept_tokens
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.kept_tokens import fingerprint, read_tokens
from smallprint.modeling.tokenizer import tokenize

TEXTS = ["we may close your account", "", "notice " * 40, "the law of the court"]


@pytest.fixture
def tokenizer(tiny_backbone):
    return load_tokenizer(str(tiny_backbone))


@pytest.fixture
def kept(tmp_path):
    return Kept(10, tmp_path / "kept")


@pytest.fixture
def calls(monkeypatch):
    found = []
    monkeypatch.setattr(kept_tokens, "tokenize", lambda *given: (found.append(given[1]), tokenize(*given))[1])
    return found


def test_the_second_time_they_come_from_the_disk(tokenizer, kept, calls):
    first = read_tokens(tokenizer, TEXTS, 16, kept)
    again = read_tokens(tokenizer, TEXTS, 16, Kept(10, kept.folder))
    assert calls == [TEXTS]
    assert [row.tolist() for row in again.ids] == [row.tolist() for row in first.ids]
    assert {row.dtype for row in again.ids} == {np.dtype(np.int32)}
    assert again.n_truncated == first.n_truncated == 1


def test_whatever_decides_the_ids_is_part_of_the_key(tokenizer, kept, calls):
    read_tokens(tokenizer, TEXTS, 16, kept)
    for texts, length in (
        (TEXTS[::-1], 16),
        (TEXTS[:3], 16),
        ([TEXTS[0] + TEXTS[1], *TEXTS[2:]], 16),
        (TEXTS, 17),
    ):
        before = len(calls)
        read_tokens(tokenizer, texts, length, kept)
        assert len(calls) == before + 1
    other = load_tokenizer(tokenizer.name_or_path)
    other.add_tokens(["close your"])
    before = len(calls)
    assert (
        read_tokens(other, TEXTS, 16, kept).ids[0].tolist() != read_tokens(tokenizer, TEXTS, 16, kept).ids[0].tolist()
    )
    assert len(calls) == before + 1


def test_a_tokenizer_is_known_by_what_it_does_not_by_what_it_did(tokenizer):
    before = fingerprint(tokenizer)
    tokenizer(TEXTS, truncation=True, max_length=9, padding=True)
    assert fingerprint(tokenizer) == before == fingerprint(load_tokenizer(tokenizer.name_or_path))
    tokenizer.truncation_side = "left"
    assert fingerprint(tokenizer) != before
    tokenizer.truncation_side = "right"
    tokenizer.split_special_tokens = not tokenizer.split_special_tokens
    assert fingerprint(tokenizer) != before


def test_another_release_tokenizes_anew(tokenizer, monkeypatch):
    before = fingerprint(tokenizer)
    monkeypatch.setattr(kept_tokens, "__version__", "another")
    assert fingerprint(tokenizer) != before


def test_one_of_ones_own_is_asked_each_time(tokenizer, kept, calls):
    class Own:
        def __call__(self, *given, **named):
            return tokenizer(*given, **named)

    assert fingerprint(Own()) is None
    for _ in range(2):
        read_tokens(Own(), TEXTS, 16, kept)
    assert calls == [TEXTS] * 2
    assert not kept.folder.exists()


def test_without_a_place_nothing_is_kept(tokenizer, tmp_path, calls):
    for kept in (None, None, Kept(0, tmp_path / "kept"), Kept(0, tmp_path / "kept")):
        assert len(read_tokens(tokenizer, TEXTS, 16, kept).ids) == len(TEXTS)
    assert len(calls) == 4
    assert not (tmp_path / "kept").exists()


def test_no_text_at_all(tokenizer, kept):
    assert read_tokens(tokenizer, [], 16, kept).ids == []
