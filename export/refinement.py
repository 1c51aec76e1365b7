"""The graph by which an encoder looks for better latents: the gradient of the draft's error.

Its error is that of the codec's training (:func:`picd.training.codec.error`), in bits once it is
weighed; :mod:`picd.refinement` adds what the latents cost.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.gradients import backward
from export.graphs import EXAMPLE_SIDE, Graph
from picd.nets.codec import GLYPH_CHANNELS, Synthesis
from picd.training.codec import CHROMA_WEIGHT, LIKENESS, SQUARED, attention, error
from picd.training.similarity import (
    COLOUR,
    CONTRAST,
    LUMINANCE,
    PLANES,
    SCALES,
    STEP,
    WINDOW,
    mean,
    planes,
)


class RefinementGradient(Synthesis):
    """Gradient of the draft's error, summed over the pixels of the picture.

    (latents (1, M, H/16, W/16), glyphs (1, 5, H, W), picture and skeleton (1, 3, H, W), untold
    (1, 1, H, W): where the draft is the codec's and not the skeleton's) -> gradient like latents
    """

    def __init__(self, synthesis: Synthesis) -> None:
        nn.Module.__init__(self)
        # the synthesis itself, its weights under their own names: one file serves both graphs
        for name, part in synthesis.named_children():
            self.add_module(name, part)

    def forward(
        self, latents: Tensor, glyphs: Tensor, picture: Tensor, skeleton: Tensor, untold: Tensor
    ) -> Tensor:
        linear, pull_linear = backward(self.linear, latents)
        coarse, pull_coarse = backward(self.coarse, latents)
        fine, pull_fine = backward(self.fine, coarse + self.glyphs(F.pixel_unshuffle(glyphs, 8)))
        draft = (linear + fine) * untold + skeleton
        gradient = untold * error_gradient(draft, picture, attention(glyphs))
        return pull_linear(gradient) + pull_coarse(pull_fine(gradient))

    def loss(
        self, latents: Tensor, glyphs: Tensor, picture: Tensor, skeleton: Tensor, untold: Tensor
    ) -> Tensor:
        """What :meth:`forward` is the gradient of."""
        draft = super().forward(latents, glyphs) * untold + skeleton
        pixels = picture.shape[2] * picture.shape[3]
        return pixels * error(draft, picture, attention(glyphs)).sum()


def error_gradient(draft: Tensor, picture: Tensor, weight: Tensor) -> Tensor:
    """Gradient of a draft's error, times its pixels; all but ``weight`` (1, 1, H, W) are
    (1, 3, H, W)."""
    pixels = draft.shape[2] * draft.shape[3]
    difference = draft - picture
    chroma = difference - difference.mean(1, keepdim=True)
    squared = 2 / 3 * weight * (difference + CHROMA_WEIGHT * chroma)
    structure = pixels * _unlike_gradient(draft + 0.5, picture + 0.5, weight)
    return 255**2 * (SQUARED * squared + LIKENESS * structure)


def _unlike_gradient(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Gradient of :func:`picd.training.similarity.unlike` with respect to ``a``."""
    total = torch.zeros_like(a)
    a, b = planes(a), planes(b)
    shares = a.new_tensor((1, COLOUR / 2, COLOUR / 2))[:, None, None]
    mixing = a.new_tensor(PLANES)[:, :, None, None]
    for scale in range(SCALES):
        if scale:
            a, b, weight = (F.avg_pool2d(x, 2) for x in (a, b, weight))
        # colour does not count at the finest scale
        share = shares if scale else shares * shares.new_tensor((1, 0, 0))[:, None, None]
        weights = mean(weight)
        lost = share * weights / (weights.shape[2] * weights.shape[3] * SCALES)
        gradient = _pull_similarity(a, b, -lost)
        wide = F.interpolate(gradient, scale_factor=float(2**scale)) / 4**scale
        total = total + F.conv_transpose2d(wide, mixing)
    return total


def _pull_similarity(a: Tensor, b: Tensor, gradient: Tensor) -> Tensor:
    """A gradient with respect to the structural similarity in each window, pulled back to the
    planes ``a`` (Wang et al. 2004, its product of luminance and contrast terms)."""
    a, b = a - 0.5, b - 0.5
    mean_a, mean_b = mean(a), mean(b)
    light_a, light_b = mean_a + 0.5, mean_b + 0.5
    above = 2 * light_a * light_b + LUMINANCE
    below = light_a**2 + light_b**2 + LUMINANCE
    both = 2 * (mean(a * b) - mean_a * mean_b) + CONTRAST
    power = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2 + CONTRAST
    by_light = gradient * both / power * 2 * (light_b * below - light_a * above) / below**2
    by_both = gradient * above / below * 2 / power
    by_power = by_both * both / power
    return (
        _pull_mean(by_light - by_both * mean_b + by_power * mean_a)
        + b * _pull_mean(by_both)
        - a * _pull_mean(by_power)
    )


def _pull_mean(gradient: Tensor) -> Tensor:
    window = torch.full((len(PLANES), 1, WINDOW, WINDOW), 1 / WINDOW**2)
    return F.conv_transpose2d(gradient, window, stride=STEP, groups=len(PLANES))


def refinement_graph(synthesis: Synthesis) -> Graph:
    """The graph of the gradient."""
    side = EXAMPLE_SIDE
    random = torch.Generator().manual_seed(0)
    channels = synthesis.linear[0].in_channels
    inputs = {
        "latents": torch.randn(1, channels, side // 16, side // 16, generator=random),
        "glyphs": torch.rand(1, GLYPH_CHANNELS, side, side, generator=random),
        "picture": torch.rand(1, 3, side, side, generator=random) - 0.5,
        "skeleton": 0.1 * torch.rand(1, 3, side, side, generator=random),
        "untold": (torch.rand(1, 1, side, side, generator=random) < 0.9).float(),
    }
    return Graph("refinement", RefinementGradient(synthesis), inputs, ("gradient",))
