"""Slim: an ONNX file without the bytes that onnxruntime does not need, and with the same answers.

Quantization writes two nodes and three tensors for each tensor of a network, each with a long name,
so that a small network's int8 file is larger than its float32 one; most of either is the zeros of
the front end's filters. Tensors get short names here (weights keep theirs, which name their layer),
zero points that are zero are left out, as the operator allows, and tables that are mostly zeros are
stored sparse. Source: ONNX's IR (sparse_initializer); onnxruntime makes them dense as it loads.
Contents: `slimmed`.
"""

from typing import Any

import numpy as np

BEFORE = ("frontend", "standardize")  # how names of tables before the network begin
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
PLACE = 8  # bytes of the place of a value in a sparse table


def slimmed(content: bytes) -> bytes:
    """The same network in fewer bytes: its answers stay the same to the bit."""
    import onnx

    model = onnx.load_from_string(content)
    graph = model.graph
    _leave_out_zero_points(graph)
    _rename(graph)
    _store_sparse(graph)
    del graph.value_info[:]  # shapes, which follow from the rest
    domains = {node.domain for node in graph.node}
    for each in [each for each in model.opset_import if each.domain not in domains]:
        model.opset_import.remove(each)
    made: bytes = model.SerializeToString(deterministic=True)
    return made


def _leave_out_zero_points(graph: Any) -> None:
    """Of weights and biases, whose eight and 32 bits are symmetric around zero."""
    from onnx import TensorProto, numpy_helper

    signed = [t for t in graph.initializer if t.data_type in (TensorProto.INT8, TensorProto.INT32)]
    zero = {each.name for each in signed if not numpy_helper.to_array(each).any()}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[2:] and node.input[2] in zero:
            del node.input[2]
    read = {name for node in graph.node for name in node.input}
    for each in [each for each in graph.initializer if each.name not in read]:
        graph.initializer.remove(each)


def _rename(graph: Any) -> None:
    """Number all tensors that no person may look for."""
    from onnx import TensorProto

    kept = {each.name for each in (*graph.input, *graph.output)} | {""}
    kept |= {
        table.name
        for table in graph.initializer
        if table.data_type == TensorProto.INT8 or table.name.startswith(BEFORE)
    }
    short: dict[str, str] = {}

    def new(name: str) -> str:
        return name if name in kept else short.setdefault(name, np.base_repr(len(short), 36))

    for table in graph.initializer:
        table.name = new(table.name)
    for node in graph.node:
        node.input[:], node.output[:] = map(new, node.input), map(new, node.output)
        if node.op_type in QUANTIZERS:
            node.ClearField("name")


def _store_sparse(graph: Any) -> None:
    """Tables of float32 that take fewer bytes as their values and places."""
    from onnx import numpy_helper

    for table in [*graph.initializer]:
        values = numpy_helper.to_array(table)
        places = np.flatnonzero(values)
        if values.dtype != np.float32 or len(places) * (4 + PLACE) >= values.nbytes:
            continue
        sparse = graph.sparse_initializer.add(dims=values.shape)
        sparse.values.CopyFrom(numpy_helper.from_array(values.flat[places], table.name))
        sparse.indices.CopyFrom(numpy_helper.from_array(places.astype(np.int64)))
        graph.initializer.remove(table)
