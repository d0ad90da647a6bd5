"""A static model's bundle: the same scores again bit for bit, without torch, and what was changed or does not fit is told."""

import json
import subprocess
import sys

import numpy as np
import pytest

from smallprint.core.errors import BundleError
from smallprint.core.files import sha256_file
from smallprint.core.settings import build_config
from smallprint.data.labels import LabelSet
from smallprint.modeling.static import StaticClassifier
from smallprint.modeling.static_fit import fit_static
from smallprint.packaging.bundle import load_bundle, save_bundle

SETS = [
    LabelSet("binary", ["fair", "unfair"]),
    LabelSet("multiclass", ["red", "green", "blue"]),
    LabelSet("multilabel", ["red", "green", "blue"]),
]
NEW = ["The scarlet ocean — naïve 东京 😀", "", "we may", "moss\u2028moss \x00"]


def save(folder, frame, labels):
    column = frame["labels"].to_list() if "labels" in frame.columns else [[name] for name in frame["label"]]
    if labels.task == "binary":
        column = [["unfair" if name == ["red"] else "fair"] for name in column]
    scorer = fit_static(frame["text"].to_list(), labels.encode(column), labels.task, labels.n_outputs)
    config = build_config({"model": {"backbone": "static", "static": {"encoder": "none"}}})
    thresholds = np.full(labels.n_outputs, 0.4)
    save_bundle(folder, scorer=scorer, labels=labels, thresholds=thresholds, config=config, data={}, metrics={})
    return scorer


@pytest.fixture
def bundle(labelled_frame, tmp_path):
    save(tmp_path / "b", labelled_frame("multilabel", 40), SETS[2])
    return tmp_path / "b"


def rewrite(folder, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    tree = json.loads((folder / "manifest.json").read_text())
    tree["files"][name] = sha256_file(folder / name)
    (folder / "manifest.json").write_text(json.dumps(tree))


@pytest.mark.parametrize("labels", SETS, ids=lambda labels: labels.task)
def test_loaded_scores_equal_the_originals_bit_for_bit(labelled_frame, tmp_path, labels):
    frame = labelled_frame(labels.task, 60)
    scorer = save(tmp_path / "b", frame, labels)
    loaded = load_bundle(tmp_path / "b")
    assert isinstance(loaded.scorer, StaticClassifier)
    texts = [*frame["text"], *NEW]
    assert scorer.score(texts).tobytes() == loaded.scorer.score(texts).tobytes()
    assert loaded.manifest["family"] == "static"


def test_no_heavy_package_is_imported(bundle):
    code = (
        "import sys; from smallprint.inference.engine import load_engine; load_engine(sys.argv[1]).predict(['we may']);"
        "print({'torch', 'transformers', 'sklearn', 'scipy', 'onnxruntime', 'tokenizers', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"own": None}, "lacks array 'own'"),
        ({"more": np.zeros(1)}, "has an unknown array 'more'"),
        ({"bias": np.zeros(2)}, "'bias' has shape"),
        ({"pair_rows": np.zeros((1, 3), dtype=np.float32)}, "'pair_rows' has shape"),
        ({"pairs": np.array([10**12, 5])}, "'pair"),
    ],
)
def test_arrays_that_do_not_fit_are_told(bundle, change, told):
    from safetensors.numpy import load_file, save

    kept = load_file(bundle / "model.safetensors") | change
    rewrite(bundle, "model.safetensors", save({name: array for name, array in kept.items() if array is not None}))
    with pytest.raises(BundleError, match=told):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"words": ["we", "we"]}, "stand twice"), ({"unknown": -1.0}, "unknown"), ({"code": "x"}, "code")],
)
def test_words_that_do_not_fit_are_told(bundle, change, told):
    tree = json.loads((bundle / "words.json").read_text()) | change
    rewrite(bundle, "words.json", json.dumps(tree).encode())
    with pytest.raises(BundleError, match=told):
        load_bundle(bundle)


def test_a_changed_file_is_refused(bundle):
    (bundle / "words.json").write_text("{}")
    with pytest.raises(BundleError, match="changed or damaged"):
        load_bundle(bundle)
