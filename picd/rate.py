"""The search for the best quality whose image section fits into some bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picd.image_codec import ImageCodec, Latents, QuantisedLatents

LOWEST_TRIAL, HIGHEST_TRIAL = -8, 200
"""In half steps of quality: below :data:`CHEAPEST` they are quality 1 with growing thrift."""
FIRST_QUALITY, LOG_COST_SLOPE = 40.0, 0.03
"""Where the search starts, and how fast the logarithm of the cost grows with half steps: measured
on screens, and only a start."""
CHEAPEST, THRIFT_SLOPE = 2, 0.15
"""The trial below which there is thrift, whose cost is not guessed, and how fast it grows there."""
GUESSES = 3
"""So many guesses of the cost lead to the next trial, which takes twenty times as long."""
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
    thrift = 0.04 * 1.4 ** (1 - half_steps) if half_steps < CHEAPEST else 0.0
    return max(half_steps, CHEAPEST) / 2, thrift


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

    Steps by what other qualities are guessed to cost. With z fixed the cost grows smoothly; a z
    that follows the quality makes it jump (rounding flips over whole flat areas), up and down. So z
    follows only as long as the steps are wide.
    """
    low, high = LOWEST_TRIAL - 1, HIGHEST_TRIAL + 1  # ``low`` fits (or is off the scale)
    trial, best = start, None
    z, of, drawn = None, 0, 0
    while high - low > 1:
        if z is None or (abs(trial - of) > NEAR and drawn < MOST_HYPER):
            source = level(min(trial, 2 * trial - POOR))[0]
            z, of, drawn = codec.hyper_latents(y, source), trial, drawn + 1
            high = HIGHEST_TRIAL + 1  # what was too much with another z may not be with this
            costs: dict[int, float] = {}
        latents = _quantised(codec, y, trial, z)
        costs[trial] = latents.bits
        if latents.bits <= bits:
            low, best = trial, latents
        else:
            high = trial
        if CLOSE * bits < latents.bits <= bits or bits <= 0:
            break
        following = _next(codec, y, trial, latents, bits, costs)
        if following == low and trial <= low + NEAR:
            break  # half a step more would be too much
        trial = min(max(following, low + 1), high - 1)
    if best is None:
        low, best = LOWEST_TRIAL, _quantised(codec, y, LOWEST_TRIAL, codec.hyper_latents(y, 1))
    return low, best


def _next(
    codec: ImageCodec,
    y: Latents,
    trial: int,
    latents: QuantisedLatents,
    bits: int,
    costs: dict[int, float],
) -> int:
    """The trial that costs at most about ``bits``, as far as the ``costs`` with this z tell or,
    with none but the last, what others are guessed to cost."""
    at, cost, slope = trial, costs[trial], LOG_COST_SLOPE
    for other in sorted(costs.keys() - {trial}, key=lambda other: abs(other - trial))[:1]:
        slope = _slope(cost, costs[other], other - trial)
    for _ in range(GUESSES):
        thrifty = at <= CHEAPEST and bits < cost or at < CHEAPEST
        step = np.log(bits / cost) / (THRIFT_SLOPE if thrifty and len(costs) == 1 else slope)
        following = min(max(at + int(np.floor(step)), LOWEST_TRIAL), HIGHEST_TRIAL)
        if len(costs) > 1 or thrifty or following == at:
            return following
        following = max(following, CHEAPEST)
        guess = codec.guessed_bits(latents, y, level(trial)[0], level(following)[0])
        slope, at, cost = _slope(cost, guess, following - at), following, guess
    return at


def _slope(cost: float, other: float, steps: int) -> float:
    """How the logarithm of the cost grows in a half step."""
    return float(np.clip(np.log(other / cost) / steps, 0.005, 0.1))


def _quantised(codec: ImageCodec, y: Latents, half_steps: int, z: Latents) -> QuantisedLatents:
    quality, thrift = level(half_steps)
    return codec.quantise(y, quality, z, thrift)
