"""Both families by one door: what is refused, and what fitting gives back."""

import numpy as np
import polars as pl
import pytest

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError
from smallprint.core.parts import Parts
from smallprint.core.settings import build_config
from smallprint.data.examples import Examples
from smallprint.data.labels import LabelSet
from smallprint.data.split import Splits
from smallprint.families import build_fit, check_family
from smallprint.families.fitted import log_loss
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.linear import LinearClassifier


class Noted:
    """A tracker that keeps what it is given."""

    def __init__(self):
        self.values = {}

    def log_metrics(self, values, step=0):
        self.values.update(values)

    def log_points(self, points):
        self.values.update({name: value for name, value, _ in points})


def linear(**model) -> Config:
    return build_config({"model": {"backbone": "tfidf", **model}})


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ({"adapter": "lora"}, ["model.adapter"]),
        ({"adapter": "frozen", "lora": {"r": 4}}, ["model.adapter", "model.lora"]),
        ({"head": "mlp", "loss": "focal"}, ["model.head", "model.loss"]),
        ({"revision": "main", "pooling": "cls"}, ["model.revision", "model.pooling"]),
        ({"class_weights": "balanced", "dropout": 0.2}, ["model.class_weights", "model.dropout"]),
        ({"max_length": 64}, ["model.max_length"]),
        ({"weights": "int8"}, ["model.weights"]),
    ],
)
def test_settings_of_an_encoder_do_not_go_with_tfidf(model, named):
    with pytest.raises(ConfigError) as error:
        check_family(linear(**model), Parts())
    assert error.value.found == f"{', '.join(named)} cannot go with model.backbone=tfidf."
    check_family(build_config({"model": model}), Parts())  # with an encoder they do


def test_settings_of_tfidf_and_of_the_kernel_svm_go_with_these_alone():
    check_family(linear(tfidf={"cost": 2.0}), Parts())
    check_family(build_config({"model": {"adapter": "frozen", "head": "svm", "svm": {"cost": 2.0}}}), Parts())
    for model, named in (({"tfidf": {"cost": 2.0}}, "model.tfidf"), ({"svm": {"cost": 2.0}}, "model.svm")):
        with pytest.raises(ConfigError, match=named):
            check_family(build_config({"model": model}), Parts())
    with pytest.raises(ConfigError, match=r"model\.svm"):
        check_family(linear(svm={"cost": 2.0}), Parts())


def test_the_encoder_of_a_static_model_has_a_revision():
    for encoder in ("minilm", "none"):
        config = build_config({"model": {"backbone": "static", "static": {"encoder": encoder}, "revision": "v1"}})
        if encoder == "none":
            with pytest.raises(ConfigError, match=r"model\.revision cannot go with model\.backbone=static"):
                check_family(config, Parts())
        else:
            check_family(config, Parts())


@pytest.mark.parametrize("name", ["tokenizer", "backbone", "head", "loss"])
def test_parts_of_an_encoder_do_not_go_with_tfidf(name):
    with pytest.raises(ConfigError, match=rf"Parts\({name}="):
        check_family(linear(), Parts(**{name: []}))
    check_family(Config(), Parts(**{name: []}))


def test_a_reader_of_your_own_goes_with_both():
    for config in (linear(), Config()):
        check_family(config, Parts(reader=print))


@pytest.fixture
def toy(labelled_frame):
    frame = labelled_frame("multiclass", 60).select("text", labels=pl.concat_list("label"))
    train, validation = Examples("train", frame[:42]), Examples("validation", frame[42:])
    labels = LabelSet("multiclass", ["red", "green", "blue"])
    return Splits(train, validation, lambda: pytest.fail("test was opened"), ""), labels


def test_both_families_give_a_scorer_a_history_and_tracked_scores(toy, tiny_backbone, tmp_path):
    splits, labels = toy
    encoder = {
        "model": {"backbone": str(tiny_backbone), "max_length": 24},
        "training": {"epochs": 1, "precision": "fp32"},
    }
    for config, kind in ((linear(), LinearClassifier), (build_config(encoder), EncoderScorer)):
        tracker, lines = Noted(), []
        fit = build_fit(splits, labels, config, Parts(), tmp_path / kind.__name__, lines.append)
        assert lines == []
        fitted = fit(tracker)
        scorer, result = fitted.scorer, fitted.result
        assert isinstance(scorer, kind)
        assert scorer.score(splits.validation.texts).shape == (18, 3)
        reached = {"validation/loss", "validation/average_precision"}
        assert [row["epoch"] for row in result.history] == [0]
        assert reached <= set(result.history[0])
        assert reached <= set(tracker.values)
        assert {"seconds_per_epoch", "padding_share", "peak_memory_mb"} == set(result.timing)
        assert len(lines) == 1
        assert "average precision" in lines[0]


def test_settings_of_training_without_effect_are_said(toy, tmp_path):
    splits, labels = toy
    lines = []
    config = build_config({"model": {"backbone": "tfidf"}, "training": {"seed": 7, "epochs": 3, "batch_size": 2}})
    build_fit(splits, labels, config, Parts(), tmp_path, lines.append)
    assert lines == ["Without effect on TF-IDF: training.epochs, training.batch_size."]


def test_how_much_is_kept_is_no_setting_without_effect_on_the_kernel_svm(toy, tiny_backbone, tmp_path):
    splits, labels = toy
    lines = []
    model = {"backbone": str(tiny_backbone), "adapter": "frozen", "head": "svm"}
    config = build_config({"model": model, "training": {"cache_mb": 0, "epochs": 3}})
    build_fit(splits, labels, config, Parts(), tmp_path, lines.append)
    assert lines == ["Without effect on the head 'svm': training.epochs."]


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_loss_is_the_mean_negative_log_likelihood(task):
    from sklearn import metrics

    rng = np.random.default_rng(0)
    if task == "multiclass":
        scores, targets = rng.dirichlet(np.ones(3), 50).astype(np.float32), rng.integers(0, 3, 50)
        expected = metrics.log_loss(targets, scores / scores.sum(axis=1, keepdims=True), labels=[0, 1, 2])
    else:
        n = 1 if task == "binary" else 3
        scores, targets = rng.random((50, n)).astype(np.float32), rng.integers(0, 2, (50, n))
        expected = metrics.log_loss(targets.ravel(), scores.ravel())
    assert log_loss(targets, scores, task) == pytest.approx(expected, abs=1e-5)
    assert np.isfinite(log_loss(targets, np.zeros_like(scores), task))
