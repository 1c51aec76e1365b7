"""The conditional image codec: transforms that know the glyph image (and :mod:`picd.nets.entropy`).

    x, glyphs -> Analysis -> y --gain(quality)--> rounded and coded by the EntropyModel
    y_hat --inverse gain--> Synthesis (given glyphs) -> draft

The glyph image enters through zero-initialised branches, as a ControlNet does (PICD section 3).
Both transforms start from a block DCT, so that training begins at a JPEG-like codec instead of
noise; their linear paths are lapped (windows of 32 pixels, 16 apart), so that it can learn not to
show blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from compressai.layers import ResidualBlock
from torch import Tensor, nn
from torch.nn import functional as F

from picd.nets.entropy import EntropyModel
from picd.nets.profiles import CodecProfile

GLYPH_CHANNELS = 5
"""coverage, coverage * ink RGB, word box."""
BLOCK = 16


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
        self.entropy = EntropyModel(profile)
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
        """The training pass: draft (N, 3, H, W) and bits (N,) of y and z."""
        gain, inverse = self.gains(position)
        y = self.analysis(picture, glyphs).float() * gain
        y_hat, y_bits, z_bits = self.entropy(y)
        return CodecOutput(self.synthesis(y_hat * inverse, glyphs), y_bits, z_bits)
