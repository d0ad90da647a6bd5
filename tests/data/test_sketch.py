import numpy as np
import pytest

from smallprint.data.sketch import PLACES, count_words, number_texts

TEXTS = ["We may close your account.", "We may change the terms.", "You may leave, Zarathustra."]


def test_rare_words_have_more_bits_and_words_of_one_text_are_not_stored():
    usual = count_words(TEXTS)
    assert len(usual.words) == 2  # we, may
    numbers = number_texts(["may", "we", "Zarathustra", "never seen", "..."], usual)
    assert numbers.rarity[0] == pytest.approx(np.log2(14 / 3), abs=1e-4)
    assert numbers.rarity[0] < numbers.rarity[1] < numbers.rarity[2]
    assert numbers.rarity[2] == numbers.rarity[3] == pytest.approx(usual.other)
    assert numbers.rarity[4] == 0


def test_the_sketch_tells_texts_apart_and_not_their_case_or_order():
    numbers = number_texts(["we may pay", "PAY, may we!", "bonjour tout le monde", ""])
    assert numbers.words.shape == (4, PLACES)
    assert numbers.words.dtype == np.int8
    assert (numbers.words[0] == numbers.words[1]).all()
    rows = numbers.words.astype(float)
    assert rows[0] @ rows[0] == pytest.approx(127**2, rel=0.05)
    assert rows[0] @ rows[2] < 0.5 * 127**2
    assert not rows[3].any()
    assert numbers.lengths.tolist() == [10, 12, 21, 0]
    assert numbers.rarity is None


def test_no_words_at_all():
    assert number_texts(["?", "word"], count_words(["!!", ""])).rarity.tolist() == [0, 1]
    assert number_texts([], None).words.shape == (0, PLACES)
