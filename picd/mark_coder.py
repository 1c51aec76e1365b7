"""Lossless coding of marks (docs/FORMAT.md, section layout): small bitmaps in a few colours.

A pixel is mostly as one of those beside it that are known: to the left, above, above to the right
or left. Which, in unary, depends on which of these are alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from picd.adaptive import AdaptiveBits
from picd.colours import Colour, KnownColours, level_of, value_of, written_colour
from picd.errors import BitstreamError
from picd.layout import Mark

WIDEST, HIGHEST = 128, 64
"""Pixels of the largest mark."""
MAX_COLOURS = 15
MAX_MARKS, MAX_PIXELS = 1023, 1 << 15
"""Marks of a page, and pixels of those among them that differ from the one before."""
COORDINATE_BITS = 15
GUESSES = 6
"""Guesses for a coordinate before it is written out."""


def code_marks(
    bits: AdaptiveBits,
    colours: KnownColours,
    marks: Sequence[Mark] | None,
    width: int,
    height: int,
) -> tuple[Mark, ...]:
    """Code the ``marks`` (None in a decoder) of a picture of ``width`` x ``height`` pixels.

    Raises:
        BitstreamError: a mark is not inside the picture, or they are more than a page can need.
        ValueError: a mark is larger, or its colours more or in another order, than can be sent.
    """
    model, coded, pixels = _MarkModel(bits, colours), [], 0
    while bits.bit("marks", value=marks is not None and len(coded) < len(marks)):
        if len(coded) == MAX_MARKS:
            raise BitstreamError("layout section is malformed: too many marks")
        mark = model.mark(marks[len(coded)] if marks else None, MAX_PIXELS - pixels)
        if not coded or not _same(mark, coded[-1]):
            pixels += len(mark.indices)
        rows = len(mark.indices) // mark.width
        if mark.x + mark.width > width or mark.y + rows > height:
            raise BitstreamError("layout section is malformed: a mark is not inside the picture")
        coded.append(mark)
    return tuple(coded)


def see_around(indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each pixel of a bitmap (h, w), which of its neighbours are alike (0..7: left and above,
    above and above to the right, left and above to the left), and which of them it is like itself
    (0..3: left, above, above to the right, above to the left; 4: none), (h, w) each."""
    known = np.pad(indices, ((1, 0), (1, 1)))
    left, above = known[1:, :-2], known[:-1, 1:-1]
    right, corner = known[:-1, 2:], known[:-1, :-2]
    alike = (left == above) + 2 * (above == right) + 4 * (left == corner)
    rank = np.full(indices.shape, 4)
    for place, neighbour in reversed(list(enumerate((left, above, right, corner)))):
        rank[neighbour == indices] = place
    return alike, rank


def grid_colour(colour: Sequence[float]) -> Colour:
    """The colour nearest to an RGB colour among those that can be written out for a mark."""
    red, green, blue = (value_of(min(max(round(float(v) * 31 / 255), 0), 31)) for v in colour)
    return red, green, blue


def _same(a: Mark, b: Mark) -> bool:
    return (a.width, a.indices, a.palette) == (b.width, b.indices, b.palette)


