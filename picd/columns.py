"""Reading order: lines that stand in one column follow each other; and the text in that order.

OCR engines report rows; told by columns, the text is contiguous and most of a line's place (left
edge, pitch, style) is that of the line before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from picd.layout import UNITS_PER_PIXEL, PlacedWord, TextLayout, TextLine

MAX_STEP = 4.0
"""Lines further apart, in em, are not of one column."""
MAX_GAP = 1.0
"""Words further apart, in em, do not belong to one line."""
EDGE_TOLERANCE = 10
"""Left edges of a column, and baselines of a row, differ by less, in units."""
JOINED_GAP = 0.5
"""Where a word goes on in another style there is less ground between, in em."""


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
    return with_joints(ordered)


def with_joints(lines: Iterable[TextLine]) -> tuple[TextLine, ...]:
    """``lines``, those alone joined to the one before that go on with its last word. (What was
    between them may have been left to the picture.)"""
    result: list[TextLine] = []
    for line in lines:
        fits = line.joined and result and _joins(result[-1], line)
        result.append(line if fits == line.joined else replace(line, joined=False))
    return tuple(result)


def layout_text(layout: TextLayout) -> str:
    """The decoded text, one line a line."""
    text = ""
    for before, line in itertools.pairwise((None, *layout.lines)):
        if before:
            on = before.words and line.words and goes_on(before, line)
            text += "" if line.joined else " " if on else "\n"
        text += " ".join(word.text for word in line.words)
    return text


def layout_words(layout: TextLayout) -> list[dict[str, Any]]:
    """[{"text", "box": [x, y, w, h]}] with boxes in pixels; a box is as high as its line's em."""
    unit = UNITS_PER_PIXEL
    words: list[dict[str, Any]] = []
    for line in layout.lines:
        top = (line.baseline - round(0.8 * line.style.size)) / unit
        found = [
            {"text": w.text, "box": [w.x / unit, top, w.width / unit, line.style.size / unit]}
            for w in line.words
        ]
        if line.joined:
            whole, rest = words[-1], found.pop(0)
            whole["text"] += rest["text"]
            whole["box"][2] = rest["box"][0] + rest["box"][2] - whole["box"][0]
        words += found
    return words


def on_one_row(line: TextLine, other: TextLine) -> bool:
    """Whether two lines are beside each other."""
    return abs(line.baseline - other.baseline) < EDGE_TOLERANCE


def _rows(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines joined with those that go on at their end (in another style)."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: (line.words[0].x, line.baseline)):
        before = next((row for row in rows if goes_on(row[-1], line)), None)
        if before and (line.style, line.baseline) == (before[-1].style, before[-1].baseline):
            before[-1] = replace(before[-1], words=_words(before[-1], line))
        elif before:
            before.append(line)
        else:
            rows.append([line])
    return rows


def _words(line: TextLine, rest: TextLine) -> tuple[PlacedWord, ...]:
    """The words of two lines that are one."""
    if not (rest.joined and _joins(line, rest)):
        return line.words + rest.words
    last, first = line.words[-1], rest.words[0]
    whole = PlacedWord(last.text + first.text, last.x, first.x + first.width - last.x)
    return *line.words[:-1], whole, *rest.words[1:]


def goes_on(line: TextLine, other: TextLine) -> bool:
    """Whether the other line is what follows on the row of this one."""
    gap, size = _gap(line, other)
    least = -JOINED_GAP * size if other.joined else 0
    return on_one_row(line, other) and least <= gap <= MAX_GAP * size


def _joins(line: TextLine, other: TextLine) -> bool:
    gap, size = _gap(line, other)
    return on_one_row(line, other) and abs(gap) <= JOINED_GAP * size


def _gap(line: TextLine, other: TextLine) -> tuple[int, int]:
    """The ground between two lines, and the larger of their sizes."""
    gap = other.words[0].x - line.words[-1].x - line.words[-1].width
    return gap, max(line.style.size, other.style.size)


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
