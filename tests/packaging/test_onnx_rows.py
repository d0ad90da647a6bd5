"""Attention on rows of tokens: the same answers in fewer steps, and hands off what is not recognised."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sessions import open_session

from smallprint.packaging.onnx_int8 import round_graph
from smallprint.packaging.onnx_rows import lay_rows

WIDTH, HEADS = 32, 4
TOKENS, VIEW = ["n", "length", WIDTH], ["n", "length", HEADS, WIDTH // HEADS]


def attention(softmax=True, told=True, keys_read_twice=False, masked=True):
    """One layer as the exporter writes it: embedding, attention, what comes after, a mean over tokens."""
    rng = np.random.default_rng(1)
    constants = {name: rng.standard_normal((WIDTH, WIDTH)) / 5 for name in ("wq", "wk", "wv", "wo")}
    constants |= {name: rng.standard_normal(WIDTH) for name in ("bq", "bk", "bv", "bo", "gain", "shift")}
    constants["table"] = rng.standard_normal((50, WIDTH))
    given = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    given.append(numpy_helper.from_array(np.array([0, 0, HEADS, WIDTH // HEADS]), "view"))
    given.append(numpy_helper.from_array(np.array([0, 0, WIDTH]), "flat"))
    given.append(numpy_helper.from_array(np.float32(0.35), "scale"))
    given.append(numpy_helper.from_array(np.array([1]), "one"))
    nodes, shapes = [], {}

    def add(kind, inputs, output, shape, **more):
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **more))
        shapes[output] = shape

    scores = ["n", HEADS, "length", "length"]
    add("Gather", ["table", "ids"], "x", TOKENS)
    for part in "qkv":
        add("MatMul", ["x", f"w{part}"], f"{part}_product", TOKENS)
        add("Add", [f"{part}_product", f"b{part}"], part, TOKENS)
        add("Reshape", [part, "view"], f"{part}_view", VIEW)
        turned = [0, 2, 3, 1] if part == "k" else [0, 2, 1, 3]
        add("Transpose", [f"{part}_view"], f"{part}_heads", ["n", HEADS, *scores[2:]], perm=turned)
    add("MatMul", ["q_heads", "k_heads"], "raw", scores)
    add("Mul", ["raw", "scale"], "scaled", scores)
    add("Add", ["scaled", "mask"] if masked else ["scaled", "scaled"], "masked", scores)
    add("Softmax" if softmax else "Relu", ["masked"], "shares", scores, **({"axis": -1} if softmax else {}))
    add("MatMul", ["shares", "v_heads"], "sums", ["n", HEADS, "length", WIDTH // HEADS])
    add("Transpose", ["sums"], "turned", VIEW, perm=[0, 2, 1, 3])
    add("Reshape", ["turned", "flat"], "out", TOKENS)
    add("MatMul", ["out", "wo"], "o_product", TOKENS)
    add("Add", ["bo", "o_product"], "o", TOKENS)
    add("Add", ["o", "k" if keys_read_twice else "x"], "sum", TOKENS)
    add("LayerNormalization", ["sum", "gain", "shift"], "normed", TOKENS, axis=2)
    add("ReduceMean", ["normed", "one"], "logits", ["n", WIDTH], keepdims=0)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "toy",
        [value("ids", TensorProto.INT64, ["n", "length"]), value("mask", TensorProto.FLOAT, ["n", 1, 1, "length"])],
        [value("logits", TensorProto.FLOAT, ["n", WIDTH])],
        given,
        value_info=[value(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()] if told else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def run(content, n=3, length=7):
    rng = np.random.default_rng(2)
    mask = np.zeros((n, 1, 1, length), dtype=np.float32)
    mask[0, ..., length // 2 + 1 :] = -1e4
    session = open_session(content)
    return session.run(["logits"], {"ids": rng.integers(0, 50, (n, length)), "mask": mask})[0]


def kinds(content):
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("keys_read_twice", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_the_answers_are_the_same(softmax, keys_read_twice, masked):
    plain = attention(softmax, keys_read_twice=keys_read_twice, masked=masked)
    laid = lay_rows(plain, "ids")
    assert kinds(laid).count("FusedMatMul") == 2
    for n, length in ((1, 1), (1, 9), (3, 7), (5, 2)):
        np.testing.assert_allclose(run(laid, n, length), run(plain, n, length), atol=2e-5)


def test_fewer_copies_and_additions():
    laid = lay_rows(attention(), "ids")
    assert kinds(laid).count("Transpose") == 3  # of the tokens, there and back, and one in attention
    assert kinds(laid).count("Add") == kinds(attention()).count("Add") - 2  # of keys and values
    # without a softmax neither is the same for all
    assert kinds(lay_rows(attention(softmax=False), "ids")).count("Add") == kinds(attention()).count("Add")


def test_shapes_that_are_not_known_leave_it_as_it_was():
    plain = attention(told=False)
    assert lay_rows(plain, "ids") == plain


def test_rows_are_rounded_one_by_one():
    plain = attention()
    rounded = round_graph(lay_rows(plain, "ids"), "logits")
    axes = [
        [part.i for part in node.attribute if part.name == "axis"]
        for node in onnx.load_from_string(rounded).graph.node
        if node.op_type == "QuantizeLinear"
    ]
    assert axes == [[0], [0]]
    assert np.linalg.norm(run(rounded) - run(plain)) < 0.05 * np.linalg.norm(run(plain))
