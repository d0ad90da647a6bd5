"""Matrices of a graph in int8: near to what they were, each text by itself, and far from what one scale for all gives."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sessions import open_session

from smallprint.modeling.onnx_runtime import overflows
from smallprint.packaging.onnx_graph import join_operators
from smallprint.packaging.onnx_int8 import round_graph

WORDS, WIDTH, INNER = 4096, 32, 128


@pytest.fixture(scope="module")
def plain():
    """A table of vectors, two products (one widens, one narrows) and a head, as the content of a file."""
    rng = np.random.default_rng(3)
    weights = {
        "table": rng.standard_normal((WORDS, WIDTH)),
        "wide": rng.standard_normal((WIDTH, INNER)) / 6,
        "narrow": rng.standard_normal((INNER, WIDTH)) / 11,
        "head": rng.standard_normal((WIDTH, 8 * 4)) / 6,
    }
    weights["table"][7] *= 30  # a word whose vector is far larger than the others'
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["x"]),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
        helper.make_node("MatMul", ["x", "wide"], ["again"]),
        helper.make_node("Add", ["y", "again"], ["both"]),
        helper.make_node("Relu", ["both"], ["z"]),
        helper.make_node("MatMul", ["z", "narrow"], ["s"]),
        helper.make_node("MatMul", ["s", "head"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", "length", 32])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def run(content, ids):
    return open_session(content).run(None, {"input_ids": np.asarray(ids, dtype=np.int64)})[0]


def test_the_answers_are_near(plain):
    ids = np.arange(8, 48).reshape(4, 10)
    before, after = run(plain, ids), run(round_graph(plain, "logits"), ids)
    assert np.abs(after - before).max() > 0
    assert np.linalg.norm(after - before) < 0.02 * np.linalg.norm(before)


def test_a_text_is_scored_as_if_it_were_alone(plain):
    rounded = round_graph(plain, "logits")
    alone, beside = run(rounded, [[20, 21, 22]]), run(rounded, [[20, 21, 22], [7, 7, 7]])
    np.testing.assert_array_equal(alone[0], beside[0])


def test_unsigned_weights_for_processors_that_overflow_give_the_same(plain):
    rounded, ids = round_graph(plain, "logits"), np.arange(24).reshape(2, 12)
    unsigned, signed = (open_session(rounded, given).run(None, {"input_ids": ids})[0] for given in (True, False))
    right = run(plain, ids)
    assert np.linalg.norm(unsigned - right) < 0.02 * np.linalg.norm(right)
    if not overflows():  # else what is signed is far off, unless the processor is one that is not known
        np.testing.assert_allclose(unsigned, signed, atol=1e-4)


def test_which_processors_may_overflow(tmp_path, monkeypatch):
    from smallprint.modeling import onnx_runtime

    info = tmp_path / "cpuinfo"
    info.write_text("flags : avx2 avx512_vnni\n")
    monkeypatch.setattr(onnx_runtime.platform, "machine", lambda: "x86_64")
    assert not onnx_runtime.overflows(info)
    info.write_text("flags : avx2\n")
    assert onnx_runtime.overflows(info)
    assert onnx_runtime.overflows(tmp_path / "missing")
    monkeypatch.setattr(onnx_runtime.platform, "machine", lambda: "aarch64")
    assert not onnx_runtime.overflows(info)


def test_a_row_that_is_all_zero(plain):
    model = onnx.load_from_string(plain)
    table = next(part for part in model.graph.initializer if part.name == "table")
    values = numpy_helper.to_array(table).copy()
    values[5] = 0
    table.CopyFrom(numpy_helper.from_array(values, "table"))
    given = run(round_graph(model.SerializeToString(), "logits"), [[5, 6]])
    assert np.isfinite(given).all()
    assert (given[0, 0] == 0).all()


def test_the_head_stays_and_inputs_are_rounded_once(plain):
    model = onnx.load_from_string(round_graph(plain, "logits"))
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 3
    assert kinds.count("QuantizeLinear") == 2  # two products share an input
    assert next(node for node in model.graph.node if "logits" in node.output).op_type == "MatMul"
    types = {part.name: part.data_type for part in model.graph.initializer}
    assert {"table", "wide", "narrow"}.isdisjoint(types)
    assert types["head"] == TensorProto.FLOAT


def test_what_is_spared_stays_in_fp32(plain):
    ids = [[20, 21, 22, 23]]
    spared, rounded = (round_graph(plain, "logits", spare=spare) for spare in (True, False))
    kinds = [node.op_type for node in onnx.load_from_string(spared).graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 2
    assert kinds.count("Gather") == 1
    errors = [np.linalg.norm(run(content, ids) - run(plain, ids)) for content in (spared, rounded)]
    assert errors[0] < errors[1]
    assert len(rounded) < 0.35 * len(plain) < len(spared)


@pytest.mark.parametrize("sizes", [{}, {"hidden_size": 32}, {"hidden_size": 32, "num_attention_heads": 5}])
def test_operators_are_joined_whatever_a_backbone_tells_of_its_sizes(plain, sizes):
    joined = join_operators(plain, SimpleNamespace(**sizes))
    ids = {"input_ids": np.array([[1, 7, 3]])}
    before, after = (open_session(content).run(["logits"], ids)[0] for content in (plain, joined))
    assert np.allclose(before, after, atol=1e-5)


def gelu_model(shared):
    """A product, a constant added, GELU, a product that narrows; `shared`: something else reads what GELU reads."""
    rng = np.random.default_rng(5)
    weights = {
        "wide": rng.standard_normal((WIDTH, INNER)) / 6,
        "bias": rng.standard_normal(INNER),
        "narrow": rng.standard_normal((INNER, WIDTH)) / 11,
    }
    nodes = [
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
        helper.make_node("Add", ["bias", "y"], ["z"]),
        helper.make_node("Gelu", ["z"], ["g"], domain="com.microsoft"),
        helper.make_node("MatMul", ["g", "narrow"], ["s"]),
        helper.make_node("ReduceMax", ["z"] if shared else ["s"], ["t"]),
        helper.make_node("Add", ["s", "t"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


@pytest.mark.parametrize("shared", [True, False])
def test_gelu_takes_the_constant_before_it_along_where_nothing_else_reads_it(shared):
    plain = gelu_model(shared)
    rounded = round_graph(plain, "none")
    kinds = [node.op_type for node in onnx.load_from_string(rounded).graph.node]
    assert kinds.count("FastGelu") == 1
    assert kinds.count("Gelu") == 0
    assert kinds.count("Add") == 1 + shared
    assert kinds.count("Abs") == 1  # what GELU gives needs none
    # the last row lies where GELU gives small negative numbers alone
    x = np.concatenate([np.random.default_rng(0).standard_normal((5, WIDTH)), np.full((1, WIDTH), -0.01)])
    before, after = (open_session(content).run(None, {"x": x.astype(np.float32)})[0] for content in (plain, rounded))
    assert np.linalg.norm(after - before) < 0.03 * np.linalg.norm(before)
