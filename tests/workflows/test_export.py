"""A trained toy model in other formats: the same scores and decisions, and clear refusals."""

import dataclasses
import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from smallprint import api
from smallprint import export as exporting
from smallprint.core.errors import BundleError, ConfigError, ExportError, SmallprintError
from smallprint.core.settings import build_config
from smallprint.export import export
from smallprint.modeling.onnx_runtime import overflows

TEXTS = ["", "we may close your account", "leaf ocean", "the service " * 60, "é 日本 scarlet", *(["crimson"] * 3)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_backbone, labelled_frame):
    """`trained(task, **model settings)` gives a finished run and the data folder."""
    made = {}

    def train(task, **model):
        key = (task, json.dumps(model, sort_keys=True))
        if key not in made:
            root = tmp_path_factory.mktemp("export")
            frame = labelled_frame(task, 120)
            column = "labels" if task == "multilabel" else "label"
            frame.write_parquet(root / "data.parquet")
            assert column in frame.columns
            config = build_config(
                {
                    "data": {"task": task},
                    "model": {"backbone": str(tiny_backbone), "max_length": 24, **model},
                    "training": {"epochs": 3, "learning_rate": 5e-3},
                    "tracking": {"enabled": False},
                }
            )
            made[key] = api.train(str(root / "data.parquet"), config=config, out=root / "run").run
        return made[key]

    return train


@pytest.fixture(scope="module")
def onnx_of(trained, tmp_path_factory):
    """`onnx_of(task)` gives the folder of its export to ONNX, made once, and what was compared."""
    made = {}

    def give(task, **model):
        run = trained(task, **model)
        if run not in made:
            folder = tmp_path_factory.mktemp("onnx") / "onnx"
            made[run] = folder, export(run, "onnx", folder)
        return made[run]

    return give


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_onnx_scores_are_the_original_ones(trained, onnx_of, task):
    run = trained(task)
    folder, found = onnx_of(task)
    assert found.difference <= 1e-4
    assert found.agreement == found.same_rows == 1.0
    original, exported = api.load(run), api.load(folder)
    assert type(exported.scorer).__name__ == "OnnxScorer"
    np.testing.assert_allclose(exported.score(TEXTS), original.score(TEXTS), atol=1e-4)
    assert exported.predict(TEXTS).labels == original.predict(TEXTS).labels
    for count in (1, 2, 7, 40):  # shapes that were not traced
        texts = [" ".join(["sky"] * (i % 30)) for i in range(count)]
        np.testing.assert_allclose(exported.score(texts), original.score(texts), atol=1e-4)
    assert (exported.max_length, exported.n_truncated > 0) == (24, True)
    assert exported.score([]).shape == (0, original.labels.n_outputs)


def test_windows_and_layers_go_along(trained, tmp_path):
    run = trained("multilabel", long_text="windows", layers=[1, 2])
    export(run, "onnx", tmp_path / "onnx")
    np.testing.assert_allclose(api.load(tmp_path / "onnx").score(TEXTS), api.load(run).score(TEXTS), atol=1e-4)


def test_an_svm_over_a_frozen_encoder(trained, tmp_path):
    run = trained("multilabel", adapter="frozen", head="svm")
    export(run, "onnx", tmp_path / "onnx")
    np.testing.assert_allclose(api.load(tmp_path / "onnx").score(TEXTS), api.load(run).score(TEXTS), atol=1e-4)


