"""The search for the best quality whose image section fits into some bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picd.image_codec import ImageCodec, Latents, QuantisedLatents

LOWEST_TRIAL, HIGHEST_TRIAL = -8, 200
"""In half steps of quality: below 2 they are quality 1 with growing thrift."""
FIRST_QUALITY, LOG_COST_SLOPE = 25.0, 0.03
"""Where the search starts, and how fast the logarithm of the cost grows with half steps: measured
on screens, and only a start."""
CLOSE = 0.985
"""A cost of more than this share of what there is ends the search: half a step costs more."""
NEAR, MOST_HYPER = 3, 4
"""z is that of a trial at most so many half steps away; and so many z at most."""
POOR = 10
"""Below so many half steps z is that of a still lower quality: there its own bits count."""


@dataclass(frozen=True)
class CodedImage:
    """An image section, the quality (1..100) it was coded at, the latents in it, and the bits they
    took at each place (H'/16, W'/16); ``fits`` is False where even the cheapest is too large."""

    quality: float
    data: bytes
    y_hat: Latents
    bits: Latents
    fits: bool = True


def level(half_steps: int) -> tuple[float, float]:
    """(quality, thrift) of a trial."""
    return max(half_steps, 2) / 2, 0.04 * 1.4 ** (1 - half_steps) if half_steps < 2 else 0.0


def coded_at(codec: ImageCodec, y: Latents, quality: float) -> CodedImage:
    """y at a quality (1..100), whatever it costs."""
    latents = codec.quantise(y, quality)
    return CodedImage(quality, codec.write(latents), latents.y, codec.bits_by_place(latents))


def best_within(
    codec: ImageCodec, y: Latents, size: int, start: float = FIRST_QUALITY
) -> CodedImage:
    """The best quality at which y costs at most ``size`` bytes, or the cheapest there is; the
    search begins at ``start``."""
    half_steps, latents = _search(codec, y, 8 * size, round(2 * start))
    while True:
        data = codec.write(latents)  # a few bytes more than was counted, perhaps
        fits = len(data) <= size
        if fits or half_steps == LOWEST_TRIAL:
            bits = codec.bits_by_place(latents)
            return CodedImage(level(half_steps)[0], data, latents.y, bits, fits)
        half_steps -= 1
        latents = _quantised(codec, y, half_steps, latents.z)


def _search(codec: ImageCodec, y: Latents, bits: int, start: int) -> tuple[int, QuantisedLatents]:
    """The highest trial that costs at most ``bits``, to 1.5 % or half a step, or the lowest; the
    first is ``start``.

    Secant steps on the logarithm of the cost. With z fixed that grows smoothly; a z that follows
    the quality makes it jump (rounding flips over whole flat areas), up and down. So z follows only
    as long as the steps are wide.
    """
    low, high = LOWEST_TRIAL - 1, HIGHEST_TRIAL + 1  # ``low`` fits (or is off the scale)
    trial, slope = start, LOG_COST_SLOPE
    z, of, drawn = None, 0, 0
    best, last = None, None
    while high - low > 1:
        if z is None or (abs(trial - of) > NEAR and drawn < MOST_HYPER):
            source = level(min(trial, 2 * trial - POOR))[0]
            z, of, drawn = codec.hyper_latents(y, source), trial, drawn + 1
            high = HIGHEST_TRIAL + 1  # what was too much with another z may not be with this
        latents = _quantised(codec, y, trial, z)
        if latents.bits <= bits:
            low, best = trial, latents
        else:
            high = trial
        if CLOSE * bits < latents.bits <= bits or bits <= 0:
            break
        if last and last[0] != trial and latents.bits != last[1]:
            rise = np.log(latents.bits / last[1]) / (trial - last[0])
            slope = float(np.clip(rise, 0.005, 0.1))
        last = trial, latents.bits
        trial += round(float(np.log(bits / latents.bits)) / slope)
        trial = min(max(trial, low + 1), high - 1)
    if best is None:
        low, best = LOWEST_TRIAL, _quantised(codec, y, LOWEST_TRIAL, codec.hyper_latents(y, 1))
    return low, best


def _quantised(codec: ImageCodec, y: Latents, half_steps: int, z: Latents) -> QuantisedLatents:
    quality, thrift = level(half_steps)
    return codec.quantise(y, quality, z, thrift)
