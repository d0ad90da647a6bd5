import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from smallprint.core.config import Config
from smallprint.core.errors import BundleError, SmallprintError
from smallprint.core.files import sha256_file
from smallprint.core.parts import Parts
from smallprint.core.settings import build_config, load_config
from smallprint.data.labels import LabelSet
from smallprint.modeling.backbone import load_backbone, load_tokenizer
from smallprint.modeling.classifier import TextClassifier, build_classifier
from smallprint.modeling.encoder_scorer import EncoderScorer
from smallprint.modeling.kernel_head import KernelHead
from smallprint.packaging.bundle import find_bundle, load_bundle, save_bundle

TEXTS = ["we may close your account", "hello", "you will pay the court at any time without notice", ""]
LABELS = LabelSet("multilabel", ["late", "rude", "broken"])


def settings(backbone: Path, **model) -> Config:
    lora = {"r": 4, "alpha": 8}
    return build_config(
        {
            "model": {"backbone": str(backbone), "max_length": 32, "lora": lora, **model},
            "tracking": {"uri": "https://user:secret@tracking.example", "root": str(backbone.parent)},
        }
    )


def build(config: Config, labels: LabelSet = LABELS, parts: Parts | None = None):
    torch.manual_seed(1)
    classifier = build_classifier(
        config.model, labels.n_outputs, np.full(labels.n_outputs, 1 / 3), labels.task, parts
    ).eval()
    for name, parameter in classifier.named_parameters():
        if "lora_B" in name or name.startswith("head."):
            nn.init.normal_(parameter, std=0.3)
    return classifier


def scorer_of(classifier, config: Config, labels: LabelSet = LABELS, tokenizer=None) -> EncoderScorer:
    tokenizer = tokenizer or load_tokenizer(config.model.backbone)
    return EncoderScorer(classifier, tokenizer, labels.task, labels.n_outputs, max_length=32)


def save(folder: Path, config: Config, classifier=None, labels: LabelSet = LABELS, **more) -> Path:
    return save_bundle(
        folder,
        scorer=scorer_of(classifier or build(config, labels), config, labels),
        labels=labels,
        thresholds=np.linspace(0.2, 0.7, labels.n_outputs),
        config=config,
        data={"fingerprints": {"train": "abc"}},
        metrics={"test": {"f1_macro": 0.5}},
        **more,
    )


def scores_of(classifier, config: Config, labels: LabelSet = LABELS):
    return scorer_of(classifier, config, labels).score(TEXTS)


def edit(folder: Path, **changes) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rehash(folder: Path, name: str) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    edit(folder, files=files | {name: sha256_file(folder / name)})


@pytest.fixture
def bundle(tiny_backbone, tmp_path) -> Path:
    return save(tmp_path / "bundle", settings(tiny_backbone))


@pytest.mark.parametrize("adapter", ["full", "frozen"])
@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_saved_and_loaded_give_the_same_scores(tiny_backbone, tmp_path, adapter, head, pooling):
    config = settings(tiny_backbone, adapter=adapter, head=head, pooling=pooling)
    classifier = build(config)
    before = scores_of(classifier, config)
    loaded = load_bundle(save(tmp_path / "b", config, classifier))
    np.testing.assert_array_equal(loaded.scorer.score(TEXTS), before)
    assert not loaded.scorer.classifier.training


def test_lora_is_merged_and_gives_the_same_scores(tiny_backbone, tmp_path):
    config = settings(tiny_backbone, adapter="lora")
    classifier = build(config)
    before, plain = scores_of(classifier, config), scores_of(build(settings(tiny_backbone, adapter="frozen")), config)
    assert np.abs(before - plain).max() > 1e-3  # the adapters do something
    head = classifier.head.weight.detach().clone()
    loaded = load_bundle(save(tmp_path / "b", config, classifier))
    assert torch.equal(loaded.scorer.classifier.head.weight, head)
    assert not [name for name in loaded.scorer.classifier.state_dict() if "lora" in name or "base_" in name]
    np.testing.assert_allclose(scores_of(loaded.scorer.classifier, config), before, atol=1e-5)


