"""Integrated gradients of a tiny encoder: they add up, fall on the words that count, and are refused where there are none."""

import sys

import numpy as np
import pytest
import torch

from smallprint.core.errors import ConfigError, DataError, MissingExtraError
from smallprint.core.settings import build_config
from smallprint.data.labels import LabelSet
from smallprint.inference.engine import Engine, load_engine
from smallprint.inference.gradients import find_gradients, tell_gradients
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.encoder_scorer import EncoderScorer

pytest.importorskip("captum")
TEXT = "we may close your account without notice"


@pytest.fixture
def engine_of(tiny_backbone):
    def make(task="multilabel", **model):
        torch.manual_seed(3)
        config = build_config({"model": {"backbone": str(tiny_backbone), **model}}).model
        names = ["red", "green"] if task == "binary" else ["red", "green", "blue"]
        labels = LabelSet(task, names)
        classifier = build_classifier(config, labels.n_outputs, np.full(labels.n_outputs, 0.5), task)
        torch.nn.init.normal_(classifier.head.weight, std=1.0)
        scorer = EncoderScorer(classifier, load_tokenizer(str(tiny_backbone)), task, labels.n_outputs, max_length=32)
        return Engine(scorer, labels, np.full(labels.n_outputs, 0.5))

    return make


def logit(scores, column):
    score = float(scores[0, column])
    return np.log(score / (1 - score))


@pytest.mark.parametrize("adapter", ["full", "frozen"])
@pytest.mark.parametrize("task", ["multilabel", "multiclass", "binary"])
def test_weights_add_up_to_the_difference_of_logits(engine_of, task, adapter):
    engine = engine_of(task, adapter=adapter)
    found = find_gradients(engine, TEXT, "green", steps=128)
    assert [TEXT[part.start : part.end] for part in found] == TEXT.split()
    column = engine.labels.score_names.index("green")
    empty = " ".join(["[MASK]"] * len(TEXT.split()))
    expected = logit(engine.score([TEXT]), column) - logit(engine.score([empty]), column)
    assert sum(part.weight for part in found) == pytest.approx(expected, abs=0.02)
    assert max(abs(part.weight) for part in found) > 0.01
    assert engine.scorer.classifier.frozen == (adapter == "frozen")


def test_words_of_several_tokens_get_their_sum(engine_of):
    engine = engine_of()
    text = "we xyzzy, notice"  # an unknown word is read letter by letter
    found = find_gradients(engine, text, "red")
    assert [text[part.start : part.end] for part in found] == ["we", "xyzzy", "notice"]
    assert found[1].weight != 0


def test_a_long_text_is_explained_as_far_as_it_is_read(engine_of):
    text = " ".join([TEXT] * 20)
    found = find_gradients(engine_of(), text, "red")
    assert len(found) == len(text.split())
    assert all(part.weight == 0 for part in found[40:])
    assert find_gradients(engine_of(), " ... ", "red") == []


def test_what_has_no_gradients_is_refused(engine_of, toy_run, monkeypatch):
    with pytest.raises(DataError, match="no label 'pink'"):
        tell_gradients(engine_of(), TEXT, "pink")
    with pytest.raises(ConfigError, match="--explain-by occlusion"):
        tell_gradients(load_engine(toy_run / "bundle"), TEXT, "red")
    engine = engine_of()
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r"smallprint\[explain\]"):
        tell_gradients(engine, TEXT, "red")
