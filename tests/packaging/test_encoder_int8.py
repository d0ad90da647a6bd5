"""Bundles with int8 weights: a quarter of the size, the rounded model's scores bit for bit, and what is refused."""

import copy
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import nn

from smallprint.core.errors import BundleError, SmallprintError, TrainingError
from smallprint.core.files import sha256_file
from smallprint.core.parts import Parts
from smallprint.core.settings import build_config
from smallprint.data.labels import LabelSet
from smallprint.modeling.backbone import load_tokenizer
from smallprint.modeling.classifier import build_classifier
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.int8 import dequantise, round_weights
from smallprint.packaging.bundle import load_bundle, save_bundle

TEXTS = ["we may close your account", "hello", "you will pay the court at any time without notice", ""]
LABELS = LabelSet("multilabel", ["late", "rude", "broken"])
WORDS = "backbone.embeddings.word_embeddings.weight"
PLACES = "backbone.embeddings.position_embeddings.weight"
QUERY = "backbone.encoder.layer.0.attention.self.query.weight"  # too small to be int8 in the tiny backbone


def wide_head(width, n_outputs):
    return nn.Sequential(nn.Linear(width, 2000), nn.Tanh(), nn.Linear(2000, n_outputs))


def tied_head(width, n_outputs):
    head = nn.Sequential(nn.Linear(width, 200), nn.Linear(200, width), nn.Linear(width, 200), nn.Linear(200, n_outputs))
    head[2].weight = head[0].weight
    return head


def build(config, labels=LABELS, head=None) -> EncoderScorer:
    torch.manual_seed(1)
    rates = np.full(labels.n_outputs, 1 / 3)
    classifier = build_classifier(config.model, labels.n_outputs, rates, labels.task, Parts(head=head))
    for name, parameter in classifier.named_parameters():
        if name.startswith("head.") and parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    tokenizer = load_tokenizer(config.model.backbone)
    return EncoderScorer(classifier, tokenizer, labels.task, labels.n_outputs, max_length=32)


def keep(folder, scorer, config, labels=LABELS):
    return save_bundle(
        folder,
        scorer=scorer,
        labels=labels,
        thresholds=np.full(labels.n_outputs, 0.5),
        config=config,
        data={},
        metrics={},
    )


def settings(backbone, **model):
    return build_config({"model": {"backbone": str(backbone), "max_length": 32, "weights": "int8", **model}})