def test_int8_is_measured_before_it_is_kept(trained, tmp_path, monkeypatch):
    run = trained("multiclass")
    monkeypatch.setattr(exporting, "AGREE", 0.9)
    monkeypatch.setattr(exporting, "LOSS", 0.1)
    found = export(run, "onnx-int8", tmp_path / "int8")
    assert found.macro_f1 is not None
    assert 0 < found.difference < 0.5
    assert api.load(tmp_path / "int8").scorer.weights == "int8"
    monkeypatch.setattr(exporting, "AGREE", 1.1)
    with pytest.raises(ExportError, match=r"int8 decides otherwise.*macro F1"):
        export(run, "onnx-int8", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_what_is_not_near_enough_is_tried_again_nearer(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "AGREE", 0.9)
    monkeypatch.setattr(exporting, "LOSS", 0.1)
    right, refused = exporting._refusal, []

    def refuse_first(found):
        refused.append(found)
        return ExportError("a", "b", "c") if len(refused) == 1 else right(found)

    monkeypatch.setattr(exporting, "_refusal", refuse_first)
    said = []
    folder = tmp_path / "int8"
    found = export(trained("multiclass"), "onnx-int8", folder, say=said.append)
    assert any("stays in fp32" in line for line in said)
    told = json.loads((folder / "manifest.json").read_text())["metrics"]["export"]
    assert told["weights"] == "int8-spared"
    # without VNNI products are rounded otherwise, and the two lie 1e-6 apart either way
    assert found.difference <= refused[0].difference + (5e-6 if overflows() else 0)


def test_batches_side_by_side_give_the_same_scores(trained, onnx_of):
    from smallprint.modeling.onnx_scorer import OnnxScorer

    whole = api.load(onnx_of("multilabel")[0]).scorer
    more = {"max_length": whole.max_length, "pad_id": whole.pad_id, "empty_id": whole.empty_id}
    texts = [" ".join(["sky", "leaf", "crimson"] * (i % 9 + 1)) for i in range(300)]
    several, one = (
        OnnxScorer(whole.model, whole.tokenizer_json, whole.task, whole.n_outputs, threads=threads, **more).score(texts)
        for threads in (4, 1)
    )
    np.testing.assert_allclose(several, one, atol=1e-6)


def test_calls_side_by_side_share_the_cores_and_give_the_scores_of_each_alone(onnx_of):
    scorer = api.load(onnx_of("multilabel")[0]).scorer
    alone = [scorer.score([text]) for text in TEXTS]
    used, meet, run = set(), threading.Barrier(2, timeout=20), scorer._model.run

    def met(ids, mask, many):
        if many:
            meet.wait()  # breaks where no two batches are under way together
            used.add(threading.current_thread().name)
        return run(ids, mask, many)

    scorer._model = dataclasses.replace(scorer._model, at_once=2, run=met)
    with ThreadPoolExecutor(2) as pool:
        scorer._busy = 1  # as if a third call were under way: no call of these is the only one
        together = [*pool.map(lambda text: scorer.score([text]), TEXTS)]
        scorer._busy = 0
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert len(used) == 2
    assert scorer.at_once == 2


def test_one_text_opens_one_session_and_calls_side_by_side_give_the_same(onnx_of, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    import onnxruntime

    from smallprint.modeling import onnx_scorer

    folder, _ = onnx_of("multilabel")  # made before anything is counted
    opened, right = [], onnxruntime.InferenceSession
    monkeypatch.setattr(onnx_scorer, "usable_cores", lambda: 2)

    def watch(model, options, **more):
        opened.append(
            (options.intra_op_num_threads, options.get_session_config_entry("session.intra_op.allow_spinning"))
        )
        return right(model, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", watch)
    engine = api.load(folder)
    texts = [" ".join(["sky", "leaf"] * (i % 9 + 1)) for i in range(200)]
    alone = np.concatenate([engine.score([text]) for text in texts])
    assert opened == [(2, "1")]
    np.testing.assert_allclose(engine.score(texts), alone, atol=1e-5)
    assert opened == [(2, "1"), (1, "0")]
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda text: engine.score([text]), texts))
    np.testing.assert_allclose(np.concatenate(parts), alone, atol=1e-5)


def test_a_bert_is_laid_in_rows(onnx_of):
    import onnx

    graph = onnx.load_from_string(api.load(onnx_of("multilabel")[0]).scorer.model).graph
    kinds = [node.op_type for node in graph.node]
    layers = kinds.count("Softmax")
    assert layers > 1
    assert kinds.count("FusedMatMul") == 2 * layers
    assert kinds.count("Transpose") == layers + 3  # tokens and the mask of the mean there, their product back


def test_int8_without_labelled_rows_is_refused(trained, tmp_path):
    run = trained("multiclass")
    with pytest.raises(ConfigError, match="no labelled rows"):
        export(run / "bundle", "onnx-int8", tmp_path / "int8")


def test_other_scores_are_refused(trained, onnx_of, tmp_path, monkeypatch):
    from smallprint.packaging import onnx_export

    converted = api.load(onnx_of("binary")[0]).scorer
    monkeypatch.setattr(onnx_export, "to_onnx", lambda *given: converted)
    monkeypatch.setattr(exporting, "NEAR", -1.0)
    with pytest.raises(ExportError, match="gives other scores"):
        export(trained("binary"), "onnx", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_an_operator_that_onnx_lacks_is_named(trained, tmp_path, monkeypatch):
    import torch

    def broken(*arguments, **more):
        raise RuntimeError("No decompositions registered for aten.strange_thing.default")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(ExportError, match=r"aten\.strange_thing"):
        export(trained("binary"), "onnx", tmp_path / "onnx")


def test_a_changed_file_is_found(onnx_of, tmp_path, damage):
    shutil.copytree(onnx_of("binary")[0], tmp_path / "onnx")
    damage(tmp_path / "onnx" / "model.onnx")
    with pytest.raises(BundleError, match="changed or damaged"):
        api.load(tmp_path / "onnx")


def test_a_processor_that_computes_otherwise_is_found(onnx_of, monkeypatch):
    from smallprint.modeling.onnx_scorer import OnnxScorer

    right = OnnxScorer.score
    monkeypatch.setattr(OnnxScorer, "score", lambda self, texts: right(self, texts) * 0.9)
    with pytest.raises(BundleError, match="other scores on this machine"):
        api.load(onnx_of("binary")[0])


def test_a_stack_of_linear_models_needs_no_export_either(toy_run):
    from smallprint.evaluation.stack import Stack
    from smallprint.modeling.stack_scorer import Member, StackScorer
    from smallprint.packaging.onnx_export import has_encoder, to_onnx

    scorer = api.load(toy_run).scorer
    members = [Member("one", [scorer]), Member("two", [scorer, scorer])]
    stack = StackScorer(members, Stack(np.array([0.7, 0.4]), np.zeros(3)))
    assert to_onnx(stack) is stack
    assert not has_encoder(stack)  # by which `export` knows and refuses it, as it does a linear model


def test_a_linear_model_needs_no_export(labelled_frame, tmp_path):
    labelled_frame("multiclass", 90).write_parquet(tmp_path / "d.parquet")
    config = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
    run = api.train(str(tmp_path / "d.parquet"), config=config, out=tmp_path / "run").run
    with pytest.raises(ExportError, match="needs neither torch nor ONNX"):
        export(run, "onnx", tmp_path / "onnx")


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_transformers_own_pipeline_gives_the_scores(trained, task, tmp_path):
    from transformers import pipeline

    run = trained(task, pooling="cls", head="dense")
    found = export(run, "transformers", tmp_path / "hub")
    assert found.difference <= 1e-4
    engine = api.load(run)
    classify = pipeline("text-classification", model=str(tmp_path / "hub"), top_k=None)
    given = classify(TEXTS[1:3])
    raw = engine.scorer.score(TEXTS[1:3])
    for row, scores in zip(given, raw, strict=True):
        by_name = {entry["label"]: entry["score"] for entry in row}
        np.testing.assert_allclose([by_name[name] for name in engine.labels.score_names], scores, atol=1e-4)


def test_what_transformers_cannot_hold_is_refused(trained, tmp_path):
    with pytest.raises(ExportError, match="by mean"):
        export(trained("binary"), "transformers", tmp_path / "hub")


@pytest.mark.parametrize("to", ["onnx", "transformers"])
def test_a_place_that_is_taken_is_told_before_anything_is_exported(trained, tmp_path, to):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("x")
    folder.mkdir()
    (folder / "x").write_text("x")
    lines = []
    for place in (file, file / "x", folder):
        with pytest.raises(SmallprintError):
            export(trained("binary"), to, place, say=lines.append)
    assert lines == []
    assert file.read_text() == (folder / "x").read_text() == "x"


def test_an_unknown_format(trained, tmp_path):
    with pytest.raises(ConfigError, match="onnx-int8"):
        export(trained("binary"), "tensorrt", tmp_path / "x")


def test_neither_torch_nor_transformers_is_imported(onnx_of, tmp_path):
    folder, _ = onnx_of("multilabel")
    table = tmp_path / "t.csv"
    table.write_text("text\nwe may close your scarlet account\n")
    code = (
        "import sys\nfrom smallprint.cli.app import main\n"
        f"try:\n    main(['predict', {str(folder)!r}, {str(table)!r}, '-o', {str(tmp_path / 'o.csv')!r}])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'transformers', 'pytorch_lightning', 'mlflow', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert Path(tmp_path / "o.csv").read_text().count("\n") == 2


def test_the_result_says_all(onnx_of):
    _, found = onnx_of("binary")
    assert {field.name for field in dataclasses.fields(found)} >= {"rows", "difference", "agreement", "size_mb"}
    assert all(line for line in exporting.lines_of(found))


def test_the_model_that_is_read_is_not_written_over(trained, tmp_path):
    run = trained("multilabel")
    before = sorted((path.relative_to(run), path.stat().st_size) for path in run.rglob("*"))
    for out in (run / "bundle", run, run.parent):
        with pytest.raises(ConfigError, match=r"is read, and would be written over|holds the model that is read"):
            export(run, "onnx", out)
    assert sorted((path.relative_to(run), path.stat().st_size) for path in run.rglob("*")) == before
