import numpy as np
import pytest

from smallprint.core.config import TfidfConfig
from smallprint.core.errors import DataError
from smallprint.modeling import linear
from smallprint.modeling.linear import LinearClassifier, fit_linear, scale

RNG = np.random.default_rng(0)
COLOURS = (("scarlet", "crimson"), ("leaf", "moss"), ("ocean", "sky"))


def table(task, n=120):
    ids = RNG.integers(0, 3, n)
    many = RNG.integers(0, 2, (n, 3))
    hits = {"multiclass": np.eye(3, dtype=int)[ids], "binary": np.eye(2, dtype=int)[ids % 2], "multilabel": many}[task]
    texts = [
        " ".join(["we may", *(COLOURS[k][RNG.integers(2)] for k in np.flatnonzero(row)), f"the {i % 7}"])
        for i, row in enumerate(hits)
    ]
    return texts, {"multiclass": ids, "binary": hits[:, 1:].astype(np.int8), "multilabel": many.astype(np.int8)}[task]


@pytest.mark.parametrize(("task", "n_outputs"), [("binary", 1), ("multiclass", 3), ("multilabel", 3)])
def test_it_learns(task, n_outputs):
    texts, targets = table(task)
    model = fit_linear(texts[:80], targets[:80], task, n_outputs)
    scores = model.score(texts[80:])
    assert scores.shape == (40, n_outputs)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    found = scores.argmax(1) if task == "multiclass" else scores >= 0.5
    assert (found == targets[80:]).mean() >= 0.95
    if task == "multiclass":
        assert scores.sum(axis=1) == pytest.approx(1)


def test_settings_decide_what_a_term_is_and_what_errors_cost():
    texts, targets = table("multilabel")

    def fit(**settings):
        return fit_linear(texts, targets, "multilabel", 3, settings=TfidfConfig(**settings))

    assert {part.analyzer: part.ngrams for part in fit().terms} == {"word": (1, 3), "char_wb": (2, 5)}
    assert [part.analyzer for part in fit(characters=0).terms] == ["word"]
    assert [(part.analyzer, part.ngrams) for part in fit(words=0, characters=3).terms] == [("char_wb", (2, 3))]
    assert np.abs(fit(cost=0.01).weights).sum() < np.abs(fit().weights).sum()
    assert not np.array_equal(fit(class_weights="none").weights, fit().weights)
    for wrong in ({"words": 0, "characters": 0}, {"characters": 1}, {"cost": 0}):
        with pytest.raises(ValueError, match="words|characters|greater than 0"):
            TfidfConfig(**wrong)


def test_the_same_from_its_state():
    texts, targets = table("multilabel")
    model = fit_linear(texts, targets, "multilabel", 3)
    again = LinearClassifier(model.task, model.terms, model.weights, model.bias, model.platt)
    assert np.array_equal(again.score(texts), model.score(texts))
    assert np.array_equal(fit_linear(texts, targets, "multilabel", 3).score(texts), model.score(texts))


def test_platt_is_fitted_on_margins_of_texts_held_out():
    """Every text has words of its own, so train's margins are far apart and those held out tell nothing."""
    texts = [f"{i}aa{i} {i}bb{i} {i}cc{i}" for i in range(60)]
    truth = (np.arange(60) % 3 == 0).astype(np.int8)[:, None]
    scores = fit_linear(texts, truth, "binary", 1).score(texts)
    assert np.abs(scores - truth.mean()).max() < 0.25, "labels that cannot be learned give unsure scores"


def test_labels_that_are_constant_or_rare():
    texts, targets = table("multilabel")
    targets[:, 0], targets[:, 1], targets[:, 2] = 0, 1, 0
    targets[3, 2] = 1
    scores = fit_linear(texts, targets, "multilabel", 3).score(texts)
    assert np.isfinite(scores).all()
    assert (scores[:, 0] < 0.5).all()
    assert (scores[:, 1] > 0.5).all()
    assert scores[3, 2] == scores[:, 2].max()


def test_no_texts():
    texts, targets = table("binary")
    assert fit_linear(texts, targets, "binary", 1).score([]).shape == (0, 1)


def test_scale_by_hand():
    scores = scale(np.array([[0.0, 2.0]]), np.array([[1.0, 0.0], [0.5, -1.0]]), "multilabel")
    assert scores[0].tolist() == pytest.approx([0.5, 0.5])
    assert np.isfinite(scale(np.array([[1e6, -1e6]]), np.tile([1.0, 0.0], (2, 1)), "multiclass")).all()


def test_many_texts_are_scored_in_chunks_with_the_same_bits(monkeypatch):
    texts, targets = table("multiclass")
    model = fit_linear(texts, targets, "multiclass", 3)
    whole, seen = model.score(texts), []
    features = linear._features
    monkeypatch.setattr(linear, "CHUNK", 7)
    monkeypatch.setattr(linear, "_features", lambda v, part: (seen.append(len(part)), features(v, part))[1])
    assert model.score(texts).tobytes() == whole.tobytes()
    assert seen == [7] * 17 + [1]


def test_scoring_multiplies_with_the_weights_as_they_lie():
    texts, targets = table("multilabel")
    model = fit_linear(texts, targets, "multilabel", 3)
    assert model.weights.T.flags.c_contiguous
    assert np.shares_memory(model.weights.T, model.weights)
    assert model.weights.dtype == np.float32


def test_margins_are_the_weighted_terms_and_the_bias():
    texts, targets = table("multilabel")
    model = fit_linear(texts, targets, "multilabel", 3)
    features = np.hstack([vectorizer.transform(texts).toarray() for vectorizer in model._vectorizers])
    np.testing.assert_allclose(model.margins(texts), features @ model.weights.T.astype(float) + model.bias, atol=1e-5)


def test_texts_without_words_are_told_apart_by_their_characters():
    texts = ["a b", "a c", "b a", "c a"] * 10
    model = fit_linear(texts, np.array([[0], [1], [0], [1]] * 10), "binary", 1)
    assert [part.analyzer for part in model.terms] == ["char_wb"]
    assert (model.score(texts)[:, 0] > 0.5).tolist() == [False, True, False, True] * 10


def test_texts_without_any_term(monkeypatch):
    with pytest.raises(DataError, match="No term"):
        fit_linear(["", ""], np.array([[0], [1]]), "binary", 1)


@pytest.mark.parametrize("rare", [1, 0])
def test_one_example_of_a_kind_is_no_traceback(rare):
    texts = [f"text number {i} about w{i % 7}" for i in range(40)]
    targets = np.full((40, 1), 1 - rare, dtype=np.int8)
    targets[3] = rare
    assert np.isfinite(fit_linear(texts, targets, "binary", 1).score(texts)).all()


def test_platt_never_turns_the_ranking_round():
    rng = np.random.default_rng(0)
    for _ in range(6):
        texts = [" ".join(rng.choice([f"w{j}" for j in range(300)], 12)) for _ in range(40)]
        targets = np.zeros((40, 1), dtype=np.int8)
        targets[rng.choice(40, 6, replace=False)] = 1
        assert (fit_linear(texts, targets, "binary", 1).platt[:, 0] > 0).all()
