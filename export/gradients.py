"""Networks with their gradient written out, so that an ONNX graph can hold both.

``backward`` runs a network forwards and returns, beside its output, the function that pulls a
gradient with respect to the output back to the input. Every layer's rule is built from forward
operations (a transposed convolution, a mask, a shuffle), which trace at any height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import onnx
import torch
from compressai.layers import ResidualBlock
from torch import Tensor, nn
from torch.nn import functional as F

from export.graphs import EXAMPLE_SIDE, Graph
from export.screen_unet import share_weights
from picd.errors import ModelError
from picd.nets.codec import GLYPH_CHANNELS, Analysis
from picd.nets.recogniser import Recogniser, Residual
from picd.reading import CELL, CLASSES

TOLERANCE = 1e-4
"""Largest difference from autograd, relative to the largest gradient, that export accepts."""
Pull = Callable[[Tensor], Tensor]


@singledispatch
def backward(layer: nn.Module, x: Tensor) -> tuple[Tensor, Pull]:
    """(layer(x), gradient at the output -> gradient at ``x``)."""
    raise TypeError(f"no backward rule for {type(layer).__name__}")


@backward.register
def _(layer: nn.Conv2d, x: Tensor) -> tuple[Tensor, Pull]:
    (stride, _), (padding, _), (side, _) = layer.stride, layer.padding, layer.kernel_size
    # sizes are multiples of the stride, and kernels the stride plus twice the padding (or one
    # less at stride 1): what comes back has the input's size
    if stride > 1:
        return layer(x), lambda g: F.conv_transpose2d(g, layer.weight, None, stride, padding)
    # the same as a convolution with the weight turned around, which onnxruntime runs faster
    turned = layer.weight.flip(2, 3).transpose(0, 1)
    return layer(x), lambda g: F.conv2d(g, turned, padding=side - 1 - padding)


@backward.register
def _(layer: nn.LeakyReLU, x: Tensor) -> tuple[Tensor, Pull]:
    slope = torch.where(x > 0, 1.0, layer.negative_slope)
    return x * slope, lambda g: g * slope


@backward.register
def _(layer: nn.PixelShuffle, x: Tensor) -> tuple[Tensor, Pull]:
    return layer(x), lambda g: F.pixel_unshuffle(g, layer.upscale_factor)


@backward.register
def _(layer: nn.PixelUnshuffle, x: Tensor) -> tuple[Tensor, Pull]:
    return layer(x), lambda g: F.pixel_shuffle(g, layer.downscale_factor)


@backward.register
def _(layer: nn.ZeroPad2d, x: Tensor) -> tuple[Tensor, Pull]:
    return layer(x), lambda g: F.pad(g, [-side for side in layer.padding])


@backward.register
def _(layer: nn.Sequential, x: Tensor) -> tuple[Tensor, Pull]:
    pulls = []
    for part in layer:
        x, pull = backward(part, x)
        pulls.append(pull)

    def chained(g: Tensor) -> Tensor:
        for pull in reversed(pulls):
            g = pull(g)
        return g

    return x, chained


@backward.register
def _(layer: Residual, x: Tensor) -> tuple[Tensor, Pull]:
    y, pull = backward(layer.branch, x)
    return x + y, lambda g: g + pull(g)


@backward.register
def _(layer: ResidualBlock, x: Tensor) -> tuple[Tensor, Pull]:
    parts = (layer.conv1, layer.leaky_relu, layer.conv2, layer.leaky_relu)
    y, pull = backward(nn.Sequential(*parts), x)
    return x + y, lambda g: g + pull(g)


class TextGradient(nn.Module):
    """Gradient of half the squared distance of the recogniser's logits from a target, summed over
    the cells of ``weight``.

    (picture (1, 3, H, W), target (1, classes, H/4, W/4), weight (1, 1, H/4, W/4)) -> (gradient
    like the picture, logits like the target)
    """

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.recogniser = recogniser

    def forward(self, picture: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        logits, pull = backward(self.recogniser, picture)
        return pull((logits - target) * weight), logits

    def loss(self, picture: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """What :meth:`forward` is the gradient of."""
        return 0.5 * ((self.recogniser(picture) - target) ** 2 * weight).sum()


class RecompressionGradient(Analysis):
    """Gradient of half the squared excess of a picture's latents over what the sent ones allow.

    A latent that differs from the sent value by no more than ``tolerance``, half a quantisation
    step, would be sent as that value again; the rest of the difference is the error.

    (picture (1, 3, H, W), glyphs (1, 5, H, W), sent (1, M, H/16, W/16), tolerance (M,))
    -> gradient like the picture
    """

    def __init__(self, analysis: Analysis) -> None:
        nn.Module.__init__(self)
        # the analysis itself, its weights under their own names: one file serves both graphs
        for name, part in analysis.named_children():
            self.add_module(name, part)

    def forward(self, picture: Tensor, glyphs: Tensor, sent: Tensor, tolerance: Tensor) -> Tensor:
        linear, pull_linear = backward(self.linear, picture)
        blocks, pull_blocks = backward(nn.PixelUnshuffle(8), picture)
        features, pull_stem = backward(self.stem, blocks)
        features = features + self.glyphs(F.pixel_unshuffle(glyphs, 8))
        body, pull_body = backward(self.body, features)
        error = _excess(linear + body - sent, tolerance[:, None, None])
        return pull_linear(error) + pull_blocks(pull_stem(pull_body(error)))

    def loss(self, picture: Tensor, glyphs: Tensor, sent: Tensor, tolerance: Tensor) -> Tensor:
        """What :meth:`forward` is the gradient of."""
        difference = super().forward(picture, glyphs) - sent
        return 0.5 * (_excess(difference, tolerance[:, None, None]) ** 2).sum()


def _excess(difference: Tensor, tolerance: Tensor) -> Tensor:
    return difference - torch.clamp(difference, -tolerance, tolerance)


def guidance_graphs(recogniser: Recogniser, analysis: Analysis) -> list[Graph]:
    """The gradient graphs of instance guidance, :func:`checked`."""
    side = EXAMPLE_SIDE
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, side, side, generator=random) - 0.5
    glyphs = torch.rand(1, GLYPH_CHANNELS, side, side, generator=random)
    grid = [side // CELL] * 2
    channels = analysis.linear[-1].out_channels
    text = {
        "picture": picture,
        "target": torch.randn(1, CLASSES, *grid, generator=random),
        "weight": torch.rand(1, 1, *grid, generator=random),
    }
    recompress = {
        "picture": picture,
        "glyphs": glyphs,
        "sent": torch.randn(1, channels, side // 16, side // 16, generator=random),
        "tolerance": torch.rand(channels, generator=random),
    }
    return checked(
        [
            Graph("guidance_text", TextGradient(recogniser), text, ("gradient", "logits")),
            Graph(
                "guidance_recompress", RecompressionGradient(analysis), recompress, ("gradient",)
            ),
        ]
    )


def checked(graphs: list[Graph]) -> list[Graph]:
    """The gradient graphs again.

    Raises:
        ModelError: a gradient differs from autograd's.
    """
    for graph in graphs:
        difference = difference_from_autograd(graph)
        if difference > TOLERANCE:
            raise ModelError(f"{graph.name} differs from autograd by {difference:.2e}")
    return graphs


def share(
    names: tuple[str, str], location: str, files: dict[str, bytes], networks: dict[str, dict]
) -> dict[str, bytes]:
    """The files of a network and of the gradient through it again, with one copy of their weights
    in ``location``; ``networks`` gets the entries."""
    models = [onnx.load_from_string(files[f"{name}.onnx"]) for name in names]
    out = {location: share_weights(models, location)}
    for name, model in zip(names, models, strict=True):
        out[f"{name}.onnx"] = model.SerializeToString()
        networks[name] |= {"weights": location, "bytes": len(out[f"{name}.onnx"])}
    return out


def difference_from_autograd(graph: Graph) -> float:
    """Largest difference of the written-out gradient, relative to autograd's largest."""
    picture, *others = graph.inputs.values()
    picture = picture.clone().requires_grad_(True)
    with torch.enable_grad():
        (expected,) = torch.autograd.grad(graph.module.loss(picture, *others), picture)
    with torch.no_grad():
        output = graph.module(*graph.inputs.values())
    gradient = output[0] if isinstance(output, tuple) else output
    return float((gradient - expected).abs().max() / expected.abs().max())
