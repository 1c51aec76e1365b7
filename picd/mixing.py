"""Logistic mixing in pure integers: the tables behind the text and the layout coder.

Probabilities are 16-bit (:data:`picd.arithmetic.PROBABILITY_ONE` is certainty). The logistic
domain holds ln(p / (1 - p)) in 1/256, clipped to +-2047. The tables are computed in integer
arithmetic, because a decoder whose table differs in one entry reads garbage.
"""

from __future__ import annotations

STRETCH_LIMIT = 2047
"""Largest magnitude in the logistic domain."""


def _squash_table() -> list[int]:
    """65536 / (1 + exp(-x / 256)) for x = -2047..2047, at index x + 2047."""
    one = 1 << 128
    step, term = one, one
    for k in range(1, 20):  # exp(1/256) as a Taylor series in fixed point
        term //= 256 * k
        step += term
    positive, power = [], one
    for _ in range(STRETCH_LIMIT + 1):
        positive.append(((power << 17) // (power + one) + 1) >> 1)
        power = power * step // one
    return [65536 - p for p in reversed(positive[1:])] + positive


def _stretch_table() -> list[int]:
    """The inverse of :data:`SQUASH` for p / 16 = 0..4095, in -2047..2047."""
    table, x = [], 0
    for p in range(4096):
        while x < 2 * STRETCH_LIMIT and SQUASH[x] < p * 16 + 8:
            x += 1
        table.append(x - STRETCH_LIMIT)
    return table


SQUASH = _squash_table()
"""From the logistic domain to 16-bit probability: index x + 2047."""

STRETCH = _stretch_table()
"""From probability / 16 (0..4095) to the logistic domain."""

COUNT_LIMIT = 255
RATE = [65536 * 2 // (2 * n + 3) for n in range(COUNT_LIMIT + 1)]
"""Step, in 1/65536, of an adaptive probability that has seen n bits: 1 / (n + 1.5)."""
