"""What an MLflow model of a bundle asks pip for."""

from types import SimpleNamespace

import numpy as np
import pytest

from smallprint.data.labels import LabelSet
from smallprint.evaluation.stack import Stack
from smallprint.inference.engine import Engine
from smallprint.modeling.stack_scorer import Member, StackScorer
from smallprint.registry.flavour import _signature, answer_table, extras_of

PLAIN, ONNX, OPENVINO = SimpleNamespace(), SimpleNamespace(runtime="onnxruntime"), SimpleNamespace(runtime="openvino")


def stack(*scorers):
    members = [Member(str(i), [scorer]) for i, scorer in enumerate(scorers)]
    return StackScorer(members, Stack(np.ones(len(members)), np.zeros(1)))


@pytest.mark.parametrize(
    ("scorer", "extras"),
    [
        (PLAIN, ""),
        (ONNX, "[onnx]"),
        (OPENVINO, "[openvino]"),
        (stack(PLAIN), ""),
        (stack(PLAIN, ONNX), "[onnx]"),
        (stack(stack(PLAIN, OPENVINO), ONNX), "[onnx,openvino]"),
    ],
)
def test_it_asks_for_what_runs_the_model_and_its_members(scorer, extras):
    assert extras_of(scorer) == extras


@pytest.mark.parametrize(
    ("task", "scores", "columns"),
    [
        ("multiclass", [0.2, 0.5, 0.3], ["label", "label_score", "score_a", "score_b", "score_c"]),
        ("multilabel", [0.2, 0.5, 0.3], ["labels", "score_a", "score_b", "score_c"]),
        ("binary", [0.7], ["label", "score_c"]),
    ],
)
def test_its_columns_are_those_of_predict_and_of_its_signature(task, scores, columns):
    pytest.importorskip("mlflow")
    names = ["a", "b", "c"] if task != "binary" else ["b", "c"]
    scorer = SimpleNamespace(max_length=None, n_truncated=0, score=lambda texts: np.float32([scores] * len(texts)))
    engine = Engine(scorer, LabelSet(task, names), np.full(len(scores), 0.5))
    table = answer_table(engine, ["one", "two"])
    assert list(table.columns) == _signature(engine).outputs.input_names() == columns
    if task == "multiclass":
        assert (table["label"][0], table["label_score"][0]) == ("b", 0.5)
