"""The matrices of a graph in int8, and their inputs row by row. In: a model in ONNX. Out: the same, its sums in whole numbers.

A row x (one token's vector) becomes q = round(127 x / max|x|) + 128, in 8 bits, as it comes; a column of weights, once and for
all, whole numbers from -127 to 127 with a scale (as in `modeling/int8.py`). So x W is about q W8, less what 128 adds, times both
scales. The largest number of one token is no concern of another's: a text's scores do not depend on what shares its batch, and
the error is a half to a quarter of that with one scale for a whole batch, which onnxruntime's own `quantize_dynamic` takes.

It reads no settings and compares nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.packaging.onnx_rows import ROWS

LARGEST, MIDDLE = 127, 128
SMALLEST = 1e-12  # stands for the maximum of a row that is all zero
MIN_ROWS, MIN_COLUMNS = 16, 16
TABLE = 4096 * 16  # numbers of a table of vectors that is worth rounding
MICROSOFT = "com.microsoft"
DEEPEST = 0.1701  # GELU, by tanh too, gives nothing below -0.1701: above it, the largest number is the largest in size


def round_graph(content: bytes, keep: str, spare: bool = False) -> bytes:
    """Gives the model with its matrix products in int8, and its large tables of vectors (a scale for each vector).

    Args:
        content: Of a .onnx file.
        keep: Name of an output whose own product stays in fp32: the head's, whose sums decide.
        spare: Leave what loses most by it in fp32 too: tables, and products that narrow (the second of a feed-forward part, whose
            inputs are the most uneven).
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(content)
    graph = model.graph
    weights = {part.name: part for part in graph.initializer}
    rewritten = _Rewritten()
    gone: set[str] = set()
    for node in _faster_gelu(list(graph.node), {name for name, part in weights.items() if len(part.dims) == 1}):
        values = {name: numpy_helper.to_array(weights[name]) for name in node.input if name in weights}
        if node.op_type == "MatMul" and keep not in node.output and is_matrix(values.get(node.input[1]), spare):
            rewritten.product(node, values[node.input[1]])
            gone.add(node.input[1])
        elif node.op_type == "Gather" and not spare and is_table(values.get(node.input[0])):
            rewritten.table(node, values[node.input[0]])
            gone.add(node.input[0])
        else:
            rewritten.keep(node)
    needed = {name for node in rewritten.nodes for name in node.input}
    kept = [part for part in graph.initializer if part.name not in gone or part.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(rewritten.nodes)
    graph.initializer.extend([*kept, *rewritten.constants.values()])
    if all(part.domain != MICROSOFT for part in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    content = model.SerializeToString()
    return content


def _faster_gelu(nodes: list[Any], constants: set[str]) -> list[Any]:
    """Gives the steps with GELU by tanh, a constant added before it taken along: it is off by 0.0005 at most, rounding by more."""
    from onnx import helper

    readers = Counter(name for node in nodes for name in node.input)
    adding = {node.output[0]: node for node in nodes if node.op_type == "Add"}
    joined: dict[str, Any] = {}
    for node in nodes:
        if (node.op_type, node.domain) == ("Gelu", MICROSOFT):
            inputs, before = list(node.input), adding.get(node.input[0])
            if before is not None and readers[inputs[0]] == 1 and len(constants.intersection(before.input)) == 1:
                inputs = sorted(before.input, key=constants.__contains__)
                joined[before.output[0]] = None
            joined[node.output[0]] = helper.make_node("FastGelu", inputs, node.output, name=node.name, domain=MICROSOFT)
    faster = [joined.get(node.output[0], node) for node in nodes]
    return [node for node in faster if node is not None]


class _Rewritten:
    """Nodes and constants that take the place of products and tables."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._rows: dict[str, tuple[str, str]] = {}
        self._after_gelu: set[str] = set()

    def keep(self, node: Any) -> None:
        """Takes a node as it is."""
        self.nodes.append(node)
        if node.op_type == "FastGelu":
            self._after_gelu.add(node.output[0])

    def product(self, node: Any, weight: NDArray[Any]) -> None:
        """Writes `x @ weight` as whole numbers and two scales."""
        rows, scale = self._row(node.input[0])
        w8, w_scale = rounded(weight.T)
        name = node.output[0]
        inputs = [
            rows,
            self._constant(f"{name}_w8", w8.T),
            self._constant("int8_one", np.float32(1)),
            self._constant(f"{name}_scale", w_scale),
            self._constant("int8_middle", np.uint8(MIDDLE)),
            self._constant(f"{name}_zero", np.int8(0)),  # its own: on processors that overflow, each is changed
        ]
        self._add("MatMulIntegerToFloat", inputs, f"{name}_whole", domain=MICROSOFT)
        self._add("Mul", [f"{name}_whole", scale], name)

    def table(self, node: Any, table: NDArray[Any]) -> None:
        """Writes a choice of vectors as a choice of rounded ones and of their scales."""
        table8, scale = rounded(table)
        name, ids = node.output[0], node.input[1]
        self._add("Gather", [self._constant(f"{name}_table8", table8), ids], f"{name}_chosen8")
        self._add("Gather", [self._constant(f"{name}_scales", scale[:, None]), ids], f"{name}_scale")
        self._add("Cast", [f"{name}_chosen8"], f"{name}_chosen", to=1)
        self._add("Mul", [f"{name}_chosen", f"{name}_scale"], name)

    def _row(self, x: str) -> tuple[str, str]:
        """Gives the names of a tensor's rows in 8 bits and of their scales; once for each tensor."""
        if x not in self._rows:
            sizes, least, named = f"{x}_abs", SMALLEST, "int8_smallest"
            if x in self._after_gelu:
                sizes, least, named = x, DEEPEST, "int8_deepest"
            else:
                self._add("Abs", [x], sizes)
            axis = self._constant("int8_last_axis", np.array([-1]))
            self._add("ReduceMax", [sizes, axis], f"{x}_max", keepdims=int(not x.endswith(ROWS)))
            self._add("Max", [f"{x}_max", self._constant(named, np.float32(least))], f"{x}_largest")
            step = self._constant("int8_step", np.float32(1 / LARGEST))
            if x.endswith(ROWS):  # one step takes a scale for each row of a matrix
                self._add("Mul", [f"{x}_largest", step], f"{x}_scales")
                self._add("QuantizeLinear", [x, f"{x}_scales", self._middles(x)], f"{x}_rows8", axis=0)
                self._add("Unsqueeze", [f"{x}_scales", axis], f"{x}_row_scale")
            else:
                self._add("Mul", [f"{x}_largest", step], f"{x}_row_scale")
                self._add("Reciprocal", [f"{x}_row_scale"], f"{x}_factor")
                self._add("Mul", [x, f"{x}_factor"], f"{x}_wide")
                one, middle = self._constant("int8_one", np.float32(1)), self._constant("int8_middle", np.uint8(MIDDLE))
                self._add("QuantizeLinear", [f"{x}_wide", one, middle], f"{x}_rows8")
            self._rows[x] = f"{x}_rows8", f"{x}_row_scale"
        return self._rows[x]

    def _middles(self, x: str) -> str:
        """Gives the name of as many middles as there are tokens, written once."""
        if all("int8_middles" not in node.output for node in self.nodes):
            self._add("Shape", [x], "int8_n_rows", end=1)
            self._add(
                "Expand",
                [self._constant("int8_one_middle", np.array([MIDDLE], np.uint8)), "int8_n_rows"],
                "int8_middles",
            )
        return "int8_middles"

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        return name

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))


def rounded(rows: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Gives int8 of the shape of `rows` and a scale for each, fp32 `[n]`."""
    scale = np.abs(rows).max(axis=1) / LARGEST
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(rows / scale[:, None]).clip(-LARGEST, LARGEST).astype(np.int8), scale


def is_matrix(weight: NDArray[Any] | None, spare: bool) -> bool:
    """Says whether a constant is a matrix that is worth rounding; `spare`: and does not narrow."""
    return (
        weight is not None
        and weight.dtype == np.float32
        and weight.ndim == 2
        and weight.shape[0] >= MIN_ROWS
        and weight.shape[1] >= MIN_COLUMNS
        and not (spare and weight.shape[0] > weight.shape[1])
    )


def is_table(table: NDArray[Any] | None) -> bool:
    """Says whether a constant is a table of vectors that is worth rounding."""
    return table is not None and table.dtype == np.float32 and table.ndim == 2 and table.size >= TABLE


__all__ = ["is_matrix", "is_table", "round_graph", "rounded"]
