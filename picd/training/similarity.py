"""Structural similarity (Wang et al. 2004) as a loss: it minds blocks and ringing in flat areas
more than the loss of texture, as the eye does and squared error does not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SCALES, WINDOW, STEP = 3, 8, 4
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
PLANES = (
    (0.299, 0.587, 0.114),
    (-0.338, -0.662, 1.0),
    (1.0, -0.838, -0.162),
)
"""Luma, and the colour differences Cb and Cr of BT.601, twice as strong: there is less in them."""
COLOUR = 0.3
"""Weight of both colour planes together, beside 1 of luma."""


def unlike(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """1 - SSIM of luma and, with ``COLOUR``, of colour, of (N, 3, H, W) with a range of 1; (N,).

    The mean over scales 1, 1/2 and 1/4 (of colour: the last two) of windows that overlap by half;
    ``weight`` (N, 1, H, W) weighs them."""
    weight = torch.ones_like(b[:, :1]) if weight is None else weight
    total = a.new_zeros(len(a))
    a, b = planes(a), planes(b)
    for scale in range(SCALES):
        if scale:
            a, b, weight = (F.avg_pool2d(x, 2) for x in (a, b, weight))
        count = a.shape[1] if scale else 1
        lost = 1 - _similarity(a[:, :count], b[:, :count])
        lost = lost.new_tensor((1, COLOUR / 2, COLOUR / 2)[:count])[:, None, None] * lost
        total = total + (lost * mean(weight)).sum(1).mean((1, 2))
    return total / SCALES


def planes(picture: Tensor) -> Tensor:
    """Luma and colour (N, 3, H, W), grey at 0.5."""
    red, green, blue = (picture.float() - 0.5).unbind(1)
    # sums, not a convolution: autocast would round that to bfloat16
    return 0.5 + torch.stack([r * red + g * green + b * blue for r, g, b in PLANES], 1)


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    mean_a, mean_b = mean(a), mean(b)
    # about the means of whole pictures: float32 would lose small variances of bright areas
    power = mean((a - 0.5) ** 2 + (b - 0.5) ** 2)
    both = mean((a - 0.5) * (b - 0.5))
    shifted_a, shifted_b = mean_a - 0.5, mean_b - 0.5
    variances = power - shifted_a**2 - shifted_b**2
    covariance = both - shifted_a * shifted_b
    luminance = (2 * mean_a * mean_b + LUMINANCE) / (mean_a**2 + mean_b**2 + LUMINANCE)
    return luminance * (2 * covariance + CONTRAST) / (variances + CONTRAST)


def mean(x: Tensor) -> Tensor:
    """Over windows of 8 pixels, 4 apart."""
    return F.avg_pool2d(x, WINDOW, STEP)
