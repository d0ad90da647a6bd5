"""What an MLflow model of a bundle asks pip for."""

from types import SimpleNamespace

import numpy as np
import pytest

from smallprint.evaluation.stack import Stack
from smallprint.modeling.stack_scorer import Member, StackScorer
from smallprint.registry.flavour import extras_of

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
