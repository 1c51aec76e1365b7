"""Structural similarity (Wang et al. 2004) as a loss: it minds blocks and ringing in flat areas
more than the loss of texture, as the eye does and squared error does not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SCALES, WINDOW, STEP = 3, 8, 4
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
LUMA = (0.299, 0.587, 0.114)


def unlike(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """1 - SSIM of the luma of (N, 3, H, W) with a range of 1, (N,): the mean over scales 1, 1/2
    and 1/4, of windows that overlap by half; ``weight`` (N, 1, H, W) weighs them."""
    luma = a.new_tensor(LUMA, dtype=torch.float32)[None, :, None, None]
    a, b = ((x.float() * luma).sum(1, keepdim=True) for x in (a, b))
    weight = torch.ones_like(b) if weight is None else weight
    total = a.new_zeros(len(a))
    for scale in range(SCALES):
        if scale:
            a, b, weight = (F.avg_pool2d(x, 2) for x in (a, b, weight))
        share = _mean(weight)
        lost = (1 - _similarity(a, b)) * share
        total = total + lost.mean((1, 2, 3))
    return total / SCALES


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    mean_a, mean_b = _mean(a), _mean(b)
    # about the means of whole pictures: float32 would lose small variances of bright areas
    power = _mean((a - 0.5) ** 2 + (b - 0.5) ** 2)
    both = _mean((a - 0.5) * (b - 0.5))
    shifted_a, shifted_b = mean_a - 0.5, mean_b - 0.5
    variances = power - shifted_a**2 - shifted_b**2
    covariance = both - shifted_a * shifted_b
    luminance = (2 * mean_a * mean_b + LUMINANCE) / (mean_a**2 + mean_b**2 + LUMINANCE)
    return luminance * (2 * covariance + CONTRAST) / (variances + CONTRAST)


def _mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, WINDOW, STEP)