@pytest.mark.parametrize(
    "labels", [LabelSet("binary", ["fair", "unfair"]), LabelSet("multiclass", ["a", "b", "c", "d"]), LABELS]
)
def test_labels_thresholds_and_settings_come_back(tiny_backbone, tmp_path, labels):
    config = settings(tiny_backbone)
    loaded = load_bundle(save(tmp_path / "b", config, labels=labels))
    assert loaded.labels == labels
    assert loaded.thresholds.dtype == np.float64
    np.testing.assert_array_equal(loaded.thresholds, np.linspace(0.2, 0.7, labels.n_outputs))
    assert loaded.config.model == config.model
    assert loaded.manifest["max_length"] == 32
    assert loaded.manifest["data"]["fingerprints"] == {"train": "abc"}
    assert set(loaded.manifest["versions"]) == {"python", "torch", "transformers", "smallprint"}
    assert loaded.manifest["created"].endswith("+00:00")


def test_what_lies_in_the_folder(bundle, tiny_backbone):
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    listed = json.loads((bundle / "manifest.json").read_text())["files"]
    assert names == {"manifest.json", *listed}
    assert {"config.yaml", "model.safetensors", "backbone/config.json", "tokenizer/tokenizer.json"} <= names
    content = {name: (bundle / name).read_bytes() for name in names}
    texts = [text for name, text in content.items() if name != "config.yaml"]
    assert not [text for text in texts for place in (tiny_backbone, bundle, Path.home()) if str(place).encode() in text]
    assert b"secret" not in b"".join(content.values())
    assert load_config(bundle / "config.yaml").model.backbone == str(tiny_backbone)
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".py"))]


def test_the_tokenizer_is_saved_without_the_last_calls_cut(tiny_backbone, tmp_path):
    config = settings(tiny_backbone)
    tokenizer = load_tokenizer(str(tiny_backbone))
    tokenizer(TEXTS, truncation=True, max_length=5, padding=True)
    save_bundle(
        tmp_path / "b",
        scorer=scorer_of(build(config), config, tokenizer=tokenizer),
        labels=LABELS,
        thresholds=np.full(3, 0.5),
        config=config,
        data={},
        metrics={},
    )
    saved = json.loads((tmp_path / "b" / "tokenizer" / "tokenizer.json").read_text())
    assert saved["truncation"] is None
    assert saved["padding"] is None


def test_equal_weights_are_equal_bytes(tiny_backbone, tmp_path):
    config = settings(tiny_backbone)
    files = [save(tmp_path / str(i), config) / "model.safetensors" for i in range(4)]
    assert len({file.read_bytes() for file in files}) == 1


def test_shared_weights_are_stored_once(tiny_backbone, tmp_path):
    def tied(width, n_outputs):
        head = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, n_outputs))
        head[1].weight = head[0].weight
        return head

    config = settings(tiny_backbone)
    classifier = build(config, parts=Parts(head=tied))
    before = scores_of(classifier, config)
    folder = save(tmp_path / "b", config, classifier, head_is_own=True)
    loaded = load_bundle(folder, Parts(head=tied))
    assert loaded.scorer.classifier.head[1].weight is loaded.scorer.classifier.head[0].weight
    np.testing.assert_array_equal(scores_of(loaded.scorer.classifier, config), before)
    from safetensors import safe_open

    with safe_open(str(folder / "model.safetensors"), framework="pt") as file:
        assert len({"head.0.weight", "head.1.weight"} & set(file.keys())) == 1


def test_weights_that_are_not_contiguous(tiny_backbone, tmp_path):
    config = settings(tiny_backbone)
    classifier = build(config)
    classifier.head.weight = nn.Parameter(torch.randn(32, 3).t())
    before = scores_of(classifier, config)
    np.testing.assert_allclose(
        scores_of(load_bundle(save(tmp_path / "b", config, classifier)).scorer.classifier, config), before, atol=1e-6
    )


