"""Each architecture of the published table, and today's: a tiny random checkpoint goes the whole way."""

import json

import numpy as np
import pytest
import torch

import smallprint
from smallprint import api
from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, ExportError, TrainingError
from smallprint.core.parts import Parts
from smallprint.core.protocols import find_protocol
from smallprint.core.settings import load_config
from smallprint.data.labels import LabelSet
from smallprint.documents.document import Document
from smallprint.inference.engine import Engine
from smallprint.inference.scanner import scan_document
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.packaging.onnx_export import to_onnx

TEXTS = ["we may scarlet", "your account ocean and moss this agreement", "", "fine " * 30]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


def configs(vocabulary):
    import transformers as t

    sizes = {**SIZES, "vocab_size": vocabulary, "pad_token_id": 0}
    return {
        "bert": t.BertConfig(**sizes, max_position_embeddings=64),
        "roberta": t.RobertaConfig(**sizes, max_position_embeddings=66),
        "deberta": t.DebertaConfig(
            **sizes, max_position_embeddings=64, relative_attention=True, pos_att_type=["c2p", "p2c"]
        ),
        "longformer": t.LongformerConfig(**sizes, max_position_embeddings=66, attention_window=8),
        "big_bird": t.BigBirdConfig(**sizes, max_position_embeddings=64, block_size=4, num_random_blocks=1),
        "legal-bert": t.BertConfig(**sizes, max_position_embeddings=64, hidden_dropout_prob=0.2),
        "caselaw-bert": t.BertConfig(**sizes, max_position_embeddings=64, type_vocab_size=2),
        "modernbert": t.ModernBertConfig(
            **sizes,
            max_position_embeddings=64,
            global_attn_every_n_layers=2,
            local_attention=8,
            cls_token_id=2,
            sep_token_id=3,
        ),
        "deberta-v2": t.DebertaV2Config(
            **sizes, max_position_embeddings=64, relative_attention=True, pos_att_type=["c2p", "p2c"]
        ),
        "xlm-roberta": t.XLMRobertaConfig(**sizes, max_position_embeddings=66),
        "distilbert": t.DistilBertConfig(
            vocab_size=vocabulary, dim=32, n_layers=2, n_heads=2, hidden_dim=48, max_position_embeddings=64
        ),
        "eurobert": t.EuroBertConfig(**sizes, max_position_embeddings=64, num_key_value_heads=2),
    }


NAMES = tuple(configs(10))


