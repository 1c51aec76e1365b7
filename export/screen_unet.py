"""The UNet for screens: the base's weights, in one file for both graphs, and LoRA beside them.

Each updated weight is W + B A inside the graph, which onnxruntime folds into one constant while it
loads: the session is as fast as one of a merged graph, and on disk the domain costs B and A alone.
Measured at rank 8: 16.7 MB, where two merged graphs take 31.2; 1.56 seconds of one core a step at
1280x704, the base 1.57. With B and A as inputs of the graph, as onnxruntime's adapters have them, a
step takes 1.62 and the runtime has to feed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from export.graphs import Graph, UNetStep, renderer_graphs
from export.parity import check
from export.precision import round_to_half
from picd.errors import ModelError
from picd.nets.profiles import RendererProfile
from picd.nets.renderer import Renderer
from picd.training.checkpoints import load_averaged

WEIGHTS = "unet.weights"
"""The file that holds what both graphs share."""
SHARED_BYTES = 1024
"""Tensors smaller than this stay in each graph."""
Updates = dict[str, tuple[np.ndarray, np.ndarray]]


def add_screen_unet(
    files: dict[str, bytes], networks: dict[str, dict], base: Renderer, screen: Renderer
) -> dict[str, bytes]:
    """The files unet.onnx (again), unet_screen.onnx and their shared weights, for an export that
    has unet.onnx; ``networks`` gets their entries. ``screen`` is ``base`` with LoRA, and is merged.

    Raises:
        ModelError: the graph differs from torch.
    """
    updates = {
        f"unet.{name}": (b.numpy(), a.numpy())
        for name, (b, a) in screen.unet.lora_updates().items()
    }
    screen.unet.merge_lora()
    plain = onnx.load_from_string(files["unet.onnx"])
    updated = with_updates(plain, updates)
    step = next(graph for graph in renderer_graphs(base) if graph.name == "unet")
    merged = Graph("unet_screen", UNetStep(screen), step.inputs, step.outputs)
    difference = check(merged, updated.SerializeToString())
    shared = share_weights((plain, updated), WEIGHTS)
    out = {WEIGHTS: shared}
    for name, model in (("unet", plain), ("unet_screen", updated)):
        out[f"{name}.onnx"] = model.SerializeToString()
        own = {"file": f"{name}.onnx", "weights": WEIGHTS, "bytes": len(out[f"{name}.onnx"])}
        networks[name] = networks["unet"] | own
    networks["unet_screen"]["difference_from_torch"] = difference
    return out


def screen_renderer(profile: RendererProfile, lora_run: Path, base: Renderer) -> Renderer:
    """The trained low-rank updates on ``base``, rounded to what is stored.

    Raises:
        ModelError: they were trained on another renderer.
    """
    screen = load_averaged(Renderer(profile).add_lora(), lora_run)
    frozen = {name.replace(".base_layer", ""): v for name, v in screen.state_dict().items()}
    if any(not torch.equal(frozen[name], value) for name, value in base.state_dict().items()):
        raise ModelError(f"{lora_run} was trained on another renderer: train it again on this one")
    round_to_half(screen)
    return screen


def with_updates(model: onnx.ModelProto, updates: Updates) -> onnx.ModelProto:
    """A copy of a graph that ``shrink`` has stored in fp16, each named weight W + B A."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    shapes = {tensor.name: list(tensor.dims) for tensor in out.graph.initializer}
    # the graph begins with the casts of what is stored
    count = sum(name.endswith("_stored") for name in shapes)
    casts = {node.output[0]: node for node in out.graph.node[:count]}
    nodes = []
    for name, (b, a) in updates.items():
        if f"{name}_stored" not in shapes:
            raise ModelError(f"the graph has no weight {name} for LoRA to update")
        casts[name].output[0] = f"{name}_base"
        nodes += _update(out.graph, name, b, a, shapes[f"{name}_stored"])
    nodes = [*out.graph.node[:count], *nodes, *out.graph.node[count:]]
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    return out


def _update(
    graph: onnx.GraphProto, name: str, b: np.ndarray, a: np.ndarray, shape: list[int]
) -> list[onnx.NodeProto]:
    """Nodes that make ``name`` of ``name``_base, and their initialisers into ``graph``."""
    graph.initializer.extend(
        [
            numpy_helper.from_array(b.astype(np.float16), f"{name}_b_stored"),
            numpy_helper.from_array(a.astype(np.float16), f"{name}_a_stored"),
            numpy_helper.from_array(np.array(shape, np.int64), f"{name}_shape"),
        ]
    )
    return [
        helper.make_node("Cast", [f"{name}_b_stored"], [f"{name}_b"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [f"{name}_a_stored"], [f"{name}_a"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", [f"{name}_b", f"{name}_a"], [f"{name}_flat"]),
        helper.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [f"{name}_delta"]),
        helper.make_node("Add", [f"{name}_base", f"{name}_delta"], [name]),
    ]


def share_weights(models: Sequence[onnx.ModelProto], location: str) -> bytes:
    """Move the large tensors of the first model out of all of them, which have them under the same
    names, and return them as the content of the file ``location``."""
    content, places = bytearray(), {}
    for tensor in models[0].graph.initializer:
        if len(tensor.raw_data) >= SHARED_BYTES:
            content += bytes(-len(content) % 64)
            places[tensor.name] = (len(content), len(tensor.raw_data))
            content += tensor.raw_data
    for tensor in (tensor for model in models for tensor in model.graph.initializer):
        if tensor.name not in places:
            continue
        offset, size = places[tensor.name]
        set_external_data(tensor, location, offset, size)
        tensor.ClearField("raw_data")
    return bytes(content)
