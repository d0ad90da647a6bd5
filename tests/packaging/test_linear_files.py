"""A linear model's bundle: the same scores again bit for bit, and what was changed or does not fit is told."""

import json
import subprocess
import sys

import numpy as np
import pytest

from smallprint.core.errors import BundleError
from smallprint.core.files import sha256_file
from smallprint.core.settings import build_config
from smallprint.data.labels import LabelSet
from smallprint.modeling.linear import LinearClassifier, fit_linear
from smallprint.packaging.bundle import load_bundle, save_bundle

SETS = [
    LabelSet("binary", ["fair", "unfair"]),
    LabelSet("multiclass", ["red", "green", "blue"]),
    LabelSet("multilabel", ["red", "green", "blue"]),
]
NEW = ["The scarlet ocean — naïve 东京 😀", "", "we may", "moss\u2028moss \x00"]


def fitted(frame, labels: LabelSet) -> tuple[LinearClassifier, list[str]]:
    column = frame["labels"].to_list() if "labels" in frame.columns else [[name] for name in frame["label"]]
    if labels.task == "binary":
        column = [["unfair" if name == ["red"] else "fair"] for name in column]
    texts = [f"{text} «é»" for text in frame["text"]]
    return fit_linear(texts, labels.encode(column), labels.task, labels.n_outputs), texts


def save(folder, scorer, labels):
    return save_bundle(
        folder,
        scorer=scorer,
        labels=labels,
        thresholds=np.full(labels.n_outputs, 0.4),
        config=build_config({"model": {"backbone": "tfidf"}}),
        data={},
        metrics={},
    )


@pytest.fixture
def bundle(labelled_frame, tmp_path):
    scorer, _ = fitted(labelled_frame("multilabel", 40), SETS[2])
    return save(tmp_path / "bundle", scorer, SETS[2])


def rewrite(folder, name: str, content: str | bytes) -> None:
    """Changes a file and its hash."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    path = folder / "manifest.json"
    tree = json.loads(path.read_text())
    tree["files"][name] = sha256_file(folder / name)
    path.write_text(json.dumps(tree))


def change_terms(folder, change) -> None:
    tree = json.loads((folder / "terms.json").read_text())
    change(tree)
    rewrite(folder, "terms.json", json.dumps(tree))


def change_arrays(folder, **arrays) -> None:
    from safetensors.numpy import load_file, save

    kept = load_file(folder / "model.safetensors") | arrays
    rewrite(folder, "model.safetensors", save({name: array for name, array in kept.items() if array is not None}))


@pytest.mark.parametrize("labels", SETS, ids=lambda labels: labels.task)
def test_loaded_scores_equal_the_originals_bit_for_bit(labelled_frame, tmp_path, labels):
    scorer, texts = fitted(labelled_frame(labels.task, 60), labels)
    loaded = load_bundle(save(tmp_path / "b", scorer, labels))
    assert isinstance(loaded.scorer, LinearClassifier)
    before, after = scorer.score([*texts, *NEW]), loaded.scorer.score([*texts, *NEW])
    assert before.tobytes() == after.tobytes()
    assert np.ptp(before[:, 0]) > 0.3
    assert loaded.labels == labels
    assert loaded.config.model.family == "linear"
    again = save(tmp_path / "again", loaded.scorer, labels)
    for name in ("model.safetensors", "terms.json"):
        assert (again / name).read_bytes() == (loaded.folder / name).read_bytes()


def test_what_lies_in_the_folder(bundle):
    names = {path.name for path in bundle.iterdir()}
    assert names == {"manifest.json", "config.yaml", "model.safetensors", "terms.json"}
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["family"] == "linear"
    assert set(manifest["files"]) == names - {"manifest.json"}
    assert set(manifest["versions"]) == {"python", "numpy", "scikit-learn", "scipy", "smallprint"}
    terms = json.loads((bundle / "terms.json").read_text())["analyzers"]
    assert [(part["analyzer"], part["ngrams"], part["text"]) for part in terms] == [
        ("word", [1, 3], "plain words"),
        ("char_wb", [2, 5], "plain words"),
    ]


def test_no_terms(bundle):
    (bundle / "terms.json").unlink()
    with pytest.raises(BundleError, match=r"lacks terms\.json"):
        load_bundle(bundle)
    path = bundle / "manifest.json"
    tree = json.loads(path.read_text())
    del tree["files"]["terms.json"]
    path.write_text(json.dumps(tree))
    with pytest.raises(BundleError, match=r"terms\.json cannot be read"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tree: tree["analyzers"][0]["terms"].append("another"), "shape"),
        (lambda tree: tree["analyzers"][1]["terms"].pop(), "shape"),
        (lambda tree: tree["analyzers"].pop(), "unknown array 'idf.char_wb'"),
        (lambda tree: tree["analyzers"].clear(), "analyzers"),
        (lambda tree: tree["analyzers"][0]["terms"].__setitem__(0, tree["analyzers"][0]["terms"][1]), "twice"),
        (lambda tree: tree["analyzers"].append(tree["analyzers"][0]), "an analyzer stands twice"),
        (lambda tree: tree["analyzers"][0].update(analyzer="lambda text: text"), "analyzer"),
        (lambda tree: tree["analyzers"][0].update(ngrams=[3, 1]), "n-grams"),
        (lambda tree: tree["analyzers"][0].update(ngrams=["1", "3"]), "ngrams"),
        (lambda tree: tree["analyzers"][0].update(tokenizer="os:system"), "tokenizer"),
        (lambda tree: tree["analyzers"][0].update(terms="abc"), "terms"),
    ],
)
def test_terms_that_do_not_fit_although_their_hash_does(bundle, change, said):
    change_terms(bundle, change)
    with pytest.raises(BundleError) as error:
        load_bundle(bundle)
    assert said in error.value.found
    assert error.value.do


@pytest.mark.parametrize("content", ["{nonsense: [", "[]", b"\xff\xfe", ""])
def test_terms_that_are_no_terms(bundle, content):
    rewrite(bundle, "terms.json", content)
    with pytest.raises(BundleError, match=r"terms\.json cannot be read"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"weights": np.zeros((3, 4), np.float32)}, "'weights' has shape [3, 4]"),
        ({"weights": np.zeros((2, 4), np.float32)}, "2 outputs, but the manifest names 3 labels"),
        ({"weights": np.zeros(4, np.float32)}, "'weights' has shape [4]"),
        ({"bias": np.zeros(2)}, "'bias' has shape [2]"),
        ({"platt": np.zeros((3, 1))}, "'platt' has shape [3, 1]"),
        ({"platt": np.zeros((3, 2), np.float32)}, "float32"),
        ({"idf.word": np.zeros(1)}, "'idf.word' has shape [1]"),
        ({"bias": None}, "lacks array 'bias'"),
        ({"head.weight": np.zeros(1)}, "unknown array 'head.weight'"),
    ],
)
def test_arrays_of_wrong_sizes(bundle, arrays, said):
    change_arrays(bundle, **arrays)
    with pytest.raises(BundleError) as error:
        load_bundle(bundle)
    assert said in error.value.found
    assert error.value.expected


def test_weights_that_are_no_safetensors(bundle):
    rewrite(bundle, "model.safetensors", b"\x80\x04pickle")
    with pytest.raises(BundleError, match=r"model\.safetensors cannot be read"):
        load_bundle(bundle)


def test_a_linear_bundle_needs_no_torch(bundle):
    code = (
        "import sys; from smallprint.inference.engine import load_engine; "
        f"load_engine({str(bundle)!r}).score(['a scarlet ocean']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
