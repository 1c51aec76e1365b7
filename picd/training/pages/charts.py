"""Charts as SVG: lines, areas, bars, scatter, pie, heat map. Labels are SVG text."""

from __future__ import annotations

import html
import math
from random import Random

from picd.training.pages.text import Writer
from picd.training.pages.theme import Theme, hsl

KINDS = ("line", "area", "bars", "scatter", "pie", "heat", "stack")
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
YEARS = [str(2014 + k) for k in range(12)]
HOURS = [f"{2 * k:02d}:00" for k in range(12)]


def chart(rng: Random, write: Writer, theme: Theme, width: int, height: int) -> str:
    """An SVG chart of a random kind, ``width`` x ``height`` CSS pixels."""
    kind = rng.choice(KINDS)
    if kind == "pie":
        inner = _pie(rng, write, theme, width, height)
    elif kind == "heat":
        inner = _heat(rng, write, theme, width, height)
    else:
        font = rng.choice((10, 11, 12, 13))
        area = (5 * font * 0.75 + 6, 8.0, width - 6.0, height - 2.0 * font)
        inner = _axes(rng, theme, area, height, font) + _marks(rng, theme, kind, area)
    size = f"width='{width}' height='{height}' viewBox='0 0 {width} {height}'"
    return f"<svg {size}>{inner}</svg>"


def _text(theme: Theme, x: float, y: float, text: str, size: int, anchor: str) -> str:
    place = f"x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}'"
    return f"<text {place} fill='{theme.muted}'>{html.escape(text)}</text>"


def _rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    place = f"x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}'"
    return f"<rect {place} fill='{fill}'/>"


def _axes(rng: Random, theme: Theme, area: tuple, height: int, font: int) -> str:
    left, top, right, bottom = area
    most = rng.choice((1, 5, 10, 50, 100, 250, 1000, 8000))
    rules, suffix, out = rng.randint(3, 6), rng.choice(("", "", "%", "k", " ms")), []
    for k in range(rules + 1):
        y = bottom - (bottom - top) * k / rules
        label = f"{most * k / rules:.4g}{suffix}"
        out.append(f"<path d='M{left:.1f} {y:.1f}H{right:.1f}' stroke='{theme.border}'/>")
        out.append(_text(theme, left - 5, y + font * 0.35, label, font, "end"))
    labels = rng.choice((MONTHS, YEARS, HOURS))
    count = min(12, max(2, int((right - left) / (font * 4.5))))
    for k in range(count):
        x = left + (right - left) * (k + 0.5) / count
        out.append(_text(theme, x, height - font * 0.6, labels[k * 12 // count], font, "middle"))
    return "".join(out)


def _walk(rng: Random, count: int) -> list[float]:
    """A random walk within 0..1."""
    value, out = rng.uniform(0.2, 0.8), []
    for _ in range(count):
        value = min(0.97, max(0.03, value + rng.gauss(0, 0.09)))
        out.append(value)
    return out


def _marks(rng: Random, theme: Theme, kind: str, area: tuple) -> str:
    left, top, right, bottom = area
    span, rise, colors, out = right - left, bottom - top, theme.series, []
    if kind == "scatter":
        for _ in range(rng.randint(20, 160)):
            x, y = left + span * rng.random(), bottom - rise * min(1, abs(rng.gauss(0.45, 0.2)))
            look = f"r='{rng.choice((2, 3, 4))}' fill='{rng.choice(colors[:3])}' fill-opacity='.8'"
            out.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' {look}/>")
    elif kind in ("bars", "stack"):
        count, layers = rng.randint(5, 24), 3 if kind == "stack" else 1
        step = span / count
        for k, value in enumerate(_walk(rng, count)):
            tall = rise * value / layers
            for layer in range(layers):
                x, y = left + (k + 0.15) * step, bottom - tall * (layer + 1)
                out.append(_rect(x, y, 0.7 * step, tall, colors[layer]))
    else:
        for color in colors[: rng.randint(1, 4)]:
            values = _walk(rng, rng.randint(8, 70))
            step = span / (len(values) - 1)
            points = (
                f"{left + k * step:.1f} {bottom - rise * v:.1f}" for k, v in enumerate(values)
            )
            path, stroke = "M" + "L".join(points), rng.choice((1.5, 2, 3))
            out.append(f"<path d='{path}' fill='none' stroke='{color}' stroke-width='{stroke}'/>")
            if kind == "area":
                closed = f"{path}L{right} {bottom}L{left} {bottom}z"
                out.append(f"<path d='{closed}' fill='{color}' fill-opacity='.25'/>")
    return "".join(out)


def _pie(rng: Random, write: Writer, theme: Theme, width: int, height: int) -> str:
    out, angle = [], 0.0
    radius = min(height * 0.45, width * 0.25)
    cx, cy = radius + 8, height / 2
    weights = [rng.uniform(0.5, 3) for _ in range(rng.randint(3, 6))]
    for k, weight in enumerate(weights):
        share, color = weight / sum(weights), theme.series[k]
        end = angle + 2 * math.pi * share
        (x0, y0), (x1, y1) = (
            (cx + radius * math.cos(a), cy + radius * math.sin(a)) for a in (angle, end)
        )
        arc = f"A{radius:.1f} {radius:.1f} 0 {int(share > 0.5)} 1 {x1:.1f} {y1:.1f}z"
        out.append(f"<path d='M{cx:.1f} {cy:.1f}L{x0:.1f} {y0:.1f}{arc}' fill='{color}'/>")
        x, y = 2 * radius + 26, 18 + k * 20
        if y < height - 4:
            out.append(_rect(x, y - 9, 10, 10, color))
            label = f"{write.any().capitalize()} {100 * share:.0f}%"
            out.append(_text(theme, x + 16, y, label, 12, "start"))
        angle = end
    if rng.random() < 0.5:
        hole = f"cx='{cx:.1f}' cy='{cy:.1f}' r='{radius * 0.6:.1f}'"
        out.append(f"<circle {hole} fill='{theme.panel}'/>")
    return "".join(out)


def _heat(rng: Random, write: Writer, theme: Theme, width: int, height: int) -> str:
    rows, columns, hue, out = rng.randint(4, 9), rng.randint(6, 24), rng.random(), []
    w, h = (width - 60) / columns, height / rows
    for r in range(rows):
        out.append(_text(theme, 50, (r + 0.65) * h, write.any()[:7], 11, "end"))
        for c, value in enumerate(_walk(rng, columns)):
            color = hsl(hue + value * 0.2, 0.7, 0.2 + 0.6 * value)
            out.append(_rect(56 + c * w, r * h, w - 1, h - 1, color))
    return "".join(out)
