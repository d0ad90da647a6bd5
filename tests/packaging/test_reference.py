import numpy as np
import pytest
from safetensors.numpy import save

from smallprint.core.errors import BundleError
from smallprint.packaging.reference import MOST, REFERENCE, build_reference, load_reference, save_reference

TEXTS = ["we may close your account", "hello you", "we may pay the court", "pay late"]


def test_saved_and_loaded_it_is_the_same(tmp_path):
    scores = np.array([[0.1, 0.9], [0.2, 0.3], [1e-4, 1.0], [0.5, 0.5]])
    made = build_reference(TEXTS, scores, ["b", None, "b", None], ["we may", "we pay"])
    save_reference(tmp_path, made)
    again = load_reference(tmp_path, 2)
    assert len(again) == 4
    assert again.groups.tolist() == [0, 1, 0, 2]
    np.testing.assert_array_equal(again.scores, scores.astype(np.float16))
    for name in ("lengths", "words", "rarity"):
        np.testing.assert_array_equal(getattr(again.numbers, name), getattr(made.numbers, name))
    np.testing.assert_array_equal(again.usual.of(made.usual.words), made.usual.bits)
    assert b"account" not in (tmp_path / REFERENCE).read_bytes()


def test_what_is_not_known_stays_so(tmp_path):
    save_reference(tmp_path, build_reference(TEXTS, np.zeros((4, 1)), [None] * 4, None))
    again = load_reference(tmp_path, 1)
    assert again.groups is None
    assert again.usual is None
    assert again.numbers.rarity is None
    assert load_reference(tmp_path / "nowhere", 1) is None


def test_of_many_a_choice_is_kept():
    made = build_reference(["text"] * (MOST + 5), np.zeros((MOST + 5, 1)), [None] * (MOST + 5), None)
    assert len(made) == len(made.numbers.lengths) == MOST


def test_damage_and_newer_versions_are_told(tmp_path):
    made = build_reference(TEXTS, np.zeros((4, 2)), [None] * 4, TEXTS)
    save_reference(tmp_path, made)
    with pytest.raises(BundleError, match="does not fit the model of 3 outputs"):
        load_reference(tmp_path, 3)
    arrays = {"scores": made.scores, "lengths": made.numbers.lengths, "words": made.numbers.words}
    (tmp_path / REFERENCE).write_bytes(save(arrays, {"version": "2"}))
    with pytest.raises(BundleError, match="of version 2"):
        load_reference(tmp_path, 2)
    rarity = {"rarity": made.numbers.rarity}
    (tmp_path / REFERENCE).write_bytes(save(arrays | rarity, {"version": "1"}))
    with pytest.raises(BundleError, match="does not fit"):
        load_reference(tmp_path, 2)
    (tmp_path / REFERENCE).write_bytes(b"rubbish")
    with pytest.raises(BundleError, match="cannot be read"):
        load_reference(tmp_path, 2)
