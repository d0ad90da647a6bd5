"""The matrices of a graph stored in int8, to be multiplied by what rounds their inputs itself. In: a model in ONNX. Out: the same.

A matrix becomes whole numbers with a scale for each column, and a DequantizeLinear before its product; tables of vectors likewise,
a scale for each vector. Standard ONNX: OpenVINO takes it for compressed weights and multiplies whole numbers, rounding every token's
vector as it comes; onnxruntime reads it too, and computes in fp32. It reads no settings and compares nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.packaging.onnx_int8 import is_matrix, is_table, rounded


def store_int8(content: bytes, keep: str, spare: bool = False) -> bytes:
    """Gives the model with its matrices and large tables in int8.

    Args:
        content: Of a .onnx file.
        keep: Name of an output whose own product stays in fp32: the head's, whose sums decide.
        spare: Leave tables and products that narrow in fp32 too, as `round_graph` does.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(content)
    graph = model.graph
    weights = {part.name: part for part in graph.initializer}
    nodes: list[Any] = []
    constants: dict[str, list[Any]] = {}
    for node in graph.node:
        values = {name: numpy_helper.to_array(weights[name]) for name in node.input if name in weights}
        place = None
        if node.op_type == "MatMul" and keep not in node.output and is_matrix(values.get(node.input[1]), spare):
            place, axis = 1, 1
        elif node.op_type == "Gather" and not spare and is_table(values.get(node.input[0])):
            place, axis = 0, 0
        if place is not None:
            name = node.input[place]
            stored = f"{name}_axis{axis}"
            if stored not in constants:
                constants[stored] = _constants(stored, values[name], axis)
                inputs = [part.name for part in constants[stored]]
                nodes.append(onnx.helper.make_node("DequantizeLinear", inputs, [stored], name=stored, axis=axis))
            node.input[place] = stored
        nodes.append(node)
    needed = {name for node in nodes for name in node.input}
    kept = [part for part in graph.initializer if part.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *(part for parts in constants.values() for part in parts)])
    stored_model: bytes = model.SerializeToString()
    return stored_model


def _constants(name: str, weight: NDArray[Any], axis: int) -> list[Any]:
    from onnx import numpy_helper

    rows, scale = rounded(weight.T if axis else weight)
    whole = np.ascontiguousarray(rows.T if axis else rows)
    return [numpy_helper.from_array(whole, f"{name}_w8"), numpy_helper.from_array(scale, f"{name}_scale")]


__all__ = ["store_int8"]