def test_loading_moves_no_random_numbers(bundle):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_bundle(bundle)
    assert torch.equal(torch.rand(1), expected)


OWN = """
from pathlib import Path
from torch import nn
Path({marker!r}).write_text("run")
def Head(width, n_outputs):
    return nn.Linear(width, n_outputs)
"""


def test_an_own_head_is_never_imported(tiny_backbone, tmp_path, monkeypatch):
    marker = tmp_path / "marker"
    (tmp_path / "my_own_part.py").write_text(OWN.format(marker=str(marker)))
    monkeypatch.syspath_prepend(tmp_path)
    config = settings(tiny_backbone, head="my_own_part:Head")
    classifier = build(config, parts=Parts(head=nn.Linear))
    before = scores_of(classifier, config)
    folder = save(tmp_path / "b", config, classifier)
    edit(folder, head_is_own=False)  # the name alone must not be trusted either
    with pytest.raises(BundleError, match="never run") as error:
        load_bundle(folder)
    assert "Parts(head=" in error.value.do
    assert not marker.exists()
    assert "my_own_part" not in sys.modules
    np.testing.assert_array_equal(
        scores_of(load_bundle(folder, Parts(head=nn.Linear)).scorer.classifier, config), before
    )


def test_an_own_head_object_is_remembered_as_such(tiny_backbone, tmp_path):
    config = settings(tiny_backbone)
    folder = save(tmp_path / "b", config, head_is_own=True)
    with pytest.raises(BundleError, match="somebody's own"):
        load_bundle(folder)
    load_bundle(folder, Parts(head=nn.Linear))


class OwnBackbone(nn.Module):
    hidden_size = 8

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(200, 8)

    def forward(self, input_ids, attention_mask):
        return self.embedding(input_ids)


def test_an_own_backbone_must_be_given_again(tiny_backbone, tmp_path):
    config = settings(tiny_backbone)
    classifier = build(config, parts=Parts(backbone=OwnBackbone()))
    before = scores_of(classifier, config)
    folder = save(tmp_path / "b", config, classifier)
    with pytest.raises(BundleError, match="backbone"):
        load_bundle(folder)
    np.testing.assert_array_equal(
        scores_of(load_bundle(folder, Parts(backbone=OwnBackbone())).scorer.classifier, config), before
    )


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.yaml", "backbone/config.json", "tokenizer/tokenizer.json"]
)
def test_a_changed_file(bundle, name, damage):
    damage(bundle / name)
    with pytest.raises(BundleError, match="changed or damaged") as error:
        load_bundle(bundle)
    assert name in error.value.found
    assert error.value.exit_code == 6
    assert error.value.expected
    assert error.value.do


def test_weights_that_are_no_safetensors(bundle):
    (bundle / "model.safetensors").write_bytes(b"\x80\x04pickle")
    rehash(bundle, "model.safetensors")
    with pytest.raises(BundleError, match=r"model\.safetensors cannot be read"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["config.yaml", "backbone/config.json", "tokenizer/tokenizer.json"])
def test_a_file_that_holds_nonsense_but_fits_its_hash(bundle, name):
    (bundle / name).write_text("{nonsense: [")
    rehash(bundle, name)
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(bundle)


def test_more_labels_than_the_weights_have_outputs(bundle):
    edit(bundle, label_names=["late", "rude", "broken", "new"], thresholds=[0.5] * 4)
    with pytest.raises(BundleError, match="3 outputs, but the manifest names 4 labels"):
        load_bundle(bundle)


def test_thresholds_that_do_not_fit_the_labels(bundle):
    edit(bundle, thresholds=[0.5])
    with pytest.raises(BundleError, match="1 thresholds for 3 labels"):
        load_bundle(bundle)


def test_label_names_that_stand_twice(bundle):
    edit(bundle, label_names=["late", "late", "broken"])
    with pytest.raises(BundleError, match="twice"):
        load_bundle(bundle)


