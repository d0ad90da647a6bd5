"""Tokens as the rows of one matrix, the first tokens of all texts first. In: a model in ONNX. Out: the same function, in fewer steps.

So attention finds its heads where they lie: its products read them with a stride (onnxruntime's FusedMatMul), and three of four
copies of a layer are gone; so are two additions, of what keys have in common, which a softmax does not see, and values, which every
text keeps. Steps that know no more than a row take rows as they are; before any other the tokens are put back. What is not
recognised stays as it was: shapes come from the exporter, and a tensor whose are not known is left alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS = "_rows"  # ends the name of a tensor that holds rows
MICROSOFT = "com.microsoft"
ROWWISE = {"Add", "Sub", "Mul", "Div", "Gelu", "Erf", "Tanh", "Relu", "Sigmoid", "LayerNormalization", "MatMul"}
BY_HEAD, KEYS, BY_TOKEN = [0, 2, 1, 3], [0, 2, 3, 1], [2, 0, 1, 3]


def lay_rows(content: bytes, ids: str) -> bytes:
    """Gives the model with rows from its first attention on; as it was where no attention is recognised.

    Args:
        content: Of a .onnx file, with the shapes of what its steps give.
        ids: Name of the input `[n, length]`.
    """
    import onnx

    model = onnx.load_from_string(content)
    laid = _Laid(model.graph, ids)
    if not (laid.scores or laid.sums):
        return content
    for node in model.graph.node:
        laid.take(node)
    for part in model.graph.output:
        laid.whole(part.name)
    del model.graph.node[:]
    model.graph.node.extend(laid.nodes)
    model.graph.initializer.extend(laid.constants.values())
    if all(part.domain != MICROSOFT for part in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    rewritten: bytes = model.SerializeToString()
    return rewritten


class _Laid:
    """The graph as it is written anew, step by step.

    Attributes:
        nodes, constants: Written so far.
        scores, sums: Products of queries and keys, and of shares and values, by what they give; each with the tensors that they read.
    """

    def __init__(self, graph: Any, ids: str) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._given = {part.name: part for part in graph.initializer}
        self._sizes = {
            part.name: [size.dim_param or size.dim_value for size in part.type.tensor_type.shape.dim]
            for part in (*graph.value_info, *graph.input, *graph.output)
        }
        self._ids, self._both = ids, self._sizes.get(ids, [])
        self._by = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._kept = {part.name for part in graph.output}
        self._laid: set[str] = set()
        self._back: set[str] = set()
        self._gone: set[str] = set()
        self._starts: set[str] = set()
        self._view_of: dict[str, list[int]] = {}
        self.scores: dict[str, tuple[str, str]] = {}
        self.sums: dict[str, tuple[str, str, str]] = {}
        for node in graph.node:
            if node.op_type == "MatMul":
                self._find(node)

    def take(self, node: Any) -> None:
        """Writes one step: for rows, as attention, or as it was."""
        name = node.output[0]
        if name in self._gone:
            return
        if name in self.scores:
            query, keys = (self._heads(part) for part in self.scores[name])
            self._add("FusedMatMul", [query, keys], name, MICROSOFT, transBatchA=1, transBatchB=1, transB=1)
        elif name in self.sums:
            values, shares, out = self.sums[name]
            self._add("FusedMatMul", [shares, self._heads(values)], name, MICROSOFT, transBatchB=1)
            self._add("Transpose", [name], f"{out}_heads", perm=BY_TOKEN)
            width = self._constant(f"rows_{self._sizes[out][-1]}", np.array([-1, self._sizes[out][-1]]))
            self._add("Reshape", [f"{out}_heads", width], out + ROWS)
            self._laid.add(out)
        elif self._is_rowwise(node):
            node.input[:] = [self._as_rows(part) if self._is_tokens(part) else part for part in node.input]
            node.name = node.output[0] = name + ROWS
            for attribute in node.attribute:
                if attribute.name == "axis":
                    attribute.i = -1
            self._laid.add(name)
            self.nodes.append(node)
        else:
            for part in node.input:
                self.whole(part)
            self.nodes.append(node)
            for part in node.output:
                if part in self._starts:
                    self._as_rows(part)

    def whole(self, name: str) -> None:
        """Puts rows back in their texts, where somebody reads them so."""
        if name in self._laid and name not in self._back:
            self._back.add(name)
            shape = self._constant(f"rows_of_{self._sizes[name][-1]}", np.array([self._sizes[name][-1]]))
            self._shape()
            self._add("Concat", ["rows_shape", shape], f"{name}_shape", axis=0)
            self._add("Reshape", [name + ROWS, f"{name}_shape"], f"{name}_by_token")
            self._add("Transpose", [f"{name}_by_token"], name, perm=[1, 0, 2])

    def _as_rows(self, name: str) -> str:
        if name not in self._laid:
            self._laid.add(name)
            self._back.add(name)
            width = self._constant(f"rows_{self._sizes[name][-1]}", np.array([-1, self._sizes[name][-1]]))
            self._add("Transpose", [name], f"{name}_by_token", perm=[1, 0, 2])
            self._add("Reshape", [f"{name}_by_token", width], name + ROWS)
        return name + ROWS

    def _heads(self, name: str) -> str:
        """Gives a tensor as `[length, n, heads, width of one]`, which costs no copy."""
        view = self._view_of[name]
        sizes = self._constant(f"rows_heads_{view[0]}_{view[1]}", np.array(view))
        self._shape()
        shape = f"rows_shape_{view[0]}_{view[1]}"
        if all(shape not in node.output for node in self.nodes):
            self._add("Concat", ["rows_shape", sizes], shape, axis=0)
        self._add("Reshape", [self._as_rows(name), shape], f"{name}_by_head")
        return f"{name}_by_head"

    def _shape(self) -> None:
        """Writes length and number of texts, once."""
        if "rows_shape" not in self._back:
            self._back.add("rows_shape")
            self._add("Shape", [self._ids], "rows_sizes")
            self._add("Gather", ["rows_sizes", self._constant("rows_turned", np.array([1, 0]))], "rows_shape")

    def _is_tokens(self, name: str) -> bool:
        sizes = self._sizes.get(name, [])
        return len(sizes) == 3 and sizes[:2] == self._both and isinstance(sizes[2], int) and name not in self._given

    def _is_rowwise(self, node: Any) -> bool:
        name = node.output[0]
        others = [part for part in node.input if not self._is_tokens(part)]
        if node.op_type not in ROWWISE or len(node.output) != 1 or not self._is_tokens(name):
            return False
        if not any(part in self._laid for part in node.input):
            return False
        if node.op_type == "MatMul":
            return (
                list(node.input[1:]) == others and len(self._given[others[0]].dims) == 2
                if others and others[0] in self._given
                else False
            )
        if node.op_type == "LayerNormalization" and any(
            part.name == "axis" and part.i not in (-1, 2) for part in node.attribute
        ):
            return False
        return all(part in self._given and len(self._given[part].dims) <= 1 for part in others)

    def _find(self, node: Any) -> None:
        """Recognises queries by keys, and shares by values."""
        name = node.output[0]
        query, keys = self._view(node.input[0], BY_HEAD), self._view(node.input[1], KEYS)
        if query and keys:
            self.scores[name] = self._see(query), self._see(keys, biased=not self._ends_in_softmax(name))
        elif (values := self._view(node.input[1], BY_HEAD)) and (turned := self._reader(name, "Transpose")):
            out = self._reader(turned.output[0], "Reshape")
            if out and _perm(turned) == BY_HEAD and self._is_tokens(out.output[0]):
                shares, told = self._by.get(node.input[0]), out.output[0]
                plain = shares is not None and shares.op_type == "Softmax" and self._moves_bias(values, told)
                self._gone |= {turned.output[0], told}
                self.sums[name] = self._see(values, biased=not plain), node.input[0], told

    def _view(self, name: str, perm: list[int]) -> Any:
        """Gives the Reshape that parts tokens into heads, where `name` is these, turned, and nobody else reads them; else None."""
        turned = self._by.get(name)
        if turned is None or _perm(turned) != perm or self._reader(name) is None:
            return None
        view = self._by.get(turned.input[0])
        if view is None or view.op_type != "Reshape" or self._reader(view.output[0]) is None:
            return None
        sizes = self._sizes.get(view.output[0], [])
        fits = len(sizes) == 4 and sizes[:2] == self._both and all(isinstance(size, int) for size in sizes[2:])
        return view if fits and self._is_tokens(view.input[0]) else None

    def _see(self, view: Any, biased: bool = True) -> str:
        """Notes a view, and gives the tensor that it is of: what was before a constant was added, if that makes no difference."""
        source: str = view.input[0]
        self._gone |= {view.output[0], *(node.output[0] for node in self._readers[view.output[0]])}
        if not biased and (bias := self._bias(source)):
            self._gone.add(source)
            source = bias[0]
        self._view_of[source] = self._sizes[view.output[0]][2:]
        start = source
        while (node := self._by.get(start)) is not None and node.op_type in ("Add", "MatMul", "Mul"):
            data = [part for part in node.input if part not in self._given]
            if len(data) != 1 or not self._is_tokens(data[0]):
                break
            start = data[0]
        self._starts.add(start)
        return source

    def _bias(self, name: str) -> tuple[str, str] | None:
        """Gives what a constant vector is added to, and that; None where it is no such sum, or others read it too."""
        node = self._by.get(name)
        if node is None or node.op_type != "Add" or self._reader(name) is None:
            return None
        constant = [part for part in node.input if part in self._given and len(self._given[part].dims) == 1]
        other = [part for part in node.input if part not in constant]
        return (other[0], constant[0]) if len(constant) == 1 and self._is_tokens(other[0]) else None

    def _ends_in_softmax(self, name: str) -> bool:
        """Says whether scores are scaled and masked at most before a softmax, which gives the same if a row's are all larger."""
        while (node := self._reader(name)) is not None:
            if node.op_type == "Softmax":
                return all(part.i in (-1, 3) for part in node.attribute if part.name == "axis")
            others = [part for part in node.input if part != name]
            scaled = node.op_type in ("Mul", "Div") and node.input[0] == name
            if not (node.op_type == "Add" or (scaled and all(self._is_number(part) for part in others))):
                return False
            name = node.output[0]
        return False

    def _moves_bias(self, view: Any, out: str) -> bool:
        """Adds what all values have in common to the constant that follows the next product: shares of a text sum to one."""
        from onnx import numpy_helper

        bias, product = self._bias(view.input[0]), self._reader(out, "MatMul")
        after = self._bias(sum_.output[0]) if product and (sum_ := self._reader(product.output[0], "Add")) else None
        weight = self._array(product.input[1]) if product else None
        if bias is None or after is None or weight is None or weight.ndim != 2:
            return False
        moved = self._array(after[1]) + self._array(bias[1]) @ weight
        name = f"{out}_bias"
        self.constants[name] = self._given[name] = numpy_helper.from_array(moved.astype(np.float32), name)
        sum_.input[:] = [product.output[0], name]
        return True

    def _reader(self, name: str, kind: str | None = None) -> Any:
        """Gives the one step that reads a tensor; None where several do, or it is an answer, or of another kind."""
        readers = self._readers.get(name, [])
        fits = len(readers) == 1 and name not in self._kept and kind in (None, readers[0].op_type)
        return readers[0] if fits else None

    def _array(self, name: str) -> Any:
        from onnx import numpy_helper

        return numpy_helper.to_array(self._given[name]) if name in self._given else None

    def _is_number(self, name: str) -> bool:
        return name in self._given and int(np.prod(self._given[name].dims)) == 1

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def _add(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))


def _perm(node: Any) -> list[int] | None:
    return next((list(part.ints) for part in node.attribute if part.name == "perm"), None)


__all__ = ["ROWS", "lay_rows"]
