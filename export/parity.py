"""Each graph against its torch network, on pictures of other sizes than the traced one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import onnxruntime
import torch

from export.graphs import Graph
from picd.errors import ModelError

TOLERANCE = 1e-3
"""Largest difference from torch, relative to the largest output, that export accepts."""
LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
)


def check(
    graph: Graph,
    data: bytes | str,
    *,
    sizes: Sequence[tuple[int, int]] = ((1, 1), (2, 3)),
    levels: Sequence[onnxruntime.GraphOptimizationLevel] = LEVELS,
    threads: Sequence[int] = (1, 2),
) -> float:
    """The largest relative difference of a graph (its bytes or its path) at ``sizes``, which are
    multiples of the traced one; exact graphs must have none at any optimisation level or number of
    threads.

    Raises:
        ModelError: the graph differs from the network.
    """
    worst = 0.0
    for factors in sizes:
        inputs = [_tiled(value, factors) for value in graph.inputs.values()]
        with torch.no_grad():
            expected = graph.module(*inputs)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for level, count in product(levels, threads):
            worst = max(worst, _difference(data, graph, inputs, expected, level, count))
    if worst > (0.0 if graph.exact else TOLERANCE):
        raise ModelError(f"exported graph {graph.name} differs from torch by {worst:.2e}")
    return worst


def _difference(data, graph, inputs, expected, level, threads) -> float:  # noqa: ANN001
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    feeds = {name: value.numpy() for name, value in zip(graph.inputs, inputs, strict=True)}
    outputs = session.run(None, feeds)
    return max(
        float(np.abs(output - target.numpy()).max() / max(1e-6, target.abs().max()))
        for output, target in zip(outputs, expected, strict=True)
    )


def _tiled(value: torch.Tensor, factors: tuple[int, int]) -> torch.Tensor:
    return value.repeat(1, 1, *factors) if value.dim() == 4 else value
