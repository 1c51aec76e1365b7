"""The rate-quality plot, as SVG in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 92, 18, 46
COLOURS = ("#0d9488", "#6366f1", "#f59e0b", "#ef4444", "#0ea5e9", "#a855f7", "#84cc16")


def rate_plot(curves: dict[str, Sequence[tuple[float, float]]], measure: str) -> str:
    """Curves of (bits per pixel, value) by codec, the axis of bits logarithmic."""
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return ""
    x_ticks, y_ticks = _octaves(p[0] for p in points), _round_steps(p[1] for p in points)
    x_low, x_high = math.log2(x_ticks[0]), math.log2(x_ticks[-1])

    def x(bits: float) -> float:
        share = (math.log2(bits) - x_low) / (x_high - x_low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" '
        f'y2="{y(tick):.1f}"/><text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" '
        f'text-anchor="end">{tick:g}</text>'
        for tick in y_ticks
    ]
    parts += [
        f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in x_ticks
    ]
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        "bits per pixel</text>"
    )
    ends = _spread({name: y(sorted(curve)[-1][1]) for name, curve in curves.items() if curve})
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        if curve:
            parts.append(_curve(name, [(x(b), y(v)) for b, v in sorted(curve)], ends[name], colour))
    said = escape(f"{measure} over bits per pixel: {', '.join(curves)}")
    return (
        f'<figure class="picd-plot"><figcaption>{escape(measure)} of this picture</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">{"".join(parts)}'
        "</svg></figure>"
    )


def _curve(name: str, at: list[tuple[float, float]], label: float, colour: str) -> str:
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in at)
    weight = 3 if name == "PICD" else 1.8
    return (
        f'<g style="--c:{colour}"><polyline points="{line}" stroke-width="{weight}"/>{dots}'
        f'<text class="name" x="{at[-1][0] + 9:.1f}" y="{label + 4:.1f}">{escape(name)}</text></g>'
    )


def _octaves(values: Iterable[float]) -> list[float]:
    """0.01, 0.02, 0.04 ... around the values."""
    values = list(values)
    first = math.floor(math.log2(min(values) / 0.01))
    last = max(math.ceil(math.log2(max(values) / 0.01)), first + 1)
    return [0.01 * 2.0**power for power in range(first, last + 1)]


def _round_steps(values: Iterable[float]) -> list[float]:
    """Three to seven round numbers around the values."""
    values = list(values)
    span = (max(values) - min(values)) or abs(max(values)) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(span / 3))
    step = next(m * magnitude for m in (1, 2, 5, 10) if span / (m * magnitude) <= 5)
    first, last = math.floor(min(values) / step), math.ceil(max(values) / step)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def _spread(heights: dict[str, float], apart: float = 18) -> dict[str, float]:
    """Label heights, moved so that none lies on another."""
    placed: dict[str, float] = {}
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        lowest = max(placed.values(), default=-apart) + apart
        placed[name] = max(height, lowest)
    return placed
