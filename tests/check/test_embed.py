import numpy as np
import pytest

from smallprint.check import embed
from smallprint.check.embed import embed_texts

TEXTS = [
    "we may end the contract at any time",
    "you may cancel",
    "the laws of france apply",
    "content may be removed",
] * 6


def cosines(vectors):
    return np.einsum("lnd,lmd->nm", vectors, vectors) / len(vectors)


@pytest.fixture(scope="module")
def alone():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        return embed_texts(TEXTS, bfloat16=False)


def test_unit_vectors_of_three_layers(alone):
    assert alone.shape == (3, len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(alone, axis=-1), 1, atol=1e-5)
    whole = cosines(alone)
    assert np.allclose(whole[0, 4::4], 1, atol=1e-5)
    assert whole[0, 1] > whole[0, 2]


def test_several_workers_give_the_same_and_put_the_number_of_threads_back(alone, monkeypatch):
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(embed, "BATCH_TOKENS", 64)
    before = torch.get_num_threads()
    assert np.allclose(embed_texts(TEXTS, bfloat16=False), alone, atol=1e-4)
    assert torch.get_num_threads() == before


def test_bfloat16_moves_cosines_by_little(alone):
    assert np.abs(cosines(embed_texts(TEXTS, bfloat16=True)) - cosines(alone)).max() < 0.005


def test_an_error_in_a_worker_is_told(monkeypatch):
    monkeypatch.setattr(embed, "LAYERS", (99,))
    with pytest.raises(IndexError):
        embed_texts(TEXTS[:2])
