"""Vectors of a frozen encoder are found again by text and weights, in whatever order and company."""

import numpy as np
import pytest
import torch

from smallprint.core.kept import Kept
from smallprint.modeling import kept_vectors
from smallprint.modeling.backbone import load_backbone
from smallprint.modeling.kept_vectors import VectorFiles, weights_digest

TEXTS = [bytes([n]) * (n + 1) for n in range(5)]
VECTORS = torch.arange(20, dtype=torch.float32).reshape(5, 4)


@pytest.fixture
def kept(tmp_path):
    return Kept(10, tmp_path / "kept")


def found(files, texts, layers=(None,)):
    return {(layer, text): vector.tolist() for layer, text, vector in files.find(texts, layers)}


def test_texts_are_found_one_by_one_across_files(kept):
    files = VectorFiles(kept, "one")
    files.add(TEXTS[:3], {None: VECTORS[:3]})
    files.add(TEXTS[3:], {None: VECTORS[3:]})
    asked = [TEXTS[4], b"new", TEXTS[1]]
    assert found(VectorFiles(kept, "one"), asked) == {
        (None, TEXTS[4]): VECTORS[4].tolist(),
        (None, TEXTS[1]): VECTORS[1].tolist(),
    }
    assert found(VectorFiles(kept, "another"), asked) == {}


def test_another_release_reads_anew(kept, monkeypatch):
    VectorFiles(kept, "one").add(TEXTS, {None: VECTORS})
    monkeypatch.setattr(kept_vectors, "__version__", "another")
    assert found(VectorFiles(kept, "one"), TEXTS) == {}


def test_layers_stand_beside_each_other(kept):
    files = VectorFiles(kept, "one")
    files.add(TEXTS, {2: VECTORS, 4: -VECTORS})
    assert found(files, TEXTS[:1], [4, 6]) == {(4, TEXTS[0]): (-VECTORS[0]).tolist()}
    files.add(TEXTS, {6: VECTORS + 1})
    assert len(found(files, TEXTS, [2, 4, 6])) == 15


def test_a_damaged_file_is_passed_over(kept):
    files = VectorFiles(kept, "one")
    files.add(TEXTS[:3], {None: VECTORS[:3]})
    (path,) = kept.folder.glob("*.safetensors")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))
    files.add(TEXTS[3:], {None: VECTORS[3:]})
    assert set(found(files, TEXTS)) == {(None, TEXTS[3]), (None, TEXTS[4])}
    files.add(TEXTS[:3], {None: VECTORS[:3]})
    assert len(found(files, TEXTS)) == 5


def test_an_encoder_is_known_by_its_weights(tiny_backbone):
    one, other = load_backbone(str(tiny_backbone)), load_backbone(str(tiny_backbone))
    assert weights_digest(one) == weights_digest(other)
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    assert weights_digest(one) != weights_digest(other)
    assert weights_digest(torch.nn.Linear(2, 2, bias=False)) != weights_digest(one)


def test_no_pickle_lies_there(kept):
    VectorFiles(kept, "one").add(TEXTS, {None: VECTORS})
    for path in kept.folder.iterdir():
        assert path.suffix == ".safetensors"
        with pytest.raises(ValueError, match=r"pickle|magic|Cannot load|header"):
            np.load(path, allow_pickle=False)
