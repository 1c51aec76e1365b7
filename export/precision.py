"""Weights on disk: integers for exact networks, fp16 for the others; fp32 when computed with."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

MINIMUM_SIZE = 64
"""Tensors smaller than this stay float32: they may be constants of the arithmetic."""


def round_to_half(module: nn.Module) -> None:
    """Make a network's own weights what will be on disk, so that parity means parity."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.half().float())


def shrink(model: onnx.ModelProto, *, exact: bool) -> onnx.ModelProto:
    """Store large float32 initialisers as fp16 (or int8, int32 where that is lossless and
    ``exact``), each with a cast in front, which onnxruntime folds when it loads the graph."""
    kept, casts = [], []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < MINIMUM_SIZE:
            kept.append(tensor)
            continue
        small = _smallest_integer(array) if exact else array.astype(np.float16)
        name = f"{tensor.name}_stored"
        kept.append(numpy_helper.from_array(small, name))
        casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def halve(model: onnx_ir.Model) -> None:
    """:func:`shrink` to fp16 for a model whose weights are still torch's own memory: each is
    converted only while it is written, so that no second copy of them all is ever held."""
    graph = model.graph
    first = graph[0]
    for name, value in list(graph.initializers.items()):
        if value.dtype != onnx_ir.DataType.FLOAT or value.const_value.size < MINIMUM_SIZE:
            continue
        stored = onnx_ir.Value(
            name=f"{name}_stored",
            shape=value.shape,
            type=onnx_ir.TensorType(onnx_ir.DataType.FLOAT16),
            const_value=_halved(value.const_value),
        )
        cast = onnx_ir.node("Cast", [stored], {"to": onnx_ir.DataType.FLOAT})
        value.replace_all_uses_with(cast.outputs[0])
        del graph.initializers[name]
        cast.outputs[0].name = name
        graph.register_initializer(stored)
        graph.insert_before(first, cast)


def _halved(tensor: onnx_ir.TensorProtocol) -> onnx_ir.LazyTensor:
    return onnx_ir.LazyTensor(
        lambda: onnx_ir.tensor(tensor.numpy().astype(np.float16)),
        onnx_ir.DataType.FLOAT16,
        tensor.shape,
    )


def _smallest_integer(array: np.ndarray) -> np.ndarray:
    for kind in (np.int8, np.int16, np.int32):
        small = array.astype(kind)
        if np.array_equal(small.astype(np.float32), array):
            return small
    raise ValueError("an exact network has weights that are not integers")
