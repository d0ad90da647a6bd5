import numpy as np
import pytest

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


def test_the_same_from_its_state():
    texts, targets = table("multilabel")
    model = fit_linear(texts, targets, "multilabel", 3)
    again = LinearClassifier(model.task, model.terms, model.weights, model.bias, model.platt)
    assert np.array_equal(again.score(texts), model.score(texts))
    assert np.array_equal(fit_linear(texts, targets, "multilabel", 3).score(texts), model.score(texts))


def test_platt_is_fitted_on_margins_of_texts_held_out(monkeypatch):
    texts, targets = table("binary")
    noise = RNG.permutation(targets)
    model = fit_linear(texts, noise, "binary", 1)
    scores = model.score(texts)
    assert abs(float(scores.mean()) - noise.mean()) < 0.15, "labels that cannot be learned give unsure scores"
    assert float(scores.max()) < 0.95


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