def edit(folder, **changes) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_tensors(folder, shared=None, **changes) -> None:
    """Changes tensors of the bundle, where None leaves one out, and its hash."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for name, change in changes.items():
        tensors[name] = change(tensors) if callable(change) else change
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    path.write_bytes(save(kept, metadata={"shared": json.dumps(shared or {})}))
    files = json.loads((folder / "manifest.json").read_text())["files"]
    edit(folder, files=files | {path.name: sha256_file(path)})


@pytest.fixture
def config(tiny_backbone):
    return settings(tiny_backbone)


@pytest.fixture
def bundle(config, tmp_path):
    return keep(tmp_path / "bundle", build(config), config)


@pytest.mark.parametrize("head", [None, wide_head])
@pytest.mark.parametrize("rounded_before", [True, False])
def test_loaded_scores_are_the_rounded_models_bit_for_bit(config, tmp_path, head, rounded_before):
    scorer = build(config, head=head)
    plain = scorer.score(TEXTS)
    rounded = copy.deepcopy(scorer.classifier)
    round_weights(rounded)
    expected = EncoderScorer(rounded, scorer.tokenizer, LABELS.task, 3, max_length=32).score(TEXTS)
    if rounded_before:
        round_weights(scorer.classifier)
    folder = keep(tmp_path / "b", scorer, config)
    loaded = load_bundle(folder, Parts(head=head))
    np.testing.assert_array_equal(loaded.scorer.score(TEXTS), expected)
    assert 0 < np.abs(plain - expected).max() < 0.02  # rounding was there to be seen
    state = loaded.scorer.classifier.state_dict()
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert all(torch.equal(tensor, state[name]) for name, tensor in rounded.state_dict().items())
    again = keep(tmp_path / "again", loaded.scorer, config)
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_what_is_stored(config, bundle):
    state = build(config).classifier.state_dict()
    tensors = load_file(bundle / "model.safetensors")
    assert json.loads((bundle / "manifest.json").read_text())["weights"] == "int8"
    assert {name for name, tensor in tensors.items() if tensor.dtype == torch.int8} == {WORDS, PLACES}
    assert tensors.keys() - state.keys() == {f"{WORDS}.scale", f"{PLACES}.scale"}
    assert all(torch.equal(tensors[name], state[name]) for name in state.keys() - {WORDS, PLACES})
    scale = tensors[f"{WORDS}.scale"]
    assert (scale.dtype, scale.shape) == (torch.float32, state[WORDS].shape[:1])
    error = (dequantise(tensors[WORDS], scale) - state[WORDS]).abs()
    assert bool((error <= scale.unsqueeze(1) * 0.50001).all())


def test_the_default_is_fp32(tiny_backbone, tmp_path):
    config = build_config({"model": {"backbone": str(tiny_backbone)}})
    scorer = build(config)
    folder = keep(tmp_path / "b", scorer, config)
    assert json.loads((folder / "manifest.json").read_text())["weights"] == "fp32"
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.float32}
    np.testing.assert_array_equal(load_bundle(folder).scorer.score(TEXTS), scorer.score(TEXTS))


def test_a_bundle_of_format_2_knew_fp32_alone(tiny_backbone, tmp_path):
    config = build_config({"model": {"backbone": str(tiny_backbone)}})
    scorer = build(config)
    folder = keep(tmp_path / "b", scorer, config)
    tree = json.loads((folder / "manifest.json").read_text())
    del tree["weights"]
    (folder / "manifest.json").write_text(json.dumps(tree | {"format_version": 2}))
    lines = (folder / "config.yaml").read_text().splitlines(keepends=True)
    (folder / "config.yaml").write_text("".join(line for line in lines if not line.startswith("  weights:")))
    edit(folder, files=tree["files"] | {"config.yaml": sha256_file(folder / "config.yaml")})
    np.testing.assert_array_equal(load_bundle(folder).scorer.score(TEXTS), scorer.score(TEXTS))


def test_shared_matrices_are_stored_once_with_one_scale(config, tmp_path):
    scorer = build(config, head=tied_head)
    round_weights(scorer.classifier)
    before = scorer.score(TEXTS)
    folder = keep(tmp_path / "b", scorer, config)
    with safe_open(str(folder / "model.safetensors"), framework="pt") as file:
        names, shared = set(file.keys()), json.loads(file.metadata()["shared"])
    assert shared == {"head.2.weight": "head.0.weight"}
    assert {name for name in names if name.startswith(("head.0.w", "head.2.w"))} == {
        "head.0.weight",
        "head.0.weight.scale",
    }
    loaded = load_bundle(folder, Parts(head=tied_head)).scorer
    assert loaded.classifier.head[2].weight is loaded.classifier.head[0].weight
    np.testing.assert_array_equal(loaded.score(TEXTS), before)


def test_what_is_rounded_is_the_merged_model(tiny_backbone, tmp_path):
    config = settings(tiny_backbone, adapter="lora", lora={"target_modules": ["word_embeddings"]})
    scorer = build(config)
    plain = scorer.score(TEXTS)
    for name, parameter in scorer.classifier.named_parameters():
        if "lora_embedding" in name:
            nn.init.normal_(parameter, std=0.3)
    folder = keep(tmp_path / "b", scorer, config)  # merges, for good
    round_weights(scorer.classifier)
    assert np.abs(scorer.score(TEXTS) - plain).max() > 0.01  # the adapter does something
    np.testing.assert_array_equal(load_bundle(folder).scorer.score(TEXTS), scorer.score(TEXTS))


def scale_of(change):
    """Gives the change of a scale tensor in a file."""
    return {f"{WORDS}.scale": lambda tensors: change(tensors[f"{WORDS}.scale"])}


def with_first(value):
    def change(scale):
        scale[0] = value
        return scale

    return change


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({f"{WORDS}.scale": None}, f"lacks weight '{WORDS}.scale'"),
        (scale_of(lambda scale: scale[:-1].clone()), f"'{WORDS}.scale' has shape"),
        (scale_of(lambda scale: scale.unsqueeze(1)), f"'{WORDS}.scale' has shape"),
        (scale_of(lambda scale: scale.double()), f"'{WORDS}.scale' has type float64"),
        (scale_of(lambda scale: scale.half()), f"'{WORDS}.scale' has type float16"),
        (scale_of(with_first(float("nan"))), f"'{WORDS}.scale' holds what is no scale"),
        (scale_of(with_first(float("inf"))), f"'{WORDS}.scale' holds what is no scale"),
        (scale_of(with_first(0.0)), f"'{WORDS}.scale' holds what is no scale"),
        (scale_of(with_first(-1.0)), f"'{WORDS}.scale' holds what is no scale"),
        ({WORDS: lambda tensors: tensors[WORDS].float()}, f"'{WORDS}' has type float32"),
        ({WORDS: lambda tensors: tensors[WORDS].view(torch.uint8)}, f"'{WORDS}' has type uint8"),
        ({WORDS: lambda tensors: tensors[WORDS][1:].clone()}, f"'{WORDS}' has shape"),
        ({WORDS: None}, f"lacks weight '{WORDS}'"),
        ({QUERY: lambda tensors: tensors[QUERY].to(torch.int8)}, f"'{QUERY}' has type int8"),
        ({f"{QUERY}.scale": torch.ones(32)}, f"unknown weight '{QUERY}.scale'"),
        ({"head.scale": torch.ones(3)}, "unknown weight 'head.scale'"),
    ],
)
def test_tensors_that_do_not_fit_although_their_hash_does(bundle, changes, said):
    change_tensors(bundle, **changes)
    with pytest.raises(BundleError) as error:
        load_bundle(bundle)
    assert said in error.value.found
    assert error.value.expected
    assert error.value.do


def test_a_manifest_that_says_otherwise_than_the_weights(bundle, tiny_backbone, tmp_path):
    edit(bundle, weights="fp32")
    with pytest.raises(BundleError, match="has type int8") as error:
        load_bundle(bundle)
    assert "float32, by 'weights' in the manifest" in error.value.expected
    config = settings(tiny_backbone, weights="fp32")
    other = keep(tmp_path / "other", build(config), config)
    edit(other, weights="int8")
    with pytest.raises(BundleError, match="has type float32"):
        load_bundle(other)


@pytest.mark.parametrize(
    "shared", [{PLACES: WORDS, WORDS: PLACES}, {PLACES: "nothing"}, {WORDS: WORDS}, [WORDS], {QUERY: f"{WORDS}.scale"}]
)
def test_names_that_share_nothing_that_is_there(bundle, shared):
    change_tensors(bundle, shared)
    with pytest.raises(BundleError, match=r"model\.safetensors cannot be read"):
        load_bundle(bundle)


def test_a_shared_name_whose_matrix_has_no_scale(config, tmp_path):
    folder = keep(tmp_path / "b", build(config, head=tied_head), config)
    change_tensors(folder, {"head.2.weight": "head.0.weight"}, **{"head.0.weight.scale": None})
    with pytest.raises(BundleError, match=r"lacks weight 'head\.0\.weight\.scale'"):
        load_bundle(folder, Parts(head=tied_head))


def test_more_labels_than_an_int8_head_has_outputs(tiny_backbone, tmp_path):
    labels = LabelSet("multiclass", [f"label {i}" for i in range(130)])
    config = settings(tiny_backbone)
    folder = keep(tmp_path / "b", build(config, labels), config, labels)
    assert load_file(folder / "model.safetensors")["head.weight"].dtype == torch.int8
    edit(folder, label_names=[*labels.names, "new"], thresholds=[0.5] * 131)
    with pytest.raises(BundleError, match="130 outputs, but the manifest names 131 labels"):
        load_bundle(folder)


def test_weights_that_are_not_finite_leave_no_bundle(config, tmp_path):
    scorer = build(config)
    nn.init.constant_(scorer.classifier.backbone.embeddings.word_embeddings.weight, float("nan"))
    with pytest.raises(TrainingError, match=WORDS) as error:
        keep(tmp_path / "b", scorer, config)
    assert isinstance(error.value, SmallprintError)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_bundle_of_minilm_is_at_most_25_mb(tmp_path):
    config = build_config({"model": {"weights": "int8"}})
    scorer = build(config)
    round_weights(scorer.classifier)
    before = scorer.score(TEXTS)
    folder = keep(tmp_path / "b", scorer, config)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 25_000_000
    np.testing.assert_array_equal(load_bundle(folder).scorer.score(TEXTS), before)
