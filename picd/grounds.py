"""Lines that have no ground of one colour: words on photographs, gradients, edges of panels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from picd.columns import on_one_row
from picd.distances import level_distance
from picd.glyphs import render_glyphs
from picd.layout import UNITS_PER_PIXEL, TextLayout, TextLine

NEAR_INK = 5
"""Pixels of a square about each of a letter that say nothing of its ground."""
OWN, ANOTHER = 6, 16
"""Levels from a line's ground up to which a pixel is of it, and from which on of another."""
FEW = 48
"""So few pixels between letters tell nothing."""
LARGE = 24 * UNITS_PER_PIXEL
SHARES, LARGE_SHARES = (0.35, 0.35), (0.5, 0.12)
"""What part of the pixels between letters may be of the ground at most and has to be of another for
the picture to be the ground; and where letters are large: a patch is seen more. Letters that fit
badly leave ink there, but the rest is of the ground."""
CAPITALS = 0.75
"""Height of capitals, in sizes."""


def with_clear_lines(picture: NDArray[np.uint8], layout: TextLayout) -> TextLayout:
    """``layout`` with those lines clear whose ground is not what ``picture``, uint8 (H, W, 3),
    shows about their letters, or about those of more than a third of their row."""
    glyphs = render_glyphs(layout)
    letters = cv2.dilate((glyphs.coverage > 0).astype(np.uint8), np.ones((NEAR_INK, NEAR_INK)))
    about = (glyphs.box > 0) & (letters == 0)
    apart = level_distance(picture, glyphs.ground)
    lines = []
    for line in layout.lines:
        area = _between_letters(line)
        seen = apart[area][about[area]]
        most, least = LARGE_SHARES if line.style.size >= LARGE else SHARES
        own, another = (seen <= OWN).sum(), (seen > ANOTHER).sum()
        uneven = own < most * seen.size and another > least * seen.size
        lines.append(replace(line, clear=bool(seen.size >= FEW and uneven)))
    rows = _rows(lines)
    return replace(layout, lines=tuple(line for row in rows for line in _agreed(row)))


def _between_letters(line: TextLine) -> tuple[slice, slice]:
    """The rows and columns of a line's capitals: beyond them there are rules and frames."""
    base, size = line.baseline // UNITS_PER_PIXEL, line.style.size / UNITS_PER_PIXEL
    start = line.words[0].x // UNITS_PER_PIXEL
    end = -(-(line.words[-1].x + line.words[-1].width) // UNITS_PER_PIXEL)
    return np.s_[max(base - round(CAPITALS * size), 0) : max(base, 0), max(start, 0) : max(end, 0)]


def _rows(lines: Iterable[TextLine]) -> Iterator[list[TextLine]]:
    """Lines that go on beside each other, together."""
    row: list[TextLine] = []
    for line in lines:
        if row and not _beside(row[-1], line):
            yield row
            row = []
        row.append(line)
    if row:
        yield row


def _beside(line: TextLine, other: TextLine) -> bool:
    gap = other.words[0].x - line.words[-1].x - line.words[-1].width
    return on_one_row(line, other) and abs(gap) < line.style.size


def _agreed(row: list[TextLine]) -> list[TextLine]:
    letters = [sum(len(word.text) for word in line.words) for line in row]
    clear = sum(count for line, count in zip(row, letters, strict=True) if line.clear)
    if 3 * clear <= sum(letters):
        return row
    return [replace(line, clear=True) for line in row]