def test_weights_of_another_model(bundle, tiny_backbone, tmp_path):
    other = save(tmp_path / "other", settings(tiny_backbone, head="mlp"))
    (bundle / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    rehash(bundle, "model.safetensors")
    with pytest.raises(BundleError, match=r"weight 'head\."):
        load_bundle(bundle)


def test_a_bundle_is_replaced_but_other_files_are_not(bundle, tiny_backbone, tmp_path):
    save(bundle, settings(tiny_backbone, pooling="cls"))
    assert load_bundle(bundle).scorer.classifier.pooling == "cls"
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(BundleError, match="other files"):
        save(other, settings(tiny_backbone))
    assert (other / "manifest.json").exists()


def test_a_full_disk_leaves_nothing(tiny_backbone, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SmallprintError, match="could not be written"):
        save(tmp_path / "place" / "b", settings(tiny_backbone))
    assert list((tmp_path / "place").iterdir()) == []


def test_find_bundle(bundle, tmp_path):
    assert find_bundle(bundle) == bundle
    assert find_bundle(tmp_path) == bundle
    with pytest.raises(BundleError, match="does not exist"):
        find_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="is a file"):
        find_bundle(bundle / "config.yaml")
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(BundleError, match="holds no bundle"):
        find_bundle(run)
    (run / "run.json").write_text("{}")
    with pytest.raises(BundleError, match="--resume"):
        find_bundle(run)


def test_a_bundle_moves_to_another_place_and_needs_its_backbone_no_more(bundle, tmp_path):
    moved = bundle.rename(tmp_path / "elsewhere")
    assert load_bundle(moved).folder == moved


def test_a_bundle_of_format_1_is_an_encoders(bundle):
    before = load_bundle(bundle).scorer.score(TEXTS)
    tree = json.loads((bundle / "manifest.json").read_text())
    del tree["family"]
    (bundle / "manifest.json").write_text(json.dumps(tree | {"format_version": 1}))
    np.testing.assert_array_equal(load_bundle(bundle).scorer.score(TEXTS), before)


def test_a_scorer_of_another_kind_is_refused(tiny_backbone, tmp_path):
    class Own:
        max_length, n_truncated = None, 0

        def score(self, texts):
            return np.zeros((len(texts), 3), dtype=np.float32)

    with pytest.raises(BundleError, match="cannot hold a Own"):
        save_bundle(
            tmp_path / "b",
            scorer=Own(),
            labels=LABELS,
            thresholds=np.full(3, 0.5),
            config=settings(tiny_backbone),
            data={},
            metrics={},
        )
    assert list(tmp_path.iterdir()) == []


def test_the_network_is_blocked():
    with pytest.raises(RuntimeError, match="no network"):
        socket.create_connection(("127.0.0.1", 9))


def test_importing_takes_no_peft():
    code = "import sys, smallprint.packaging.bundle; sys.exit('peft' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sizes_that_the_weights_do_not_have_are_found_before_memory_is_taken(tmp_path, tiny_backbone):
    config = build_config(
        {"model": {"backbone": str(tiny_backbone), "adapter": "frozen", "head": "svm", "layers": [1, 2]}}
    )
    backbone = load_backbone(str(tiny_backbone))
    classifier = TextClassifier(backbone, KernelHead(64, 2, 5, blocks=2), frozen=True, layers=[1, 2])
    scorer = EncoderScorer(classifier, load_tokenizer(str(tiny_backbone)), "multilabel", 2, max_length=24)
    labels = LabelSet("multilabel", ["red", "green"])
    folder = tmp_path / "svm"
    save_bundle(folder, scorer=scorer, labels=labels, thresholds=[0.5, 0.5], config=config, data={}, metrics={})
    assert load_bundle(folder).scorer.classifier.layers == (1, 2)
    tree = json.loads((folder / "manifest.json").read_text())
    for changed, told in (({"n_support": 10**12}, "support vectors of shape"), ({"layers": [1, 60]}, "names layer 60")):
        (folder / "manifest.json").write_text(json.dumps(tree | changed))
        with pytest.raises(BundleError, match=told):
            load_bundle(folder)
