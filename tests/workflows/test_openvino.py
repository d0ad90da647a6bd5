"""Exports that OpenVINO runs: near the original, each text by itself, refused where they are not, and reported to nobody."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from smallprint import api
from smallprint import export as exporting
from smallprint.core.errors import BundleError, ExportError, MissingExtraError
from smallprint.core.settings import build_config
from smallprint.core.telemetry import OFF, openvino_unreported
from smallprint.export import export

with openvino_unreported():
    pytest.importorskip("openvino", reason="the extra openvino is not installed")

TEXTS = ["", "we may close your account", "leaf ocean", "the service " * 60, "é 日本 scarlet", *(["crimson"] * 3)]
NEAR = 0.05  # of a score: matrices and tokens in int8


@pytest.fixture(scope="module", autouse=True)
def lenient():
    """A toy's scores stand near its thresholds, so that few decisions are many."""
    before = exporting.AGREE, exporting.LOSS
    exporting.AGREE, exporting.LOSS = 0.9, 0.1
    yield
    exporting.AGREE, exporting.LOSS = before


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tiny_backbone, labelled_frame):
    """`exported(task, **model settings)` gives a run, the folder of its export, made once, and what was compared."""
    made = {}

    def give(task, **model):
        key = (task, json.dumps(model, sort_keys=True))
        if key not in made:
            root = tmp_path_factory.mktemp("openvino")
            labelled_frame(task, 120).write_parquet(root / "data.parquet")
            config = build_config(
                {
                    "data": {"task": task},
                    "model": {"backbone": str(tiny_backbone), "max_length": 24, **model},
                    "training": {"epochs": 3, "learning_rate": 5e-3},
                    "tracking": {"enabled": False},
                }
            )
            run = api.train(str(root / "data.parquet"), config=config, out=root / "run").run
            made[key] = run, root / "out", export(run, "openvino-int8", root / "out")
        return made[key]

    return give


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_scores_are_near_the_original_ones(exported, task):
    run, folder, found = exported(task)
    assert 0 < found.difference < NEAR
    original, anew = api.load(run), api.load(folder)
    assert (anew.scorer.runtime, anew.scorer.weights) == ("openvino", "int8")
    np.testing.assert_allclose(anew.score(TEXTS), original.score(TEXTS), atol=NEAR)
    assert (anew.max_length, anew.n_truncated > 0) == (24, True)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["family"], manifest["runtime"], manifest["metrics"]["export"]["to"]) == (
        "onnx",
        "openvino",
        "openvino-int8",
    )
    assert "openvino" in manifest["versions"]


def test_a_text_is_scored_as_if_it_were_alone(exported):
    engine = api.load(exported("multilabel")[1])
    texts = [" ".join(["sky", "leaf", "crimson", "account"][: i % 4 + 1] * (i % 7 + 1)) for i in range(90)]
    alone = np.concatenate([engine.score([text]) for text in texts])
    np.testing.assert_allclose(engine.score(texts), alone, atol=1e-4)


def test_several_threads_may_score_at_once(exported):
    from concurrent.futures import ThreadPoolExecutor

    engine = api.load(exported("multilabel")[1])
    texts = [" ".join(["sky", "leaf"] * (i % 9 + 1)) for i in range(64)]
    alone = engine.score(texts)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: engine.score([texts[i]]), range(64)))
    np.testing.assert_allclose(np.concatenate(parts), alone, atol=1e-4)


def test_without_memory_for_a_second_model_batches_take_turns_at_the_first(exported, monkeypatch):
    import openvino

    compile_model = openvino.Core.compile_model

    def short_of_memory(self, model, device, settings):
        if settings["NUM_STREAMS"] > 1:
            raise RuntimeError("bad allocation")
        return compile_model(self, model, device, settings)

    folder = exported("multilabel")[1]
    texts = [" ".join(["sky", "leaf", "account"] * (i % 60 + 1)) for i in range(200)]
    monkeypatch.setattr(openvino.Core, "compile_model", short_of_memory)
    monkeypatch.setattr("smallprint.modeling.onnx_scorer.usable_cores", lambda: 2)
    found = api.load(folder).score(texts)
    monkeypatch.undo()
    np.testing.assert_allclose(found, api.load(folder).score(texts), atol=1e-4)


def test_long_texts_in_windows(exported):
    run, folder, _ = exported("multilabel", long_text="windows", layers=[1, 2])
    long = " ".join(["sky leaf", "crimson account"] * 60)
    np.testing.assert_allclose(api.load(folder).score([long, "sky"]), api.load(run).score([long, "sky"]), atol=NEAR)


def test_members_of_a_stack(exported):
    from smallprint.evaluation.stack import Stack
    from smallprint.modeling.stack_scorer import Member, StackScorer
    from smallprint.packaging.onnx_export import to_onnx

    scorer = api.load(exported("multilabel")[0]).scorer
    members = [Member("one", [scorer]), Member("two", [scorer, scorer])]
    stack = StackScorer(members, Stack(np.array([0.7, 0.4]), np.zeros(scorer.n_outputs)))
    anew = to_onnx(stack, "int8", runtime="openvino")
    assert {part.runtime for member in anew.members for part in member.scorers} == {"openvino"}
    np.testing.assert_allclose(anew.score(TEXTS), stack.score(TEXTS), atol=NEAR)


