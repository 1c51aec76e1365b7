"""The entropy model of the latents: what the decoder expects of each before it reads it.

    y -> HyperAnalysis -> z -> HyperSynthesis (exact) -> features
    features, slices before, what is known of this slice -> SliceContext (exact) -> mean, scale

Channel slices as in MLIC (Jiang et al. 2023); a slice is coded in four passes over its places, so
that each but the first sees neighbours on several sides. What a residual of a scale costs is
learnt, not a Gaussian's: quantised residuals are more often 0 and farther from it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from compressai.entropy_models import EntropyBottleneck
from torch import Tensor, nn
from torch.nn import functional as F

from picd.nets.exact import ACTIVATION_LIMIT, ExactConv2d, round_half_up
from picd.nets.profiles import CodecProfile

MEAN_UNITS = 8
"""Means are integers in eighths; they are at most 127 / 8."""
CONTEXT_UNITS = 4
"""Decoded latents enter the contexts as integers in quarters, clipped to +-127."""
SCALES = 64
SCALE_RANGE = (0.11, 64.0)
RESIDUAL_LIMIT = 127
PASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""First row and column of each pass, which takes every second of both."""


class HyperAnalysis(nn.Module):
    """Scaled y (N, M, H/16, W/16) -> z (N, Z, H/64, W/64), not yet rounded."""

    def __init__(self, profile: CodecProfile) -> None:
        super().__init__()
        features = profile.hyper_features
        self.body = nn.Sequential(
            nn.Conv2d(profile.latent_channels, features, 3, 1, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(features, features, 4, 2, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(features, profile.hyper_channels, 4, 2, 1),
        )

    def forward(self, y: Tensor) -> Tensor:
        # large latents say little more than "large": compress their range
        magnitude = torch.log(y.abs() + torch.sqrt(y * y + 1))  # asinh, which ONNX export lacks
        return self.body(torch.sign(y) * magnitude) * 2


class HyperSynthesis(nn.Module):
    """Integer z (N, Z, h, w) -> integer features (N, F, 4h, 4w); exact."""

    def __init__(self, profile: CodecProfile) -> None:
        super().__init__()
        features = profile.hyper_features
        self.first = ExactConv2d(profile.hyper_channels, 4 * features, 3)
        self.second = ExactConv2d(features, 4 * features, 3)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.clamp(z * 4, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        x = F.pixel_shuffle(self.first(x), 2)
        return F.pixel_shuffle(self.second(x), 2)


class SliceContext(nn.Module):
    """Entropy parameters of one slice at the places of one pass; exact.

    (features (N, F, h + 1, w + 1), known (N, earlier + own + 1, h + 1, w + 1)) -> means in eighths
    (N, c, h / 2, w / 2) in -127..127 and scale indices likewise in 0..63. Both are windows that
    begin a row and a column before the first place; beyond the edges they are 0. ``known`` holds
    the earlier slices, what is decoded of this one, and where it is (127, elsewhere 0), as
    integers.
    """

    def __init__(self, profile: CodecProfile, index: int) -> None:
        super().__init__()
        slices, hidden = profile.latent_slices, profile.context_hidden
        known = sum(slices[: index + 1]) + 1
        self.first = ExactConv2d(profile.hyper_features + known, hidden, 3, stride=2, padding=0)
        self.second = ExactConv2d(hidden, hidden, 1)
        self.third = ExactConv2d(hidden, hidden, 1)
        self.means = ExactConv2d(hidden, slices[index], 1, low=-ACTIVATION_LIMIT)
        self.scales = ExactConv2d(hidden, slices[index], 1, high=SCALES - 1)
        nn.init.constant_(self.scales.bias, 20.0)
        self.means.weight.data *= 0.1

    def forward(self, features: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        x = self.third(self.second(self.first(torch.cat((features, known), 1))))
        return self.means(x), self.scales(x)


class EntropyModel(nn.Module):
    """All of it, with the training pass over it."""

    def __init__(self, profile: CodecProfile) -> None:
        super().__init__()
        self.profile = profile
        self.hyper_analysis = HyperAnalysis(profile)
        self.hyper_synthesis = HyperSynthesis(profile)
        self.hyper_prior = EntropyBottleneck(profile.hyper_channels)
        self.contexts = nn.ModuleList(
            SliceContext(profile, index) for index in range(len(profile.latent_slices))
        )
        self.residual_logits = nn.Parameter(gaussian_logits())

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y times its gain, float32 (N, M, h, w), h and w multiples of 4 -> y_hat like it, and the
        bits (N,) of y and of z.

        The decoder's rounding is straight-through. The bits of y are those of the symbols; their
        gradient is that under the noise of rounding. The bits of z in training are those under
        uniform noise.
        """
        z = self.hyper_analysis(y).float()
        noisy_z = z + torch.empty_like(z).uniform_(-0.5, 0.5) if self.training else torch.round(z)
        z_bits = -torch.log2(self._hyper_likelihood(noisy_z)).sum((1, 2, 3))
        y_hat, y_bits = self.slices(y, self.hyper_synthesis(round_half_up(z)))
        return y_hat, y_bits, z_bits

    def slices(self, y: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """y_hat like y (N, M, h, w), given the features (N, F, h, w), and its bits (N,)."""
        height, width = y.shape[2:]
        features = F.pad(features, [1] * 4)
        earlier = features[:, :0]
        bits = y.new_zeros(len(y))
        decoded = []
        for context, current in zip(
            self.contexts, y.split(self.profile.latent_slices, 1), strict=True
        ):
            y_hat = torch.zeros_like(current)
            seen = torch.zeros_like(current[:, :1])
            for row, column in PASSES:
                own = F.pad(torch.cat((as_context(y_hat), seen), 1), [1] * 4)
                window = (..., slice(row, row + height + 1), slice(column, column + width + 1))
                known = torch.cat((earlier[window], own[window]), 1)
                means, scales = (t.float() for t in context(features[window], known))
                means = means / MEAN_UNITS
                places = (..., slice(row, None, 2), slice(column, None, 2))
                residual = current[places] - means
                bits = bits + self.bits(residual, scales)
                y_hat, seen = y_hat.clone(), seen.clone()
                y_hat[places] = means + limited(round_half_up(residual))
                seen[places] = ACTIVATION_LIMIT
            earlier = torch.cat((earlier, F.pad(as_context(y_hat), [1] * 4)), 1)
            decoded.append(y_hat)
        return torch.cat(decoded, 1), bits

    def costs(self) -> Tensor:
        """Bits of residuals of magnitude 0..127 by scale, (64, 128)."""
        signs = torch.ones_like(self.residual_logits[0])
        signs[0] = 0
        return signs - F.log_softmax(self.residual_logits, 1) / math.log(2)

    def bits(self, residual: Tensor, scale: Tensor) -> Tensor:
        """Bits (N,) of residuals (N, ...), before they are rounded, at scale indices likewise."""
        costs = self.costs()
        fixed = costs.detach()
        exact, row = residual.detach(), scale.detach().long()
        symbol = limited(torch.floor(exact + 0.5)).abs().long()
        index = (row * fixed.shape[1] + symbol).flatten(1)
        # how often each cost is paid: gathering all of them would have a slow gradient
        image = torch.arange(len(index), device=index.device)[:, None] * fixed.numel()
        counts = torch.bincount((index + image).flatten(), minlength=len(index) * fixed.numel())
        bits = counts.view(len(index), -1).to(costs.dtype) @ costs.flatten()
        if not torch.is_grad_enabled():
            return bits
        by_residual = between(fixed, row, exact + 0.5) - between(fixed, row, exact - 0.5)
        above, below = ((row + step).clamp(0, SCALES - 1) for step in (1, -1))
        by_scale = (fixed[above, symbol] - fixed[below, symbol]) / 2
        slope = (residual - exact) * by_residual + (scale - scale.detach()) * by_scale
        return bits + slope.flatten(1).sum(1)

    def _hyper_likelihood(self, z: Tensor) -> Tensor:
        flat = z.permute(1, 0, 2, 3).reshape(z.shape[1], 1, -1)
        likelihood, _, _ = self.hyper_prior._likelihood(flat)
        likelihood = likelihood.clamp_min(1e-9)
        return likelihood.reshape(z.shape[1], z.shape[0], *z.shape[2:]).permute(1, 0, 2, 3)


def gaussian_logits() -> Tensor:
    """Where the costs of residuals start from, (64, 128): those of Gaussians of log-spaced standard
    deviations, no residual rarer than once in e^16."""
    scales = torch.exp(torch.linspace(*np.log(SCALE_RANGE), SCALES, dtype=torch.float64))[:, None]
    edges = (torch.arange(RESIDUAL_LIMIT + 2) - 0.5) / scales
    below, above = torch.special.log_ndtr(-edges[:, 1:]), torch.special.log_ndtr(-edges[:, :-1])
    logits = above + torch.log1p(-torch.exp(below - above))
    logits[:, 1:] += math.log(2)  # of either sign
    return logits.clamp_min(-16).float()


def between(costs: Tensor, row: Tensor, residual: Tensor) -> Tensor:
    """Costs (64, 128) in rows at residuals of any value, between those of the integers."""
    size = residual.abs().clamp_max(RESIDUAL_LIMIT - 0.001)
    low = size.long()
    place = row * costs.shape[1] + low
    flat = costs.flatten()
    return torch.lerp(flat[place], flat[place + 1], size - low)


def limited(residual: Tensor) -> Tensor:
    """Residuals that there are symbols for."""
    return torch.clamp(residual, -RESIDUAL_LIMIT, RESIDUAL_LIMIT)


def as_context(latents: Tensor) -> Tensor:
    """Decoded latents as integers in quarters, -127..127."""
    scaled = round_half_up(latents * CONTEXT_UNITS)
    return torch.clamp(scaled, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)