class _MarkModel:
    """Codes marks one by one (None in a decoder) and holds what the guesses come from."""

    def __init__(self, bits: AdaptiveBits, colours: KnownColours) -> None:
        self.bits, self.colours = bits, colours
        self._before: list[Mark] = []  # most recent first
        self._known: dict[str, list[int]] = {"x": [], "y": []}  # likewise

    def mark(self, mark: Mark | None, room: int) -> Mark:
        """One mark; a new one may have ``room`` pixels."""
        last = self._before[0] if self._before else None
        again = bool(last) and self.bits.bit(
            f"mark again {self._repeated()}", value=mark is not None and _same(mark, last)
        )
        if again:
            width, indices, palette = last.width, last.indices, last.palette
        else:
            width, indices, palette = self._bitmap(mark, room)
        x = self._coordinate("x", again, mark and mark.x)
        y = self._coordinate("y", again, mark and mark.y)
        result = Mark(x, y, width, indices, palette)
        self._before.insert(0, result)
        return result

    def _repeated(self) -> bool:
        return len(self._before) > 1 and _same(*self._before[:2])

    def _coordinate(self, axis: str, again: bool, value: int | None) -> int:
        before = [getattr(mark, axis) for mark in self._before[:2]]
        known = self._known[axis]
        pitch = [2 * before[0] - before[1]] if len(before) > 1 and before[0] > before[1] else []
        guesses = [g for g in dict.fromkeys([*pitch, *before[:1], *known]) if g >= 0][:GUESSES]
        result = self.bits.one_of(f"mark {axis} {bool(again)}", guesses, value)
        if result is None:
            result = self.bits.tree(f"mark {axis} written", bits=COORDINATE_BITS, value=value or 0)
        if result in known:
            known.remove(result)
        known.insert(0, result)
        return result

    def _bitmap(
        self, mark: Mark | None, room: int
    ) -> tuple[int, tuple[int, ...], tuple[Colour, ...]]:
        rows = len(mark.indices) // mark.width if mark else 1
        if mark and not (mark.width <= WIDEST and rows <= HIGHEST):
            raise ValueError(f"a mark of {mark.width} x {rows} pixels cannot be sent")
        width = self.bits.tree("mark width", bits=7, value=mark.width - 1 if mark else 0) + 1
        names = "mark height", f"mark height {width.bit_length()}"
        height = self.bits.tree(*names, bits=6, value=rows - 1) + 1
        if width * height > room:
            raise BitstreamError("layout section is malformed: too many pixels of marks")
        indices = [[0] * (width + 4) for _ in range(height + 2)]  # two rows and columns around
        palette: list[Colour] = []
        for y in range(height):
            top, above, row = indices[y : y + 3]
            for x in range(2, width + 2):
                given = mark.indices[y * width + x - 2] if mark else 0
                left, up, right, corner = row[x - 1], above[x], above[x + 1], above[x - 1]
                alike = (left == up) + 2 * (up == right) + 4 * (left == corner)
                more = (row[x - 2] == left) + 2 * (top[x] == up) + 4 * (left == 0)
                far = (
                    (above[x + 2] == right)
                    + 2 * (above[x - 2] == corner)
                    + 4 * (top[x + 1] == top[x])
                )
                names = _NAMES[alike][more][far][min(len(palette), 3)]
                row[x] = self._pixel(names, (left, up, right, corner), given, mark, palette)
        return width, tuple(i for row in indices[2:] for i in row[2:-2]), tuple(palette)

    def _pixel(
        self,
        names: tuple[tuple[str, ...], ...],
        nearby: tuple[int, ...],
        given: int,
        mark: Mark | None,
        palette: list[Colour],
    ) -> int:
        for step, index in enumerate(dict.fromkeys(nearby)):
            if self.bits.bit(*names[step], value=index == given):
                return index
        count = len(palette)
        if self.bits.bit(f"mark new {min(count, 6)}", value=given > count):
            if count == MAX_COLOURS or given > count + 1:
                raise (ValueError if mark else BitstreamError)("a mark has too many colours")
            palette.append(self._colour(mark and mark.palette[count]))
            return count + 1
        index = self.bits.tree(f"mark index {min(count, 6)}", bits=4, value=given)
        if index > count:
            raise BitstreamError("layout section is malformed: no such colour of a mark")
        return index

    def _colour(self, colour: Colour | None) -> Colour:
        result = self.colours.code(self.bits, "mark colour", colour)
        if result is None:
            levels = tuple(level_of(value) for value in colour) if colour else None
            if self.bits.bit("mark exact", value=levels is not None and None in levels):
                result = written_colour(self.bits, "mark exact", colour, depth=8)
            else:
                red, green, blue = written_colour(self.bits, "mark", levels, depth=5)
                result = value_of(red), value_of(green), value_of(blue)
        self.colours.remember(result)
        return result


def _names(alike: int, more: int, far: int, count: int) -> list[tuple[str, ...]]:
    """The contexts of each of the four neighbours that a pixel may be like."""
    return [
        (
            f"mark {step} {alike} {count}",
            f"mark {step} {alike}.{more}",
            f"mark {step} {alike}.{more}.{far}",
        )
        for step in range(4)
    ]


_NAMES = [
    [[[_names(a, m, f, c) for c in range(4)] for f in range(8)] for m in range(8)] for a in range(8)
]
