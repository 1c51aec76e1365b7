"""The conditional image codec: transforms that know the glyph image, exact entropy networks.

    x, glyphs -> Analysis -> y --gain(quality)--> slices x checkerboard, coded given z and earlier
                              `-> HyperAnalysis -> z -> HyperSynthesis (exact) -> features
    y_hat --inverse gain--> Synthesis (given glyphs) -> draft

MLIC-like channel slices and checkerboard contexts; the glyph image enters through zero-initialised
branches, as a ControlNet does (PICD section 3). Both transforms start from a block DCT, so that
training begins at a JPEG-like codec instead of noise; their linear paths are lapped (windows of
32 pixels, 16 apart), so that it can learn not to show blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from compressai.layers import ResidualBlock
from torch import Tensor, nn
from torch.nn import functional as F

from picd.nets.exact import ACTIVATION_LIMIT, ExactConv2d, round_half_up
from picd.nets.profiles import CodecProfile

GLYPH_CHANNELS = 5
"""coverage, coverage * ink RGB, word box."""
BLOCK = 16
MEAN_UNITS = 8
"""Means are integers in eighths; they are at most 127 / 8."""
CONTEXT_UNITS = 4
"""Decoded latents enter the contexts as integers in quarters, clipped to +-127."""
SCALES = 64
SCALE_RANGE = (0.11, 64.0)
RESIDUAL_LIMIT = 127


def scale_table() -> np.ndarray:
    """Standard deviations of the quantised Gaussians, float64 (64,), log-spaced."""
    return np.exp(np.linspace(*np.log(SCALE_RANGE), SCALES))


def dct_basis(channels: int) -> Tensor:
    """(channels, 3, 16, 16) orthonormal YCbCr DCT atoms by rising frequency, luma before chroma."""
    n = np.arange(BLOCK)
    atoms = np.sqrt(2 / BLOCK) * np.cos(np.pi * (2 * n[None] + 1) * n[:, None] / (2 * BLOCK))
    atoms[0] /= np.sqrt(2)
    colour = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])
    colour /= np.linalg.norm(colour, axis=1, keepdims=True)
    # chroma is as important as luma of 2.5 times the frequency (and a little more)
    order = sorted(
        (max(u, v) + 0.5 * min(u, v) + 0.01 * u if c == 0 else 2.5 * (u + v) + 1.5, c, u, v)
        for c in range(3)
        for u in range(BLOCK)
        for v in range(BLOCK)
    )
    basis = [np.einsum("c,h,w->chw", colour[c], atoms[u], atoms[v]) for _, c, u, v in order]
    return torch.tensor(np.stack(basis[:channels]), dtype=torch.float32)


def lapped(atoms: Tensor) -> Tensor:
    """Block atoms (M, 3, 16, 16) in windows that reach into their neighbours, as the weight
    (M, 768, 2, 2) of a convolution over blocks of pixels."""
    windows = F.pad(atoms, [BLOCK // 2] * 4)
    blocks = F.pixel_unshuffle(windows, BLOCK)
    return blocks.contiguous()


def _stages(
    hidden: tuple[int, int], blocks: tuple[int, int]
) -> tuple[list[nn.Module], list[nn.Module]]:
    (eighth, sixteenth), (fine, coarse) = hidden, blocks
    return (
        [ResidualBlock(eighth, eighth) for _ in range(fine)],
        [ResidualBlock(sixteenth, sixteenth) for _ in range(coarse)],
    )


def _zero(module: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    return module


class Analysis(nn.Module):
    """Picture (N, 3, H, W) in -0.5..0.5 and glyphs (N, 5, H, W) in 0..1 -> y (N, M, H/16, W/16)."""

    LINEAR_SCALE = 4.0
    """Brings DCT coefficients of a unit-range block to latents of useful size."""

    def __init__(self, profile: CodecProfile) -> None:
        super().__init__()
        eighth, sixteenth = profile.hidden
        fine, coarse = _stages(profile.hidden, profile.blocks)
        self.linear = nn.Sequential(
            nn.ZeroPad2d(BLOCK // 2),
            nn.PixelUnshuffle(BLOCK),
            nn.Conv2d(3 * BLOCK**2, profile.latent_channels, 2, bias=False),
        )
        atoms = dct_basis(profile.latent_channels) * self.LINEAR_SCALE
        self.linear[-1].weight.data = lapped(atoms)
        self.stem = nn.Conv2d(3 * 64, eighth, 1)
        self.glyphs = _zero(nn.Conv2d(GLYPH_CHANNELS * 64, eighth, 1))
        self.body = nn.Sequential(
            *fine,
            nn.Conv2d(eighth, sixteenth, 4, 2, 1),
            *coarse,
            _zero(nn.Conv2d(sixteenth, profile.latent_channels, 3, 1, 1)),
        )

    def forward(self, picture: Tensor, glyphs: Tensor) -> Tensor:
        features = self.stem(F.pixel_unshuffle(picture, 8))
        features = features + self.glyphs(F.pixel_unshuffle(glyphs, 8))
        return self.linear(picture) + self.body(features)


class Synthesis(nn.Module):
    """y_hat after the inverse gain (N, M, H/16, W/16) and glyphs (N, 5, H, W) -> draft (N, 3, H, W)
    in about -0.5..0.5 (not clipped)."""

    def __init__(self, profile: CodecProfile) -> None:
        super().__init__()
        eighth, sixteenth = profile.hidden
        fine, coarse = _stages(profile.hidden, profile.synthesis_blocks)
        self.linear = nn.Sequential(
            nn.Conv2d(profile.latent_channels, 3 * BLOCK**2, 2, padding=1, bias=False),
            nn.PixelShuffle(BLOCK),
            nn.ZeroPad2d(-(BLOCK // 2)),
        )
        # a block of pixels lies in the second half of its left neighbour's window
        atoms = dct_basis(profile.latent_channels) / Analysis.LINEAR_SCALE
        self.linear[0].weight.data = lapped(atoms).flip(2, 3).transpose(0, 1).contiguous()
        self.coarse = nn.Sequential(
            nn.Conv2d(profile.latent_channels, sixteenth, 3, 1, 1),
            *coarse,
            nn.Conv2d(sixteenth, 4 * eighth, 1),
            nn.PixelShuffle(2),
        )
        self.glyphs = _zero(nn.Conv2d(GLYPH_CHANNELS * 64, eighth, 1))
        self.fine = nn.Sequential(*fine, _zero(nn.Conv2d(eighth, 3 * 64, 1)), nn.PixelShuffle(8))

    def forward(self, latents: Tensor, glyphs: Tensor) -> Tensor:
        features = self.coarse(latents) + self.glyphs(F.pixel_unshuffle(glyphs, 8))
        return self.linear(latents) + self.fine(features)


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
    """Entropy parameters of one slice; exact.

    (features (N, F, h, w), known (N, earlier + own + 1, h, w)) -> means in eighths (N, c, h, w) in
    -127..127 and scale indices (N, c, h, w) in 0..63. ``known`` holds the earlier slices, this
    slice's anchors (zero in the first pass) and the anchor mask (127 where known), as integers.
    """

    def __init__(self, profile: CodecProfile, index: int) -> None:
        super().__init__()
        slices, hidden = profile.latent_slices, profile.context_hidden
        known = sum(slices[: index + 1]) + 1
        self.first = ExactConv2d(profile.hyper_features + known, hidden, 3)
        self.second = ExactConv2d(hidden, hidden, 1)
        self.means = ExactConv2d(hidden, slices[index], 1, low=-ACTIVATION_LIMIT)
        self.scales = ExactConv2d(hidden, slices[index], 1, high=SCALES - 1)
        nn.init.constant_(self.scales.bias, 20.0)
        self.means.weight.data *= 0.1

    def forward(self, features: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        x = self.second(self.first(torch.cat((features, known), 1)))
        return self.means(x), self.scales(x)


def checkerboard(latents: Tensor) -> Tensor:
    """(1, 1, h, w) mask of the anchors: 1 where row + column is even."""
    h, w = latents.shape[-2:]
    rows = torch.arange(h, device=latents.device)[:, None]
    columns = torch.arange(w, device=latents.device)[None]
    return ((rows + columns + 1) % 2).to(latents.dtype)[None, None]


class CodecOutput(NamedTuple):
    draft: Tensor
    y_bits: Tensor
    z_bits: Tensor


class ImageCodec(nn.Module):
    """All networks of the codec, with the training pass over them."""

    def __init__(self, profile: CodecProfile) -> None:
        super().__init__()
        self.profile = profile
        self.analysis = Analysis(profile)
        self.synthesis = Synthesis(profile)
        self.hyper_analysis = HyperAnalysis(profile)
        self.hyper_synthesis = HyperSynthesis(profile)
        self.contexts = nn.ModuleList(
            SliceContext(profile, index) for index in range(len(profile.latent_slices))
        )
        self.hyper_prior = EntropyBottleneck(profile.hyper_channels)
        self.latent_prior = GaussianConditional(None)
        table = torch.tensor(scale_table(), dtype=torch.float32)
        self.register_buffer("log_scales", torch.log(table), persistent=False)
        anchors = torch.linspace(-1.6, 1.6, profile.gain_anchors)[:, None]
        self.log_gains = nn.Parameter(anchors.repeat(1, profile.latent_channels))
        self.log_inverse_gains = nn.Parameter(-anchors.repeat(1, profile.latent_channels))

    def gains(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """position (N,) in 0..1 on the quality scale -> gain, inverse gain (N, M, 1, 1)."""
        place = position * (self.profile.gain_anchors - 1)
        low = place.floor().clamp(max=self.profile.gain_anchors - 2)
        share = (place - low)[:, None]
        low = low.long()
        both = (
            table[low] * (1 - share) + table[low + 1] * share
            for table in (self.log_gains, self.log_inverse_gains)
        )
        gain, inverse = (torch.exp(log)[:, :, None, None] for log in both)
        return gain, inverse

    def forward(self, picture: Tensor, glyphs: Tensor, position: Tensor) -> CodecOutput:
        """The training pass: draft (N, 3, H, W) and bits (N,) of y and z.

        Rounding is straight-through for what the decoder sees, uniform noise for the rate.
        """
        gain, inverse = self.gains(position)
        y = self.analysis(picture, glyphs).float() * gain
        z = self.hyper_analysis(y).float()
        noisy_z = z + torch.empty_like(z).uniform_(-0.5, 0.5) if self.training else torch.round(z)
        z_likelihood = self._hyper_likelihood(noisy_z)
        features = self.hyper_synthesis(round_half_up(z))
        y_hat, y_bits = self._slices(y, features)
        draft = self.synthesis(y_hat * inverse, glyphs)
        z_bits = -torch.log2(z_likelihood).sum((1, 2, 3))
        return CodecOutput(draft, y_bits, z_bits)

    def _hyper_likelihood(self, z: Tensor) -> Tensor:
        flat = z.permute(1, 0, 2, 3).reshape(z.shape[1], 1, -1)
        likelihood, _, _ = self.hyper_prior._likelihood(flat)
        likelihood = likelihood.clamp_min(1e-9)
        return likelihood.reshape(z.shape[1], z.shape[0], *z.shape[2:]).permute(1, 0, 2, 3)

    def _slices(self, y: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        anchor = checkerboard(y)
        decoded: list[Tensor] = []
        bits = y.new_zeros(y.shape[0])
        for context, current in zip(
            self.contexts, y.split(self.profile.latent_slices, 1), strict=True
        ):
            y_hat = torch.zeros_like(current)
            for mask in (anchor, 1 - anchor):
                passed = (mask != anchor).to(y.dtype).amax()  # 0 in the first pass, 1 in the second
                seen = (ACTIVATION_LIMIT * anchor * passed).expand(y.shape[0], -1, -1, -1)
                known = torch.cat([*map(as_context, [*decoded, y_hat]), seen], 1)
                means, scales = (t.float() for t in context(features, known))
                mean, scale = means / MEAN_UNITS, self._scale(scales)
                residual = round_half_up(current - mean)
                residual = torch.clamp(residual, -RESIDUAL_LIMIT, RESIDUAL_LIMIT)
                y_hat = y_hat + mask * (mean + residual)
                _, likelihood = self.latent_prior(current, scale, mean)
                bits = bits - (mask * torch.log2(likelihood.clamp_min(1e-9))).sum((1, 2, 3))
            decoded.append(y_hat)
        return torch.cat(decoded, 1), bits

    def _scale(self, index: Tensor) -> Tensor:
        step = self.log_scales[1] - self.log_scales[0]
        return torch.exp(self.log_scales[0] + step * index)


def as_context(latents: Tensor) -> Tensor:
    """Decoded latents as integers in quarters, -127..127."""
    scaled = round_half_up(latents * CONTEXT_UNITS)
    return torch.clamp(scaled, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)
