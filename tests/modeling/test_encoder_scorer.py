from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from smallprint.core.settings import build_config
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.tokenizer import tokenize_windows
from smallprint.modeling.windows import combine_windows

TASKS = [("binary", 1), ("multiclass", 3), ("multilabel", 3)]
TEXTS = [" ".join(["we may close your account without notice"] * (i % 5)) + f" {i}" for i in range(40)]


@pytest.fixture
def scorer_of(tiny_backbone):
    def make(task: str = "multilabel", n_outputs: int = 3, **more) -> EncoderScorer:
        torch.manual_seed(3)
        config = build_config({"model": {"backbone": str(tiny_backbone)}}).model
        classifier = build_classifier(config, n_outputs, np.full(n_outputs, 0.5), task).train()
        torch.nn.init.normal_(classifier.head.weight, std=0.5)
        tokenizer = load_tokenizer(str(tiny_backbone))
        return EncoderScorer(classifier, tokenizer, task, n_outputs, **{"max_length": 32, **more})

    return make


@pytest.mark.parametrize(("task", "n_outputs"), TASKS)
def test_scores_are_those_of_one_text_at_a_time(scorer_of, task, n_outputs):
    scorer = scorer_of(task, n_outputs)
    expected = []
    with torch.no_grad():
        for text in TEXTS:
            encoded = scorer.tokenizer(text, truncation=True, max_length=32, return_tensors="pt")
            logits = scorer.classifier(encoded["input_ids"], encoded["attention_mask"])[0]
            expected.append((torch.softmax(logits, -1) if task == "multiclass" else torch.sigmoid(logits)).numpy())
    scores = scorer.score(TEXTS)
    assert scores.dtype == np.float32
    assert scores.shape == (40, n_outputs)
    np.testing.assert_allclose(scores, np.array(expected), atol=1e-5)
    assert np.ptp(scores, axis=0).max() > 0.01  # the order could be seen
    if task == "multiclass":
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("batch_tokens", [16, 64, 8192])
def test_batches_change_nothing_and_keep_to_the_budget(scorer_of, batch_tokens):
    scorer = scorer_of(batch_tokens=batch_tokens)
    seen = []
    forward = scorer.classifier.forward
    scorer.classifier.forward = lambda ids, mask: (seen.append(ids.shape), forward(ids, mask))[1]
    np.testing.assert_allclose(scorer.score(TEXTS), scorer_of().score(TEXTS), atol=1e-5)
    assert all(rows == 1 or rows * length <= batch_tokens for rows, length in seen)
    assert len(seen) < len(TEXTS)


def test_it_evaluates_without_dropout_or_gradients(scorer_of):
    scorer = scorer_of()
    assert not any(module.training for module in scorer.classifier.modules())
    np.testing.assert_array_equal(scorer.score(TEXTS), scorer.score(TEXTS))
    modes = []
    scorer.classifier.head.register_forward_hook(lambda *_: modes.append(torch.is_inference_mode_enabled()))
    scorer.score(["a"])
    assert modes == [True]
    assert scorer.classifier.backbone.config._attn_implementation == "sdpa"
    assert {parameter.dtype for parameter in scorer.classifier.parameters()} == {torch.float32}


@pytest.mark.parametrize(("task", "n_outputs"), TASKS)
def test_no_texts(scorer_of, task, n_outputs):
    assert scorer_of(task, n_outputs).score([]).shape == (0, n_outputs)


def test_cut_texts_are_counted(scorer_of):
    scorer = scorer_of(max_length=8)
    scorer.score(["hello", "we may close your account at any time", "we may close your account"])
    assert scorer.n_truncated == 1
    scorer.score(["a " * 50, "b"])
    assert scorer.n_truncated == 2


def test_several_threads(scorer_of):
    scorer = scorer_of()
    expected = scorer.score(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(scorer.score, [TEXTS] * 8):
            np.testing.assert_array_equal(scores, expected)


LONG = " ".join(
    f"{word} the service" for word in ("we", "scarlet", "court", "ocean", "moss", "law", "pay", "crimson") * 3
)


def test_windows_keep_the_highest_score_of_each_label(scorer_of):
    cut, windows = scorer_of(max_length=16), scorer_of(max_length=16, windows=True)
    scores = windows.score(["we may", LONG, "law"])
    parts = tokenize_windows(windows.tokenizer, [LONG], 16).ids
    with torch.no_grad():
        each = [
            windows.classifier(torch.tensor(row[None], dtype=torch.long), torch.ones(1, len(row), dtype=torch.long))
            for row in parts
        ]
    np.testing.assert_allclose(scores[1], torch.cat(each).sigmoid().max(dim=0).values.numpy(), atol=1e-5)
    np.testing.assert_allclose(scores[[0, 2]], cut.score(["we may", "law"]), atol=1e-6)
    assert (scores[1] >= cut.score([LONG])[0] - 1e-6).all()
    assert windows.n_truncated == 0
    assert cut.n_truncated == 1


def test_windows_of_exclusive_labels_are_opinions_weighed_by_length():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    combined = combine_windows(scores, np.array([0, 0, 1]), np.array([30, 10, 5]), True)
    powers = np.exp((30 * np.log(scores[0]) + 10 * np.log(scores[1])) / 40)
    np.testing.assert_allclose(combined, [powers / powers.sum(), [0.5, 0.5]], atol=1e-6)
    highest = combine_windows(scores, np.array([0, 0, 1]), np.array([30, 10, 5]), False)
    np.testing.assert_allclose(highest, [[0.9, 0.8], [0.5, 0.5]])