@pytest.fixture(scope="session")
def checkpoint(tiny_backbone, tmp_path_factory):
    """`checkpoint(name)`: the folder of a random checkpoint of that architecture, with the tiny BERT's tokenizer."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_backbone)

    def make(name: str):
        folder = tmp_path_factory.mktemp("architectures") / name
        with torch.random.fork_rng():
            torch.manual_seed(0)
            AutoModel.from_config(configs(len(tokenizer))[name]).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


def settings(folder, root, *more) -> Config:
    own = [f"model.backbone={json.dumps(str(folder))}", "training.epochs=1", "tracking.enabled=false", *more]
    below = load_config(None, find_protocol("lexglue"))
    return load_config(None, [*own, f"tracking.root={json.dumps(str(root))}"], below)


@pytest.mark.parametrize("name", NAMES)
def test_train_save_load(checkpoint, name, labelled_frame, tmp_path):
    config = settings(checkpoint(name), tmp_path)
    result = api.train(labelled_frame("multilabel", 60), config=config, out=tmp_path / "run")
    assert "validation/lexglue_f1_micro" in json.loads(result.metrics_file.read_text())["history"][0]
    one, two = (smallprint.load(result.bundle) for _ in range(2))
    scores = one.score(TEXTS)
    assert np.isfinite(scores).all()
    assert np.array_equal(scores, two.score(TEXTS))
    assert np.allclose(scores, [one.score([text])[0] for text in TEXTS], atol=1e-4), "padding changes nothing"
    assert one.max_length == 64, "two positions of a RoBERTa are reserved"


@pytest.mark.parametrize("name", ["roberta", "deberta", "longformer", "big_bird", "modernbert", "distilbert"])
def test_lora_and_upper_layers(checkpoint, name, labelled_frame, tmp_path):
    folder, frame = checkpoint(name), labelled_frame("multilabel", 60)
    lora = settings(folder, tmp_path, "model.adapter=lora", "model.lora.r=2")
    assert api.train(frame, config=lora, out=tmp_path / "lora").test.n_examples
    upper = settings(folder, tmp_path, "model.train_layers=1")
    assert api.train(frame, config=upper, out=tmp_path / "upper").test.n_examples
    both = settings(folder, tmp_path, "model.adapter=lora", "model.lora.r=2", "model.train_layers=1")
    assert api.train(frame, config=both, out=tmp_path / "both").test.n_examples


# what torch's exporter does not follow through, and the word that its refusal says
UNEXPORTED = {"longformer": "data-dependent"}


@pytest.mark.parametrize("name", NAMES)
def test_export_to_onnx_or_a_reason_and_scan(checkpoint, name, tmp_path):
    folder = checkpoint(name)
    config = settings(folder, tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        classifier = build_classifier(config.model, 3, np.full(3, 0.5), "multilabel")
    scorer = EncoderScorer(classifier, load_tokenizer(str(folder)), "multilabel", 3, max_length=64)
    texts = [*TEXTS, *(" ".join(["ocean", "we", "account"][: i % 3 + 1] * i) for i in range(1, 25, 4))]
    expected = scorer.score(texts)
    if name in UNEXPORTED:
        with pytest.raises(ExportError, match=UNEXPORTED[name]):
            to_onnx(scorer)
    else:
        exported = to_onnx(scorer)
        assert np.allclose(exported.score(texts), expected, atol=1e-4)
        for text, row in zip(texts, expected, strict=True):
            assert np.allclose(exported.score([text])[0], row, atol=1e-4), "a batch of one"
        scorer = exported
    engine = Engine(scorer, LabelSet("multilabel", ["a", "b", "c"]), np.full(3, 0.0))
    entry = scan_document(engine, Document("d", "We may end it. You agree.\nWe thank you."))
    assert [finding["text"] for finding in entry["findings"]] == ["We may end it.", "You agree.", "We thank you."]


def test_the_first_token_of_a_longformer_sees_all(checkpoint):
    from smallprint.modeling.backbone import load_backbone
    from smallprint.modeling.classifier import TextClassifier

    backbone = load_backbone(str(checkpoint("longformer"))).eval()
    classifier = TextClassifier(backbone, torch.nn.Identity(), "cls").eval()
    ids = torch.randint(5, 60, (1, 40))
    far = ids.clone()
    far[0, 30] = 4  # beyond the window of eight
    with torch.no_grad():
        mask = torch.ones_like(ids)
        assert not torch.allclose(classifier(ids, mask), classifier(far, mask), atol=1e-6)
        plain = [backbone(input_ids=part, attention_mask=mask).last_hidden_state[:, 0] for part in (ids, far)]
        assert torch.allclose(*plain, atol=1e-6), "without it the first token would see its window alone"


def test_a_tokenizer_of_another_backbone(checkpoint, labelled_frame, tmp_path):
    from transformers import AutoModel

    folder = checkpoint("bert")
    AutoModel.from_config(configs(20)["bert"]).save_pretrained(folder)
    with pytest.raises(TrainingError, match="The tokenizer has ids up to .* and the backbone has 20 word vectors"):
        api.train(
            labelled_frame("binary"),
            config=settings(folder, tmp_path, "training.monitor=average_precision"),
            out=tmp_path / "run",
        )


def test_a_head_that_is_too_small(tiny_backbone, labelled_frame, tmp_path):
    config = settings(tiny_backbone, tmp_path)
    with pytest.raises(ConfigError, match="gives \\[2\\] logits a text, and the labels need 3"):
        parts = Parts(head=lambda width, n_outputs: torch.nn.Linear(width, 2))
        api.train(labelled_frame("multilabel"), config=config, out=tmp_path / "run", parts=parts)
    with pytest.raises(ConfigError, match="does not take vectors of width 32"):
        parts = Parts(head=lambda width, n_outputs: torch.nn.Linear(7, n_outputs))
        api.train(labelled_frame("multilabel"), config=config, out=tmp_path / "run", parts=parts)


def test_the_protocols_measure_is_for_multilabel(tiny_backbone, labelled_frame, tmp_path):
    with pytest.raises(ConfigError, match="lexglue_f1_micro cannot go with a multiclass task"):
        api.train(labelled_frame("multiclass"), config=settings(tiny_backbone, tmp_path), out=tmp_path / "run")
