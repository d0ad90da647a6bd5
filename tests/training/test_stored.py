"""A frozen encoder reads each text once, and the head learns what it would have learned from reading it every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smallprint.training.stored import StoredVectors, VectorDataset, store_vectors


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
