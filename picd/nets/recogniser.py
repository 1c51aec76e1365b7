"""The text recogniser of instance guidance: which character stands where, at a quarter resolution.

    picture -> space-to-depth 4 -> 3x3 -> + two 3x3 layers at 1/8 -> 3x3 -> character logits

Small and fully convolutional: its gradient with respect to the picture is taken once a sampling
step and must cost less than the step. No normalisation, so that tiles with enough overlap give
exactly what the whole picture would, and only layers that ``export.gradients`` can run backwards.
"""

from __future__ import annotations

from torch import Tensor, nn

from picd.nets.profiles import RecogniserProfile
from picd.reading import CELL, CLASSES

SLOPE = 0.1


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, branch: nn.Sequential) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class Recogniser(nn.Sequential):
    """Picture (N, 3, H, W) in -0.5..0.5 -> logits (N, classes, H/4, W/4); H, W multiples of 8.
    Class 0 is "no character here", the others are :data:`picd.reading.ALPHABET`."""

    def __init__(self, profile: RecogniserProfile) -> None:
        fine, coarse = profile.channels
        context = [nn.Conv2d(fine, coarse, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for _ in range(profile.coarse_layers):
            context += [nn.Conv2d(coarse, coarse, 3, 1, 1), nn.LeakyReLU(SLOPE)]
        super().__init__(
            nn.PixelUnshuffle(CELL),
            nn.Conv2d(3 * CELL**2, fine, 3, 1, 1),
            nn.LeakyReLU(SLOPE),
            Residual(nn.Sequential(*context, nn.Conv2d(coarse, 4 * fine, 1), nn.PixelShuffle(2))),
            nn.Conv2d(fine, fine, 3, 1, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(fine, CLASSES, 1),
        )
        # without normalisation the usual start would let the signal die out
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, SLOPE)
                nn.init.zeros_(layer.bias)
        self[1].weight.data *= 2  # pictures are in -0.5..0.5
