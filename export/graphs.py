"""One ONNX graph per network: names, example inputs, free axes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import onnx
import torch
from torch import Tensor, nn

from picd.nets.codec import GLYPH_CHANNELS, ImageCodec
from picd.nets.renderer import Renderer, settled
from picd.prompt import prompt_bytes

OPSET = 18
EXAMPLE_SIDE = 128
"""Pixels of the example picture; graphs take any multiple of 64."""


@dataclass(frozen=True)
class Graph:
    """A network to export: ``inputs`` and ``outputs`` by name, ``exact`` if it must be so."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    exact: bool = False


class UNetStep(nn.Module):
    """The UNet on pixels: x_t (1, 3, H, W) -> residual to the typeset page, the same shape."""

    def __init__(self, renderer: Renderer) -> None:
        super().__init__()
        self.unet, self.block = renderer.unet, renderer.profile.space_to_depth

    def forward(self, x_t: Tensor, time: Tensor, prompt: Tensor, *features: Tensor) -> Tensor:
        x = nn.functional.pixel_unshuffle(x_t, self.block)
        residual = self.unet(x, time, features, prompt)
        return settled(nn.functional.pixel_shuffle(residual, self.block))


def codec_graphs(codec: ImageCodec) -> Iterator[Graph]:
    """The graphs of the image codec."""
    profile = codec.profile
    side = EXAMPLE_SIDE
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, side, side, generator=random) - 0.5
    glyphs = torch.rand(1, GLYPH_CHANNELS, side, side, generator=random)
    latents = torch.randn(1, profile.latent_channels, side // 16, side // 16, generator=random)
    z = _integers((1, profile.hyper_channels, side // 64, side // 64), 8, random)
    features = _integers((1, profile.hyper_features, side // 16, side // 16), 127, random).abs()
    yield Graph("analysis", codec.analysis, {"picture": picture, "glyphs": glyphs}, ("latents",))
    yield Graph("hyper_analysis", codec.entropy.hyper_analysis, {"latents": latents}, ("hyper",))
    yield Graph("hyper_synthesis", codec.entropy.hyper_synthesis, {"hyper": z}, ("features",), True)
    window = torch.nn.functional.pad(features, (1, 0, 1, 0))
    for index, context in enumerate(codec.entropy.contexts):
        channels = sum(profile.latent_slices[: index + 1]) + 1
        known = _integers((1, channels, side // 16 + 1, side // 16 + 1), 127, random)
        inputs = {"features": window, "known": known}
        yield Graph(f"context_{index}", context, inputs, ("means", "scales"), True)
    yield Graph("synthesis", codec.synthesis, {"latents": latents, "glyphs": glyphs}, ("draft",))


def renderer_graphs(renderer: Renderer) -> Iterator[Graph]:
    """The graphs of the renderer."""
    side, profile = EXAMPLE_SIDE, renderer.profile
    random = torch.Generator().manual_seed(0)
    pictures = [torch.rand(1, 3, side, side, generator=random) - 0.5 for _ in range(3)]
    glyphs = torch.rand(1, GLYPH_CHANNELS, side, side, generator=random)
    levels = range(len(profile.channels))
    names = tuple(f"features_{level}" for level in levels)
    inputs = {"draft": pictures[0], "typeset": pictures[1], "glyphs": glyphs}
    yield Graph("adaptor", renderer.adaptor, inputs, names)
    features = {
        name: torch.randn(
            1, profile.adaptor_channels, *2 * [side // (profile.space_to_depth << level)],
            generator=random,
        )
        for level, name in zip(levels, names, strict=True)
    }  # fmt: skip
    codes = torch.from_numpy(prompt_bytes("a screenshot with text: File Edit")).float()[None]
    yield Graph("prompt", renderer.prompt, {"codes": codes}, ("states",))
    states = {"states": renderer.prompt(codes)}
    step_inputs = {"x_t": pictures[2], "time": torch.full((1,), 0.5), **states, **features}
    yield Graph("unet", UNetStep(renderer), step_inputs, ("residual",))


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """Trace a network with free height and width."""
    spatial = [name for name, value in graph.inputs.items() if value.dim() == 4]
    axes = {name: {2: f"{name}_height", 3: f"{name}_width"} for name in spatial}
    if spatial:
        axes |= {name: {2: f"{name}_height", 3: f"{name}_width"} for name in graph.outputs}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            buffer,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            # the newer exporter takes minutes for the UNet; these graphs have no control flow
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())


def _integers(shape: tuple[int, ...], limit: int, random: torch.Generator) -> Tensor:
    return torch.randint(-limit, limit + 1, shape, generator=random).float()
