"""What is frozen reads each text once, and what is trained learns what it would have learned from reading it every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smallprint.core.config import Config
from smallprint.core.parts import Parts
from smallprint.training.datamodule import TokenDataset
from smallprint.training.stored import StoredVectors, VectorDataset, store_hidden, store_vectors


def frozen(toy):
    config = toy.config()
    classifier = toy.classifier(config)
    classifier.frozen = True
    return classifier, toy.data(config)


def test_stored_vectors_give_the_logits_of_reading_the_text(toy):
    classifier, data = frozen(toy)
    over_vectors, stored = store_vectors(classifier, data)
    over_vectors.eval()
    seen = np.zeros(len(data.validation_set), dtype=bool)
    with torch.no_grad():
        for batch in stored.val_dataloader():
            tokens = data.validation_set.collate(data.pad_id, batch["index"].tolist())
            expected = classifier(tokens["input_ids"], tokens["attention_mask"])
            ours = over_vectors(batch["input_ids"], batch["attention_mask"])
            assert torch.allclose(ours, expected, atol=1e-5)
            assert torch.equal(batch["targets"], tokens["targets"])
            seen[batch["index"].numpy()] = True
    assert seen.all()


def test_the_head_is_the_same_object(toy):
    classifier, data = frozen(toy)
    over_vectors, _ = store_vectors(classifier, data)
    assert over_vectors.head is classifier.head
    assert not list(over_vectors.backbone.parameters())


def test_training_reads_no_text_again(toy, tmp_path, monkeypatch):
    from smallprint.modeling.losses import build_loss
    from smallprint.training.fit import fit_classifier

    classifier, data = frozen(toy)
    over_vectors, stored = store_vectors(classifier, data)
    monkeypatch.setattr(type(classifier.backbone), "forward", None)
    before = {name: tensor.clone() for name, tensor in classifier.head.state_dict().items()}
    fit_classifier(over_vectors, stored, build_loss("auto", "multilabel"), "multilabel", toy.config(), tmp_path)
    assert any(not torch.equal(before[name], tensor) for name, tensor in classifier.head.state_dict().items())


@pytest.mark.parametrize("n", [1, 5])
def test_batches_look_like_those_of_tokens(n):
    dataset = VectorDataset(torch.arange(10.0).reshape(5, 2), np.zeros((5, 3), dtype=np.int8))
    batch = dataset.collate(0, list(range(n)))
    assert batch["input_ids"].shape == (n, 1, 2)
    assert batch["attention_mask"].tolist() == [[1]] * n
    assert torch.equal(StoredVectors()(batch["input_ids"], batch["attention_mask"]), batch["input_ids"])


def test_equal_texts_are_read_once_and_only_what_is_new(toy, monkeypatch):
    from smallprint.training import stored

    classifier, data = frozen(toy)
    read: list[int] = []

    def counted(classifier, dataset, data):
        read.append(len(dataset))
        return real(classifier, dataset, data)

    real = stored.read_vectors
    monkeypatch.setattr(stored, "read_vectors", counted)
    cache, ids = stored.VectorCache(), data.train_set.ids
    twice = TokenDataset([*ids[:3], ids[0]], data.train_set.targets[[0, 1, 2, 0]])
    vectors = cache.read("toy", classifier, twice, data)
    assert read == [3]
    assert torch.equal(vectors[0], vectors[3])
    assert torch.allclose(cache.read("toy", classifier, data.train_set, data), real(classifier, data.train_set, data))
    assert read == [3, len(data.train_set) - 3]
    cache.read("toy", classifier, twice, data)
    assert len(read) == 2
    cache.read("another", classifier, twice, data)
    assert read[2:] == [3]


def test_another_process_reads_from_the_disk_what_this_one_read(toy, tmp_path, monkeypatch):
    from smallprint.core.kept import Kept
    from smallprint.training import stored

    classifier, data = frozen(toy)
    read: list[int] = []
    real = stored.read_vectors
    monkeypatch.setattr(stored, "read_vectors", lambda *given: (read.append(len(given[1])), real(*given))[1])
    kept, whole = Kept(10, tmp_path), data.train_set
    distinct = len({row.tobytes() for row in whole.ids})
    first = stored.VectorCache().read("toy", classifier, whole, data, kept)
    some = TokenDataset(whole.ids[::-1][:7], whole.targets[::-1][:7])
    assert torch.equal(stored.VectorCache().read("toy", classifier, some, data, kept), first.flip(0)[:7])
    assert torch.equal(stored.VectorCache().read("toy", classifier, whole, data, kept), first)
    assert read == [distinct]
    with torch.no_grad():
        next(classifier.backbone.parameters()).view(-1)[0] += 1
    stored.VectorCache().read("toy", classifier, whole, data, kept)
    assert read == [distinct] * 2
    stored.VectorCache().read("toy", classifier, whole, data, Kept(0, tmp_path))
    assert read == [distinct] * 3


def test_weights_are_looked_through_once_for_all_splits(toy, tmp_path, monkeypatch):
    from smallprint.core.kept import Kept
    from smallprint.training import stored

    classifier, data = frozen(toy)
    looked, real = [], stored.weights_digest
    monkeypatch.setattr(stored, "weights_digest", lambda backbone: (looked.append(backbone), real(backbone))[1])
    cache, kept = stored.VectorCache(), Kept(10, tmp_path)
    for part in (data.train_set, data.validation_set):
        cache.read("toy", classifier, part, data, kept)
    assert looked == [classifier.backbone]
    other, _ = frozen(toy)
    cache.read("another", other, data.train_set, data, kept)
    assert looked == [classifier.backbone, other.backbone]


def test_layers_that_are_foreseen_are_read_with_the_first(toy, tiny_backbone, monkeypatch):
    from smallprint.modeling.backbone import load_backbone
    from smallprint.modeling.classifier import build_classifier
    from smallprint.training import stored

    model, data = Config(model={"adapter": "frozen"}).model, toy.data(toy.config())
    parts = Parts(backbone=load_backbone(str(tiny_backbone)))
    classifier = build_classifier(model, 3, np.full(3, 0.5), "multilabel", parts)
    real, read = stored.read_vectors, []
    monkeypatch.setattr(stored, "read_vectors", lambda *given: (read.append(given[0].layers), real(*given))[1])
    cache = stored.VectorCache(foreseen=[1, 2])
    for layers in ((2,), (1, 2), (1,)):
        classifier.layers = layers
        vectors = cache.read("toy", classifier, data.train_set, data)
        assert classifier.layers == layers
        assert torch.allclose(vectors, real(classifier, data.train_set, data), atol=1e-6)
    assert read == [(1, 2)]
    classifier.layers = (0,)
    cache.read("toy", classifier, data.train_set, data)
    assert read[1:] == [(0, 1, 2)]


def test_distances_of_the_last_few_sets_of_layers_are_kept(monkeypatch):
    from smallprint.training import stored

    measured, real = [], stored.unit_distances
    monkeypatch.setattr(stored, "unit_distances", lambda *given: (measured.append(given[1]), real(*given))[1])
    monkeypatch.setattr(stored, "MOST_DISTANCE_BYTES", 2 * 4 * 100)
    one, other, third = (torch.rand(10, 4) for _ in range(3))
    assert stored.VectorCache().distances(one, 1) is None  # a training has no use for them twice
    cache = stored.VectorCache(scoring=True)
    for vectors, blocks in ((one, 1), (other, 1), (one, 1), (one.clone(), 1)):
        assert torch.equal(cache.distances(vectors, blocks), real(vectors, blocks))
    assert measured == [1, 1]
    cache.distances(third, 1)  # the least lately used makes place
    cache.distances(one, 1)
    assert measured == [1, 1, 1]
    cache.distances(other, 1)
    cache.distances(other, 2)
    assert measured == [1, 1, 1, 1, 2]
    assert cache.distances(torch.rand(20, 4), 1) is None  # larger than all that may be kept


@pytest.fixture
def partly(toy, tiny_backbone):
    """Gives a classifier of which the last of two layers is trained, and toy tokens."""
    from smallprint.modeling.backbone import load_backbone
    from smallprint.modeling.classifier import build_classifier

    model = Config(model={"train_layers": 1, "dropout": 0.0}).model

    def make():
        torch.manual_seed(0)
        backbone = load_backbone(str(tiny_backbone))
        return build_classifier(model, 3, np.full(3, 0.5), "multilabel", Parts(backbone=backbone))

    return make, toy.data(toy.config())


def test_stored_states_give_the_logits_of_reading_the_text(partly):
    make, data = partly
    classifier = make()
    upper, stored = store_hidden(classifier, data, 1, "fp32")
    upper.eval()
    with torch.no_grad():
        for batch in stored.val_dataloader():
            tokens = data.validation_set.collate(data.pad_id, batch["index"].tolist())
            expected = classifier(tokens["input_ids"], tokens["attention_mask"])
            assert torch.allclose(upper(batch["input_ids"], batch["attention_mask"]), expected, atol=1e-5)
            assert torch.equal(batch["targets"], tokens["targets"])
    assert [batch.tolist() for batch in stored.train_sampler.plan(0)] == [
        b.tolist() for b in data.train_sampler.plan(0)
    ]


def test_training_over_stored_states_trains_the_upper_layers_alone(partly, toy, tmp_path):
    from smallprint.modeling.losses import build_loss
    from smallprint.training.fit import fit_classifier

    make, data = partly
    classifier = make()
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    upper, stored = store_hidden(classifier, data, 1, "fp32")
    fit_classifier(upper, stored, build_loss("auto", "multilabel"), "multilabel", toy.config(), tmp_path)
    moved = {name for name, tensor in classifier.state_dict().items() if not torch.equal(before[name], tensor)}
    assert {name.split(".")[0] for name in moved} == {"backbone", "head"}
    assert all("layer.1." in name for name in moved if name.startswith("backbone"))


def test_what_would_not_fit_into_memory_is_read_anew(partly, monkeypatch):
    from smallprint.training import stored

    monkeypatch.setattr(stored, "MOST_BYTES", 10)
    make, data = partly
    classifier, lines = make(), []
    assert store_hidden(classifier, data, 1, "fp32", say=lines.append) == (classifier, data)
    assert "read anew each epoch" in lines[0]


def test_states_that_are_known_are_not_read_again(partly, monkeypatch):
    from smallprint.training import stored
    from smallprint.training.stored import VectorCache

    make, data = partly
    cache, read = VectorCache(), []
    inner = stored._read
    monkeypatch.setattr(stored, "_read", lambda *given: read.append(len(given[2])) or inner(*given))
    first = store_hidden(make(), data, 1, "fp32", cache.hidden("one"))[1]
    again = store_hidden(make(), data, 1, "fp32", cache.hidden("one"))[1]
    texts = {row.tobytes() for part in (data.train_set, data.validation_set) for row in part.ids}
    assert read == [len(texts), 0]
    for one, other in ((first.train_set, again.train_set), (first.validation_set, again.validation_set)):
        assert all(torch.equal(a, b) for a, b in zip(one.hidden, other.hidden, strict=True))
    store_hidden(make(), data, 1, "fp32", cache.hidden("another"))
    assert read == [len(texts), 0, len(texts)]


def test_known_states_of_other_texts_are_let_go_where_memory_would_not_do(partly, monkeypatch):
    from smallprint.training import stored

    make, data = partly
    known = {b"other": torch.zeros(100, 100)}
    store_hidden(make(), data, 1, "fp32", known)
    assert b"other" in known
    monkeypatch.setattr(stored, "MOST_BYTES", sum(states.nbytes for states in known.values()) - 1)
    store_hidden(make(), data, 1, "fp32", known)
    assert b"other" not in known
    assert known