def test_a_model_that_decides_otherwise_is_refused(exported, tmp_path, monkeypatch):
    run, *_ = exported("multiclass")
    monkeypatch.setattr(exporting, "AGREE", 1.1)
    said = []
    with pytest.raises(ExportError, match=r"int8 decides otherwise.*macro F1"):
        export(run, "openvino-int8", tmp_path / "refused", say=said.append)
    assert any("stays in fp32" in line for line in said)
    assert not (tmp_path / "refused").exists()


def test_a_changed_file_is_refused(exported, tmp_path, damage):
    shutil.copytree(exported("binary")[1], tmp_path / "bundle")
    damage(tmp_path / "bundle" / "model.onnx")
    with pytest.raises(BundleError, match="changed or damaged"):
        api.load(tmp_path / "bundle")


def test_a_processor_that_computes_otherwise_is_found(exported, monkeypatch):
    from smallprint.modeling.onnx_scorer import OnnxScorer

    right = OnnxScorer.score
    monkeypatch.setattr(OnnxScorer, "score", lambda self, texts: right(self, texts) * 0.9)
    with pytest.raises(BundleError, match="versions of openvino compute"):
        api.load(exported("binary")[1])


def test_a_model_that_openvino_cannot_read():
    from smallprint.modeling.onnx_runtime import open_model

    with pytest.raises(BundleError, match="cannot be read"):
        open_model(b"no model", "openvino", 1)


def test_without_the_package(exported, monkeypatch):
    folder = exported("binary")[1]
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError) as caught:
        api.load(folder)
    assert "pip install 'smallprint[openvino]'" in str(caught.value)


def test_the_file_is_standard_onnx_and_a_manifest_without_a_runtime_means_onnxruntime(exported, monkeypatch):
    import onnx

    from smallprint.modeling import onnx_runtime
    from smallprint.modeling.onnx_scorer import OnnxScorer

    # on a processor that overflows, onnxruntime would make these weights unsigned, which it cannot where each row has a scale
    monkeypatch.setattr(onnx_runtime, "overflows", lambda: False)
    scorer = api.load(exported("multilabel")[1]).scorer
    model = onnx.load_from_string(scorer.model)
    onnx.checker.check_model(model)
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("DequantizeLinear") > 4
    head = next(node for node in model.graph.node if "logits" in node.output)
    assert not any("_axis" in name for name in head.input)
    more = {"max_length": scorer.max_length, "pad_id": scorer.pad_id, "empty_id": scorer.empty_id, "weights": "int8"}
    other = OnnxScorer(scorer.model, scorer.tokenizer_json, scorer.task, scorer.n_outputs, **more)
    assert other.runtime == "onnxruntime"
    np.testing.assert_allclose(other.score(TEXTS), scorer.score(TEXTS), atol=NEAR)


def test_what_a_text_is_padded_to_hangs_on_itself_and_ends_where_the_model_does(exported):
    """Padding moves scores a little in int8, and vectors of positions end at `max_length`."""
    from smallprint.modeling.onnx_scorer import OnnxScorer

    whole = api.load(exported("multilabel")[1]).scorer
    more = {"pad_id": whole.pad_id, "empty_id": whole.empty_id, "weights": "int8", "runtime": "openvino"}
    scorer = OnnxScorer(whole.model, whole.tokenizer_json, whole.task, whole.n_outputs, max_length=21, **more)
    opened, padded, lengths = scorer._model, [], set()

    def watch(ids, mask, many):
        padded.extend(ids.shape[1] - mask.sum(axis=1))
        lengths.add(ids.shape[1])
        return opened.run(ids, mask, many)

    scorer._model = replace(opened, run=watch)
    scorer.score(["sky " * i for i in range(60)])
    assert len(padded) == 60
    assert max(padded) < 8
    assert lengths == {8, 16, 21}


def test_predicting_imports_no_torch_and_leaves_nothing_in_the_home_folder(exported, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "t.csv").write_text("text\nwe may close your scarlet account\n")
    arguments = ["predict", str(exported("multilabel")[1]), str(tmp_path / "t.csv"), "-o", str(tmp_path / "o.csv")]
    code = (
        "import sys\n"
        "def watch(event, given):\n"
        "    assert event not in ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen', 'os.fork'), (event, given)\n"
        "sys.addaudithook(watch)\n"
        "from smallprint.cli.app import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert 'openvino' in sys.modules\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'onnx', 'mlflow', 'sklearn', 'openvino.tools.ovc'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert sys.modules['openvino_telemetry'] is None"
    )
    environment = {name: value for name, value in os.environ.items() if name not in OFF}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
    assert (tmp_path / "o.csv").read_text().count("\n") == 2
    assert list(home.rglob("*")) == []
