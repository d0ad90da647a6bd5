"""A static model: one row a word gives what the whole plane would, whatever else is scored beside; unknown words by their parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallprint.core.config import StaticConfig
from smallprint.core.errors import DataError
from smallprint.modeling import linear, static
from smallprint.modeling.linear import fit_plane
from smallprint.modeling.plain_text import plain_words, word_list
from smallprint.modeling.static_fit import fit_static

RNG = np.random.default_rng(0)
COLOURS = (("scarlet", "crimson"), ("leaf", "moss"), ("ocean", "sky"))


def table(task, n=120):
    ids, many = RNG.integers(0, 3, n), RNG.integers(0, 2, (n, 3))
    hits = {"multiclass": np.eye(3, dtype=int)[ids], "binary": np.eye(2, dtype=int)[ids % 2], "multilabel": many}[task]
    texts = [
        " ".join(["we may", *(COLOURS[k][RNG.integers(2)] for k in np.flatnonzero(row)), f"the {i % 7}"])
        for i, row in enumerate(hits)
    ]
    return texts, {"multiclass": ids, "binary": hits[:, 1:].astype(np.int8), "multilabel": many.astype(np.int8)}[task]


@pytest.fixture(scope="module")
def fitted():
    texts, targets = table("multilabel")
    return fit_static(texts, targets, "multilabel", 3), texts


@pytest.mark.parametrize(("task", "n_outputs"), [("binary", 1), ("multiclass", 3), ("multilabel", 3)])
def test_it_learns(task, n_outputs):
    texts, targets = table(task)
    model = fit_static(texts[:80], targets[:80], task, n_outputs)
    scores = model.score(texts[80:])
    assert (scores.shape, scores.dtype) == ((40, n_outputs), np.float32)
    found = scores.argmax(1) if task == "multiclass" else scores >= 0.5
    assert (found == targets[80:]).mean() >= 0.95
    if task == "multiclass":
        assert scores.sum(axis=1) == pytest.approx(1)


def test_rows_add_up_to_the_planes_margins(monkeypatch):
    """The tables are another way of writing the plane: on training texts both give the same."""
    planes = []

    def seen(features, truth, seed, settings):
        plane = fit_plane(features, truth, seed, settings)
        if features.shape[0] == 120:
            planes.append(features @ plane[0] + plane[1])
        return plane

    monkeypatch.setattr(linear, "fit_plane", seen)
    texts, targets = table("multilabel")

    def vectors_of(words):
        more = ["zebra", "river"]
        return more, np.random.default_rng(1).normal(size=(len(words) + 2, 5))

    model = fit_static(texts, targets, "multilabel", 3, vectors_of=vectors_of)
    assert np.allclose(model.margins(texts), np.array(planes).T, atol=1e-4)
    assert {"zebra", "river"} <= set(model.tables.words)
    assert not model.tables.own[model.tables.words.index("zebra")].any()


def test_a_text_scores_the_same_alone_and_among_others(fitted, monkeypatch):
    model, texts = fitted
    texts = [*texts, "", "  ", "moss " * 50, "quite unknown words here"]
    whole = model.score(texts)
    monkeypatch.setattr(static, "CHUNK_WORDS", 7)
    assert np.array_equal(model.score(texts), whole)
    assert np.array_equal(np.vstack([model.score([text]) for text in texts]), whole)
    assert np.array_equal(whole[-4], whole[-3])  # no word in either


def test_pairs_do_not_reach_from_one_text_into_the_next(fitted):
    model, _ = fitted
    assert np.array_equal(model.score(["we", "may"]), np.vstack([model.score(["we"]), model.score(["may"])]))
    assert not np.allclose(model.margins(["we may"]), model.margins(["may we"]))


def test_an_unknown_word_is_read_by_its_parts(fitted):
    model, _ = fitted
    near, far = model.margins(["scarlets", "qqqq"])
    assert near[0] > far[0] + 0.2
    assert np.array_equal(far, model.bias)


def test_what_is_remembered_of_unknown_words_is_bounded(fitted, monkeypatch):
    model, _ = fitted
    monkeypatch.setattr(static, "REMEMBERED", 10)
    texts = [f"scarlet{i}" for i in range(50)]
    first = model.score(texts)
    assert len(model._seen) <= 10
    assert np.array_equal(model.score(texts), first)


def test_settings_and_one_seed():
    texts, targets = table("multilabel")

    def fit(**settings):
        return fit_static(texts, targets, "multilabel", 3, settings=StaticConfig(**settings))

    assert np.array_equal(fit().score(texts), fit().score(texts))
    assert np.abs(fit(cost=0.01).tables.own).sum() < np.abs(fit().tables.own).sum()
    assert not np.array_equal(fit(class_weights="none").tables.own, fit().tables.own)


def test_an_output_without_positives_and_texts_without_words():
    texts, targets = table("multilabel")
    targets[:, 1] = 0
    assert (fit_static(texts, targets, "multilabel", 3).score(texts)[:, 1] < 0.5).all()
    assert fit_static(["red", "blue"] * 20, np.array([0, 1] * 20), "multiclass", 2).score(["red"])[0, 0] > 0.5
    with pytest.raises(DataError, match="No word"):
        fit_static(["...", "!"], np.array([0, 1]), "multiclass", 2)


@given(st.text(alphabet=" abn't'`’-lrbé$%.½_5\u2028", max_size=30) | st.text(max_size=20))
def test_words_are_those_that_are_joined(text):
    assert word_list(text) == plain_words(text).split()
