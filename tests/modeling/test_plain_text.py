"""Tokenised and natural spelling of a clause become the same words, and a linear model scores them the same."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallprint.modeling import plain_text
from smallprint.modeling.linear import fit_linear
from smallprint.modeling.plain_text import plain_words, word_list

PAIRS = [
    ("you do n't agree ( `` terms '' ) .", 'You don\u2019t agree ("Terms").'),
    ("academia , inc. ( `` we '' ) offers a service", "Academia, Inc. (\u201cwe\u201d) offers a service"),
    ("the company 's sole discretion ; you 'll be notified", "The Company's sole discretion; you\u2019ll be notified"),
    ("pay $ 5 or 10 % -lrb- if due -rrb- .", "pay $ 5 or 10 % (if due)."),
    ("e-mail us at any time : 24/7 !", "E-mail us at any time: 24/7!"),
]


@pytest.mark.parametrize(("tokenised", "natural"), PAIRS)
def test_both_spellings_are_the_same_words(tokenised, natural):
    assert plain_words(tokenised) == plain_words(natural)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't!", "don't"),
        ("the users' 'own' data", "the users own data"),
        ("Größe: 5€", "größe 5€"),
        ("", ""),
        (" ... ", ""),
    ],
)
def test_what_is_left(text, words):
    assert plain_words(text) == words


def test_a_linear_model_answers_the_same_to_both():
    texts = [tokenised for tokenised, _ in PAIRS] * 4
    targets = np.array([[1], [0], [1], [0], [1]] * 4, dtype=np.int8)
    model = fit_linear(texts, targets, "binary", 1)
    natural = model.score([text for _, text in PAIRS])
    assert np.array_equal(model.score(texts[:5]), natural)


@given(st.text(st.sampled_from("a n't'sve\n\u2019\u00a0`-lrb.")))
def test_contractions_are_joined_as_by_the_plain_pattern(text):
    plain = re.compile(r"\s+(n't|'(?:s|re|ve|ll|d|m)\b)")
    assert plain_text._CONTRACTION.sub(r"\1", text) == plain.sub(r"\1", text)


@pytest.mark.parametrize("part", [" ", "\u00a0", "\n", "'", "`", "-", "-l", ".", "[", "(", "a", "a'", " '", " n'", "$"])
def test_long_runs_take_no_longer_than_their_length(part):
    began = time.process_time()
    for read in (plain_words, word_list):
        read(f"a'{part * 50_000}a")
    assert time.process_time() - began < 5, "a pattern goes over the same characters again and again"
