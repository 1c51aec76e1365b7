"""One row of text in each box that a detector reports.

On dense pages (terminals, code) detectors join neighbouring rows, and a recogniser reads one row of
a box. What stands between rows is ground, where nothing changes from left to right; so boxes of
several rows are cut there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from picd.distances import level_distance
from picd.stretches import stretches

GROUND = 0.15
"""A row of pixels is between rows of text where it changes by less than so much of what the row
that changes most does."""
LOWEST = 6
"""Pixels of the lowest row of text."""
PART = 0.45
"""What a row of text has of the height of the highest in its box, at least: the rest are dashes,
underlines and what is left of rows that the box cuts."""
HIGHEST = 0.6
"""Height of a row in heights of its box, at most, where that holds more than one."""
CHANGES = 24
"""Levels from a pixel to the next that are ink."""
ROOM = 0.35
"""Ground above and below that the recogniser wants to see, in heights of the row."""
COVERED = 0.5
"""Of a row of which another box has so much of the height, it has what is in its columns."""
Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]


def one_row_each(picture: NDArray[np.uint8], quads: NDArray[np.float32]) -> NDArray[np.float32]:
    """The ``quads`` (n, 4, 2) of text in ``picture``, uint8 (H, W, 3): corners (x, y) from the top
    left, clockwise. Those that hold several rows become one a row, and rows that are in no box but
    for their head or foot get one, too."""
    kept, cut = [], []
    for quad in quads:
        whole, parts = _rows(picture, quad)
        if len(whole) < 2:
            kept.append(quad)
        else:
            cut += whole
        cut += parts
    boxes = [_bounds(quad) for quad in kept]
    for box in sorted(cut, key=lambda box: -(box[2] - box[0])):
        for rest in _uncovered(box, boxes):
            boxes.append(rest)
            row = np.array(_quad(*rest), np.float32)
            below = (i for i, quad in enumerate(kept) if quad[:, 1].mean() > row[:, 1].mean())
            kept.insert(next(below, len(kept)), row)
    return np.array(kept, np.float32)


def _rows(picture: NDArray[np.uint8], quad: NDArray[np.float32]) -> tuple[list[Box], list[Box]]:
    """The rows of text that a box holds, and those that it holds the smaller part of; none of
    either where there is one row, or they cannot be told apart."""
    left, top, right, bottom = _bounds(quad)
    left, top, right = max(left, 0), max(top, 0), min(right, picture.shape[1])
    bottom = min(bottom, len(picture))
    height = bottom - top
    if height < 2 * LOWEST or right - left < height:
        return [], []
    first = max(top - height // 2, 0)
    area = picture[first : bottom + height // 2, left:right]
    changes = level_distance(area[:, 1:], area[:, :-1])
    profile = changes.mean(1, dtype=np.float32)
    changing = profile > GROUND * max(profile[top - first : bottom - first].max(), 1)
    rows = []
    for start, end in stretches(changing).tolist():
        inside = min(end + first, bottom) - max(start + first, top)
        if inside > 0 and end - start >= LOWEST:
            rows.append((start, end, inside))
    highest = max((end - start for start, end, _ in rows), default=0)
    rows = [row for row in rows if row[1] - row[0] >= PART * highest]
    if len(rows) < 2 or highest > HIGHEST * height:
        return [], []
    whole, parts = [], []
    for start, end, inside in rows:
        box = _row_box(changes[start:end], first + start, left)
        (whole if 2 * inside >= end - start else parts).append(box)
    return whole, parts


def _row_box(changes: NDArray[np.uint8], top: int, left: int) -> Box:
    """The box of a row of text with what changes in it, from its corner (left, top), as wide as
    what is in it."""
    inked = np.flatnonzero(changes.max(0) > CHANGES)
    height, width = changes.shape
    room = round(ROOM * height)
    x0, x1 = (int(inked[0]), int(inked[-1]) + 2) if inked.size else (0, width)
    return max(left + x0 - room, 0), max(top - room, 0), left + x1 + room, top + height + room


def _bounds(quad: NDArray[np.float32]) -> Box:
    (x0, y0), (x1, y1) = quad.min(axis=0), quad.max(axis=0)
    return round(float(x0)), round(float(y0)), round(float(x1)), round(float(y1))


def _quad(x0: int, y0: int, x1: int, y1: int) -> list[tuple[int, int]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _uncovered(box: Box, others: Sequence[Box]) -> list[Box]:
    """What of the row in a box is in none of the others."""
    x0, y0, x1, y1 = box
    bare = np.ones(max(x1 - x0, 0), bool)
    for left, top, right, bottom in others:
        if min(y1, bottom) - max(y0, top) >= COVERED * (y1 - y0):
            bare[max(left - x0, 0) : max(right - x0, 0)] = False
    spans = stretches(bare).tolist()
    return [(x0 + a, y0, x0 + b, y1) for a, b in spans if b - a >= y1 - y0]
