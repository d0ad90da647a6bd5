from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from smallprint.core.config import Config
from smallprint.core.errors import BundleError, DataError
from smallprint.core.settings import build_config
from smallprint.data.labels import LabelSet
from smallprint.inference.engine import Engine, load_engine
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.packaging.bundle import save_bundle

SETS = [
    LabelSet("binary", ["fair", "unfair"]),
    LabelSet("multiclass", ["a", "b", "c"]),
    LabelSet("multilabel", ["late", "rude", "broken"]),
]
TEXTS = [" ".join(["we may close your account without notice"] * (i % 5)) + f" {i}" for i in range(40)]


@pytest.fixture
def settings(tiny_backbone) -> Config:
    return build_config({"model": {"backbone": str(tiny_backbone), "max_length": 32}})


@pytest.fixture
def engine_of(settings):
    def make(labels: LabelSet = SETS[2], thresholds=None, **more) -> Engine:
        torch.manual_seed(3)
        rates = np.full(labels.n_outputs, 0.5)
        classifier = build_classifier(settings.model, labels.n_outputs, rates, labels.task).train()
        torch.nn.init.normal_(classifier.head.weight, std=0.5)
        thresholds = rates if thresholds is None else thresholds
        tokenizer = load_tokenizer(settings.model.backbone)
        return Engine(classifier, tokenizer, labels, thresholds, **{"max_length": 32, **more})

    return make


@pytest.mark.parametrize("labels", SETS)
def test_scores_are_those_of_one_text_at_a_time(engine_of, labels):
    engine = engine_of(labels)
    expected = []
    with torch.no_grad():
        for text in TEXTS:
            encoded = engine.tokenizer(text, truncation=True, max_length=32, return_tensors="pt")
            logits = engine.classifier(encoded["input_ids"], encoded["attention_mask"])[0]
            expected.append(
                (torch.softmax(logits, -1) if labels.task == "multiclass" else torch.sigmoid(logits)).numpy()
            )
    scores = engine.score(TEXTS)
    assert scores.dtype == np.float32
    assert scores.shape == (40, labels.n_outputs)
    np.testing.assert_allclose(scores, np.array(expected), atol=1e-5)
    assert np.ptp(scores, axis=0).max() > 0.01  # the order could be seen
    if labels.task == "multiclass":
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("batch_tokens", [16, 64, 8192])
def test_batches_change_nothing_and_keep_to_the_budget(engine_of, batch_tokens):
    engine = engine_of(batch_tokens=batch_tokens)
    seen = []
    forward = engine.classifier.forward
    engine.classifier.forward = lambda ids, mask: (seen.append(ids.shape), forward(ids, mask))[1]
    np.testing.assert_allclose(engine.score(TEXTS), engine_of().score(TEXTS), atol=1e-5)
    assert all(rows == 1 or rows * length <= batch_tokens for rows, length in seen)
    assert len(seen) < len(TEXTS)


def test_it_evaluates_without_dropout_or_gradients(engine_of):
    engine = engine_of()
    assert not any(module.training for module in engine.classifier.modules())
    np.testing.assert_array_equal(engine.score(TEXTS), engine.score(TEXTS))
    modes = []
    engine.classifier.head.register_forward_hook(lambda *_: modes.append(torch.is_inference_mode_enabled()))
    engine.score(["a"])
    assert modes == [True]
    assert engine.classifier.backbone.config._attn_implementation == "sdpa"
    assert {parameter.dtype for parameter in engine.classifier.parameters()} == {torch.float32}


@pytest.mark.parametrize("labels", SETS)
def test_no_texts(engine_of, labels):
    engine = engine_of(labels)
    assert engine.score([]).shape == (0, labels.n_outputs)
    answer = engine.predict([])
    assert answer.labels == []
    assert answer.scores.shape == (0, labels.n_outputs)


@pytest.mark.parametrize("labels", SETS)
def test_labels_follow_from_thresholds(engine_of, labels):
    engine = engine_of(labels)
    answer = engine.predict(TEXTS)
    assert answer.label_names == labels.score_names
    if labels.task == "multiclass":
        assert answer.labels == [[labels.names[i]] for i in answer.scores.argmax(axis=1)]
        return
    for thresholds, positive in ((np.zeros(labels.n_outputs), True), (np.ones(labels.n_outputs), False)):
        names = engine_of(labels, thresholds).predict(TEXTS).labels
        expected = labels.score_names if positive else labels.names[:1] if labels.task == "binary" else []
        assert names == [expected] * len(TEXTS)


@pytest.mark.parametrize("wrong", [None, 3, float("nan"), b"text", ["text"]])
def test_what_is_no_text_is_placed(engine_of, wrong):
    with pytest.raises(DataError, match="index 2"):
        engine_of().score(["a", "b", wrong, "c"])


def test_half_a_character_is_placed(engine_of):
    engine = engine_of()
    with pytest.raises(DataError, match="index 1"):
        engine.score(["é", "bad \ud800"])
    assert engine.score(["é 😀 \x00 \u200b"]).shape == (1, 3)


def test_a_single_string_is_not_taken_for_a_list(engine_of):
    with pytest.raises(DataError, match="One string"):
        engine_of().score("hello")


def test_cut_texts_are_counted(engine_of):
    engine = engine_of(max_length=8)
    engine.score(["hello", "we may close your account at any time", "we may close your account"])
    assert engine.n_truncated == 1
    engine.score(["a " * 50, "b"])
    assert engine.n_truncated == 2


def test_several_threads(engine_of):
    engine = engine_of()
    expected = engine.score(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(engine.score, [TEXTS] * 8):
            np.testing.assert_array_equal(scores, expected)


def test_an_engine_from_a_bundle(engine_of, settings, tmp_path):
    engine = engine_of(thresholds=np.array([0.4, 0.5, 0.6]))
    save_bundle(
        tmp_path / "b",
        classifier=engine.classifier,
        tokenizer=engine.tokenizer,
        labels=engine.labels,
        thresholds=engine.thresholds,
        config=settings,
        data={"fingerprints": {"train": "abc"}},
        metrics={},
    )
    loaded = load_engine(tmp_path / "b")
    np.testing.assert_array_equal(loaded.score(TEXTS), engine.score(TEXTS))
    assert loaded.predict(TEXTS).labels == engine.predict(TEXTS).labels
    assert (loaded.max_length, loaded.trained_on) == (32, "abc")
    assert loaded.config is not None
    assert loaded.config.model == settings.model
    with pytest.raises(BundleError):
        load_engine(tmp_path / "nothing")
