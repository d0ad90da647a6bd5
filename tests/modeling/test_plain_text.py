"""Tokenised and natural spelling of a clause become the same words, and a linear model scores them the same."""

from __future__ import annotations

import numpy as np
import pytest

from smallprint.modeling.linear import fit_linear
from smallprint.modeling.plain_text import plain_words

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
