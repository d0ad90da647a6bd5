import numpy as np
import pytest
import torch

from smallprint.core.config import Config
from smallprint.core.errors import BundleError, DataError
from smallprint.core.settings import build_config
from smallprint.data.labels import LabelSet
from smallprint.evaluation.calibration import Calibration
from smallprint.inference.engine import Engine, load_engine
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.linear import fit_linear
from smallprint.packaging.bundle import save_bundle

SETS = [
    LabelSet("binary", ["fair", "unfair"]),
    LabelSet("multiclass", ["a", "b", "c"]),
    LabelSet("multilabel", ["late", "rude", "broken"]),
]
TEXTS = [" ".join(["we may close your account without notice"] * (i % 5)) + f" {i}" for i in range(40)]
TARGETS = {
    "binary": np.arange(40)[:, None] % 2,
    "multiclass": np.arange(40) % 3,
    "multilabel": np.arange(40)[:, None] // np.array([1, 2, 4]) % 2,
}


@pytest.fixture
def settings(tiny_backbone) -> Config:
    return build_config({"model": {"backbone": str(tiny_backbone), "max_length": 32}})


@pytest.fixture(params=["encoder", "linear"])
def engine_of(settings, request):
    def scorer_of(labels: LabelSet):
        if request.param == "linear":
            return fit_linear(TEXTS, TARGETS[labels.task], labels.task, labels.n_outputs)
        torch.manual_seed(3)
        classifier = build_classifier(settings.model, labels.n_outputs, np.full(labels.n_outputs, 0.5), labels.task)
        torch.nn.init.normal_(classifier.head.weight, std=0.5)
        tokenizer = load_tokenizer(settings.model.backbone)
        return EncoderScorer(classifier, tokenizer, labels.task, labels.n_outputs, max_length=32)

    def make(labels: LabelSet = SETS[2], thresholds=None) -> Engine:
        return Engine(scorer_of(labels), labels, np.full(labels.n_outputs, 0.5) if thresholds is None else thresholds)

    return make


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


def test_what_is_cut_is_the_scorers_to_say(engine_of):
    engine = engine_of()
    engine.score(["we may close your account at any time " * 20])
    assert (engine.max_length, engine.n_truncated) in [(32, 1), (None, 0)]
    assert (engine.max_length, engine.n_truncated) == (engine.scorer.max_length, engine.scorer.n_truncated)


@pytest.mark.parametrize("labels", SETS)
def test_scores_and_labels_are_calibrated(engine_of, labels):
    plain, n = engine_of(labels), labels.n_outputs
    intercept = np.zeros(n) if labels.task == "multiclass" else np.linspace(-1, 1, n)
    calibration = Calibration(labels.task, np.full(n, 0.5), intercept)
    engine = Engine(plain.scorer, labels, np.full(n, 0.5), calibration=calibration)
    expected = calibration.apply(plain.score(TEXTS))
    assert np.abs(expected - plain.score(TEXTS)).max() > 0.01
    np.testing.assert_array_equal(engine.score(TEXTS), expected)
    answer = engine.predict(TEXTS)
    np.testing.assert_array_equal(answer.scores, expected)
    assert answer.labels == labels.decode(expected, np.full(n, 0.5))
    assert engine.score([]).shape == (0, n)
    assert engine.score([]).dtype == np.float32


def test_an_engine_from_a_bundle(engine_of, settings, tmp_path):
    engine = engine_of(thresholds=np.array([0.4, 0.5, 0.6]))
    save_bundle(
        tmp_path / "b",
        scorer=engine.scorer,
        labels=engine.labels,
        thresholds=engine.thresholds,
        config=settings,
        data={"fingerprints": {"train": "abc"}},
        metrics={},
    )
    loaded = load_engine(tmp_path / "b")
    np.testing.assert_array_equal(loaded.score(TEXTS), engine.score(TEXTS))
    assert loaded.predict(TEXTS).labels == engine.predict(TEXTS).labels
    assert (loaded.max_length, loaded.trained_on) == (engine.max_length, "abc")
    assert loaded.config is not None
    assert loaded.config.model == settings.model
    with pytest.raises(BundleError):
        load_engine(tmp_path / "nothing")
