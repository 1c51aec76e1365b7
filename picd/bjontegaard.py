"""Bjøntegaard's delta: how much better one rate-quality curve is than another, on average.

G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33 (2001), with
piecewise cubic Hermite interpolation (PCHIP) instead of one cubic, as JVET-AF0064 does: it neither
overshoots between points nor needs four of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Curve = Sequence[tuple[float, float]]
"""(bits per pixel, metric) pairs, in any order."""


def bd_metric(curve: Curve, anchor: Curve) -> float | None:
    """Mean of ``curve`` minus ``anchor`` over the logarithm of the rates that both cover.

    The sign is the metric's own (as in PICD's tables): +0.1 text accuracy is better, -5 FID too.
    None where the curves share no range of rates, or one has fewer than two different rates.
    """
    from scipy.interpolate import PchipInterpolator

    pieces = []
    for points in (curve, anchor):
        by_rate = dict(sorted((rate, value) for rate, value in points))
        if len(by_rate) < 2:
            return None
        pieces.append((np.log(list(by_rate)), list(by_rate.values())))
    low = max(rates[0] for rates, _ in pieces)
    high = min(rates[-1] for rates, _ in pieces)
    if not low < high:
        return None
    ours, theirs = (
        PchipInterpolator(rates, values).integrate(low, high) for rates, values in pieces
    )
    return float(ours - theirs) / (high - low)
