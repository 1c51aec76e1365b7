"""What a bit has to mend, of squared error (RGB levels), to be worth sending."""

from __future__ import annotations

import numpy as np

PRICE, PRICED_AT, DEARER = 5000.0, 0.06, 1.6
"""What a bit of a letter has to mend at so many bits per pixel, and the power by which it has to
mend more at fewer: from 0.03 and 0.06 bits per pixel on ten held-back screens, where a third more
or less gives no more."""
QUALITY_AT, PER_QUALITY = 75.0, 0.048
"""The quality at which pages are coded at so many bits per pixel, and what one more is worth."""


def price_at_rate(bpp: float) -> float:
    """The price of a bit at so many bits per pixel."""
    return PRICE * (PRICED_AT / bpp) ** DEARER


def price_at_quality(quality: float) -> float:
    """The price of a bit at a quality, 1..100."""
    return PRICE * float(np.exp(PER_QUALITY * (QUALITY_AT - quality)))


def scarcity(taken: float, room: float | None) -> float:
    """How much more a bit has to mend when so many of ``room`` bits (None: any) are taken that the
    picture stream would have had."""
    left = 1.0 if room is None else max(1 - taken / max(room, 1.0), 1e-3)
    return left**-DEARER
