"""Latents that decode better: the encoder's last look at a picture.

What analysis gives is only a first guess, for it has seen no draft. From there the latents go down
the gradient of  bits + lambda * error of the draft,  the loss that the codec was trained with, for
this one picture (Campos et al. 2019, Yang et al. 2020). The decoder knows nothing of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picd.glyphs import GlyphImage
from picd.image_codec import LATENT_SCALE, ImageCodec, Latents
from picd.runtime import tiled

RATE, LAST = 0.006, 0.2
"""How far the first step goes, in quantisation steps of the latents, and the share of that which
the last goes."""
MOMENTUM, MEMORY = 0.5, 0.9
"""Of the gradient, and of its mean square by channel."""
MARGIN = 320
"""Pixels that a gradient sees on each side: synthesis, there and back, and windows of likeness."""


def refined(
    codec: ImageCodec,
    y: Latents,
    quality: float,
    picture: NDArray[np.uint8],
    glyphs: GlyphImage,
    steps: int,
) -> Latents:
    """Better y (1, M, H'/16, W'/16) for coding a picture, uint8 (H, W, 3), at a quality (1..100).

    Gradients are divided by the geometric mean of their root mean square in a channel and in all:
    each alone favours channels that hardly matter, or steps too short for most.
    """
    gradient = _Gradient(codec, quality, picture, glyphs)
    gain = codec.gain(quality)
    scaled = y * gain
    momentum, power = np.zeros_like(scaled), None
    for step in range(steps):
        slope = gradient(scaled)
        now = (slope**2).mean((2, 3), keepdims=True)
        power = now if power is None else MEMORY * power + (1 - MEMORY) * now
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * slope
        length = RATE * (1 - (1 - LAST) * step / steps) / (1 - MOMENTUM ** (step + 1))
        scaled = scaled - np.float32(length) * momentum / ((power * power.mean()) ** 0.25 + 1e-12)
    return scaled / gain


class _Gradient:
    """Of bits + lambda * error with respect to the latents times their gain."""

    def __init__(
        self, codec: ImageCodec, quality: float, picture: NDArray[np.uint8], glyphs: GlyphImage
    ) -> None:
        self.codec, self.quality = codec, quality
        self.network = codec.models["refinement"]
        self.planes = [(planes, 1) for planes in codec.drawn(picture, glyphs)]
        self.inverse = codec.inverse_gain(quality)
        self.price = np.float32(codec.price(quality))

    def __call__(self, scaled: Latents) -> Latents:
        means, scales = self.codec.expected(scaled, self.quality)
        residual = scaled - means
        sent = means + np.floor(residual + np.float32(0.5))
        inputs = [(sent * self.inverse, LATENT_SCALE), *self.planes]
        error = tiled(lambda *a: self.network(*a)[0], inputs, LATENT_SCALE, margin=MARGIN)
        # of the bits under the noise of rounding: its ends' difference
        costs = self.codec.tables.cost
        half = np.float32(0.5)
        bits = costs(residual + half, scales) - costs(residual - half, scales)
        return bits + self.price * self.inverse * error
