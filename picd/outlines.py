"""Letters on the pixel grid, in exact integers: what own letters are predicted from.

Rasterisers differ in a last bit between versions, and entropy coding must not. So this draws the
outlines of the bundled fonts itself, coarsely and without hinting: good enough to say where a
letter has its edges, never seen in a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from picd.font_metrics import SCALE_STEPS, font_tables, glyph_metrics
from picd.layout import UNITS_PER_PIXEL

SAMPLES = 4
"""Samples a pixel, across and down: coverage is 0..16."""
MARGIN = 1
"""Pixels about a letter in its window."""
_PIECES = 8  # of a curve
_PARTS = 2 * _PIECES**2  # of a font unit
_STEP = 256  # fixed-point steps from sample to sample
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Outline:
    """A letter drawn at the origin: ``coverage`` (h, w) int8, 0..16, in a window whose corner is
    ``x``, ``y`` pixels right of and below the origin, with a margin all around."""

    coverage: NDArray[np.int8]
    x: int
    y: int


def has_outline(face: int, character: str) -> bool:
    """Whether a bundled font has ink for ``character`` in ``face``."""
    metrics = glyph_metrics(face, character)
    return metrics.face >= 0 and metrics.right > metrics.left


@lru_cache(maxsize=4096)
def outline(face: int, size: int, scale: int, character: str) -> Outline:
    """``character``, which has an outline, in ``face`` at ``size`` (the em in layout units),
    ``scale`` / 64 as wide. Integer arithmetic: identical everywhere."""
    edges, em = _edges(face, character)
    pixel, unit = SAMPLES * _STEP, em * _PARTS * UNITS_PER_PIXEL
    x = edges[..., 0] * (size * scale * pixel) // (unit * SCALE_STEPS)
    y = -edges[..., 1] * (size * pixel) // unit
    left, top = (int(axis.min()) // pixel - MARGIN for axis in (x, y))
    right, bottom = (-(-int(axis.max()) // pixel) + MARGIN for axis in (x, y))
    shape = (bottom - top) * SAMPLES, (right - left) * SAMPLES
    inside = _winding(x - left * pixel, y - top * pixel, *shape) != 0
    blocks = inside.reshape(bottom - top, SAMPLES, right - left, SAMPLES)
    return Outline(blocks.sum((1, 3)).astype(np.int8), left, top)


def _winding(x: Integers, y: Integers, rows: int, columns: int) -> Integers:
    """How often edges between the points (x, y), (n, 2) each, wind about the samples."""
    centres = np.arange(rows) * _STEP + _STEP // 2
    low, high = y.min(1), y.max(1)
    row, edge = np.nonzero((low <= centres[:, None]) & (centres[:, None] < high))
    (x0, x1), (y0, y1) = x[edge].T, y[edge].T
    crossing = x0 + (centres[row] - y0) * (x1 - x0) // (y1 - y0)
    turns = np.zeros((rows, columns + 1), np.int64)
    column = np.clip((crossing + _STEP // 2 - 1) // _STEP, 0, columns)
    np.add.at(turns, (row, column), np.sign(y1 - y0))
    return turns.cumsum(1)[:, :-1]


@lru_cache(maxsize=4096)
def _edges(face: int, character: str) -> tuple[Integers, int]:
    """Edges (n, 2 ends, x and y) in :data:`_PARTS` of a font unit, and the units of an em."""
    font, names = font_tables(glyph_metrics(face, character).face)
    points, ends, on_curve = font["glyf"][names[ord(character)]].getCoordinates(font["glyf"])
    edges, start = [], 0
    for end in ends:
        contour = list(zip(points[start : end + 1], on_curve[start : end + 1], strict=True))
        edges += pairwise(_flattened(contour))
        start = end + 1
    return np.array(edges, np.int64).reshape(-1, 2, 2), font["head"].unitsPerEm


def _flattened(contour: list[tuple[tuple[float, float], int]]) -> Iterator[tuple[int, int]]:
    """The corners of a closed TrueType contour, its quadratic curves in pieces."""
    nodes: list[tuple[int, int, int]] = []  # in half units; 1 on the curve, 0 off it
    for (x, y), on in [*contour, contour[0]]:
        x, y = 2 * round(x), 2 * round(y)
        if nodes and not (on or nodes[-1][2]):  # a point on the curve is implied between the two
            nodes.append(((nodes[-1][0] + x) // 2, (nodes[-1][1] + y) // 2, 1))
        nodes.append((x, y, on))
    nodes.pop()
    first = next(i for i, node in enumerate(nodes) if node[2])
    nodes = [*nodes[first:], *nodes[:first], nodes[first]]
    for before, node, after in zip([nodes[0], *nodes], nodes, [*nodes[1:], nodes[0]], strict=False):
        if node[2]:
            yield node[0] * _PIECES**2, node[1] * _PIECES**2
            continue
        for k in range(1, _PIECES):
            a, b, c = (_PIECES - k) ** 2, 2 * k * (_PIECES - k), k * k
            x, y = (a * before[i] + b * node[i] + c * after[i] for i in range(2))
            yield x, y
