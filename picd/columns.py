"""Reading order: lines that stand in one column follow each other.

OCR engines report rows; told by columns, the text is contiguous and most of a line's place (left
edge, pitch, style) is that of the line before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from picd.layout import TextLine

MAX_STEP = 4.0
"""Lines further apart, in em, are not of one column."""
MAX_GAP = 1.0
"""Words further apart, in em, do not belong to one line."""
EDGE_TOLERANCE = 10
"""Left edges of a column differ by less, in units."""


def in_columns(lines: Sequence[TextLine]) -> tuple[TextLine, ...]:
    """``lines`` column by column, from the top left; pieces of one line follow each other, and
    are one where they have one style."""
    left = sorted(_rows(lines), key=lambda row: (row[0].baseline // 16, row[0].words[0].x))
    ordered: list[TextLine] = []
    while left:
        row = left[0]
        while row:
            left.remove(row)
            ordered += row
            row = _below(row, left)
    return tuple(ordered)


def _rows(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines joined with those that go on at their end (in another style)."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: (line.words[0].x, line.baseline)):
        before = next((row for row in rows if _goes_on(row[-1], line)), None)
        if before and (line.style, line.baseline) == (before[-1].style, before[-1].baseline):
            before[-1] = replace(line, words=before[-1].words + line.words)
        elif before:
            before.append(line)
        else:
            rows.append([line])
    return rows


def _goes_on(line: TextLine, other: TextLine) -> bool:
    gap = other.words[0].x - line.words[-1].x - line.words[-1].width
    size = max(line.style.size, other.style.size)
    return abs(line.baseline - other.baseline) < EDGE_TOLERANCE and 0 <= gap <= MAX_GAP * size


def _below(row: list[TextLine], others: Sequence[list[TextLine]]) -> list[TextLine] | None:
    """The nearest of ``others`` under ``row``."""
    first = row[0]

    def step(other: list[TextLine]) -> int:
        return other[0].baseline - first.baseline

    under = [
        other
        for other in others
        if abs(other[0].words[0].x - first.words[0].x) < EDGE_TOLERANCE
        and 0 < step(other) <= MAX_STEP * first.style.size
    ]
    return min(under, key=step, default=None)
