"""A kernel SVM over stored vectors: what it learns, that it is scikit-learn's, and that it knows nothing of other examples."""

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from smallprint.core.config import SvmConfig
from smallprint.core.errors import DataError
from smallprint.modeling import kernel_head
from smallprint.modeling.kernel_head import KernelHead, fit_kernel_head, squared_distances, unit_blocks, unit_distances


@pytest.fixture(scope="module")
def rings():
    """Two labels that no plane separates: near the first axis of either block, whatever its sign."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    unit = vectors.reshape(300, 2, 4) / np.linalg.norm(vectors.reshape(300, 2, 4), axis=2, keepdims=True)
    return torch.from_numpy(vectors), (np.abs(unit[:, :, 0]) > 0.6).astype(np.int8)


def test_it_learns_what_no_plane_separates(rings):
    vectors, targets = rings
    head = fit_kernel_head(vectors[:200], targets[:200], "multilabel", 2, blocks=2)
    decided = head(vectors[200:]).sigmoid().numpy() > 0.5
    assert (decided == targets[200:]).mean() > 0.85


def test_margins_are_those_of_scikit_learn(rings):
    vectors, targets = rings
    head = fit_kernel_head(vectors, targets, "multilabel", 2, blocks=2)
    unit = unit_blocks(vectors, 2)
    gamma = 1.5 / squared_distances(unit, unit).double().mean().item()
    peer = SVC(C=5.0, gamma=gamma, class_weight="balanced").fit(unit.double().numpy(), targets[:, 0])
    margins = (head(vectors)[:, 0] - head.platt[0, 1]) / head.platt[0, 0]
    assert np.allclose(margins.numpy(), peer.decision_function(unit.double().numpy()), atol=2e-3)
    other = fit_kernel_head(vectors, targets, "multilabel", 2, blocks=2, settings=SvmConfig(cost=0.2, spread=3.0))
    assert float(other.gamma) == pytest.approx(2 * gamma, rel=1e-5)
    assert not np.allclose(other.weight.abs().max(), head.weight.abs().max())


def test_by_order_no_scaling_is_fitted_and_each_label_is_ranked_alike(rings, monkeypatch):
    vectors, targets = rings
    whole = fit_kernel_head(vectors[:200], targets[:200], "multilabel", 2, blocks=2)(vectors[200:]).numpy()
    near = unit_distances(vectors[:200], 2)
    with monkeypatch.context() as patch:
        patch.setattr(kernel_head, "fit_platt", lambda *_: pytest.fail("was scaled"))
        patch.setattr(kernel_head, "unit_distances", lambda *_: pytest.fail("was measured again"))
        head = fit_kernel_head(vectors[:200], targets[:200], "multilabel", 2, blocks=2, distances=near, by_order=True)
    for label, scores in enumerate(head(vectors[200:]).numpy().T):
        assert np.array_equal(np.argsort(scores), np.argsort(whole[:, label]))
    # of exclusive labels the scaling changes which is highest, and stays
    ids = (targets[:, 0] + targets[:, 0] * targets[:, 1]).astype(np.int64)
    one, other = (
        fit_kernel_head(vectors, ids, "multiclass", 3, blocks=2, by_order=k).state_dict() for k in (True, False)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_each_block_counts_alike_whatever_its_length():
    vectors = torch.tensor([[3.0, 4.0, 0.0, 100.0]])
    assert torch.allclose(unit_blocks(vectors, 2), torch.tensor([[0.6, 0.8, 0.0, 1.0]]) / 2**0.5)
    assert torch.equal(unit_blocks(torch.zeros(1, 4), 2), torch.zeros(1, 4))


def test_scores_of_exclusive_labels_add_up_to_one(rings):
    vectors, targets = rings
    ids = targets[:, 0] + targets[:, 0] * targets[:, 1]
    head = fit_kernel_head(vectors, ids.astype(np.int64), "multiclass", 3, blocks=2)
    scores = head(vectors).softmax(dim=1)
    assert torch.allclose(scores.sum(dim=1), torch.ones(len(scores)))
    assert (scores.argmax(dim=1).numpy() == ids).mean() > 0.9


def test_a_label_that_never_changes_has_a_score_to_match(rings):
    vectors, targets = rings
    none, every = np.zeros_like(targets[:, :1]), np.ones_like(targets[:, :1])
    scores = fit_kernel_head(vectors, np.hstack([targets, none, every]), "multilabel", 4, blocks=2)(vectors).sigmoid()
    assert (scores[:, 2] < 0.5).all()
    assert (scores[:, 3] > 0.5).all()


def test_only_support_vectors_are_kept(rings):
    vectors, targets = rings
    head = fit_kernel_head(vectors, targets[:, :1], "binary", 1, blocks=2)
    assert 0 < len(head.support) < len(vectors)
    assert head.weight.abs().amax(dim=0).min() > 0


def test_one_seed_gives_the_same_bits(rings):
    first, second = (fit_kernel_head(*rings, "multilabel", 2, blocks=2, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_more_texts_than_memory_allows_are_refused(rings, monkeypatch):
    monkeypatch.setattr(kernel_head, "MOST_TEXTS", 299)
    with pytest.raises(DataError, match="300 training texts are too many"):
        fit_kernel_head(*rings, "multilabel", 2)


def test_it_is_rebuilt_from_its_weights(rings):
    head = fit_kernel_head(*rings, "multilabel", 2, blocks=2)
    twin = KernelHead(8, 2, len(head.support), blocks=2)
    twin.load_state_dict(head.state_dict())
    assert torch.equal(twin(rings[0]), head(rings[0]))
